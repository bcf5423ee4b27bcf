/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/log.h"
#include "io/log_budget.h"

struct fixture {
	int file; /* stands in for standard error */
	int usual;
	char directory[64]; /* of the journal's socket */
	struct sockaddr_un address;
	int journal; /* -1: there is none */
	char text[1 << 20];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[] = "/tmp/procpool-log-XXXXXX";
	f->file = mkstemp(path);
	unlink(path);
	f->usual = dup(STDERR_FILENO);
	dup2(f->file, STDERR_FILENO);
	f->journal = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	dup2(f->usual, STDERR_FILENO);
	close(f->usual);
	close(f->file);
	if (f->journal >= 0)
		close(f->journal);
	if (f->directory[0]) {
		unlink(f->address.sun_path);
		rmdir(f->directory);
	}
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LEVEL_INFO);
	free(f);
	return 0;
}

static const char *written(struct fixture *f)
{
	ssize_t n = pread(f->file, f->text, sizeof(f->text) - 1, 0);
	assert_true(n >= 0);
	f->text[n] = '\0';
	return f->text;
}

static void test_lines_have_time_and_level(void **state)
{
	struct fixture *f = *state;
	int year, month, day, hour, minute, consumed = 0;
	double second;
	log_init(LOG_LEVEL_INFO);
	errno = ENOENT;
	log_warning("cannot open %s: %d", "x", 5);
	assert_int_equal(errno, ENOENT);
	const char *line = written(f);
	assert_int_equal(sscanf(line, "%4d-%2d-%2d %2d:%2d:%lf %n", &year, &month, &day, &hour,
				&minute, &second, &consumed),
			 6);
	assert_string_equal(line + consumed, "procpoold: warning: cannot open x: 5\n");
}

static void test_lines_above_the_level_are_dropped(void **state)
{
	struct fixture *f = *state;
	log_init(LOG_LEVEL_WARNING);
	assert_false(log_enabled(LOG_LEVEL_INFO));
	log_info("one");
	log_debug("two");
	assert_string_equal(written(f), "");
	log_error("three");
	assert_non_null(strstr(written(f), "error: three\n"));
	log_init(LOG_LEVEL_DEBUG);
	log_debug("four");
	assert_non_null(strstr(written(f), "debug: four\n"));
}

/* ---- the journal ---- */

/* Standard error is said to be the journal's stream. */
static void be_journal(struct fixture *f)
{
	struct stat stream;
	char variable[64];
	assert_int_equal(fstat(STDERR_FILENO, &stream), 0);
	snprintf(variable, sizeof(variable), "%lu:%lu", stream.st_dev, stream.st_ino);
	setenv("JOURNAL_STREAM", variable, 1);
	snprintf(f->directory, sizeof(f->directory), "/tmp/procpool-log-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->address.sun_family = AF_UNIX;
	snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/socket", f->directory);
	log_init_at(LOG_LEVEL_DEBUG, f->address.sun_path);
}

static void start_journal(struct fixture *f)
{
	f->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(f->journal >= 0);
	assert_int_equal(bind(f->journal, (struct sockaddr *)&f->address, sizeof(f->address)), 0);
}

/* The next entry that the journal got; "" if there is none. */
static const char *received(struct fixture *f)
{
	ssize_t n = recv(f->journal, f->text, sizeof(f->text) - 1, MSG_DONTWAIT);
	f->text[n > 0 ? n : 0] = '\0';
	return f->text;
}

static void test_the_journal_gets_fields(void **state)
{
	struct fixture *f = *state;
	be_journal(f);
	start_journal(f);
	const struct log_fields fields = {
		.kind = LOG_KIND_SLOW,
		.pool = "images",
		.worker = 3,
		.pid = 4242,
		.job = 71001,
		.function = "codec.decode",
		.has_uid = true,
		.uid = 0,
		.duration_us = 1500000,
		.outcome = "done",
	};
	log_event(LOG_LEVEL_WARNING, &fields, "%s is slow", "it");
	assert_string_equal(received(f), "PRIORITY=4\n"
					 "SYSLOG_IDENTIFIER=procpoold\n"
					 "MESSAGE=it is slow\n"
					 "MESSAGE_ID=4ce6fe05ace444d6a848c5b27e48ec45\n"
					 "PROCPOOL_POOL=images\n"
					 "PROCPOOL_WORKER=3\n"
					 "PROCPOOL_PID=4242\n"
					 "PROCPOOL_JOB=71001\n"
					 "PROCPOOL_FUNCTION=codec.decode\n"
					 "PROCPOOL_UID=0\n"
					 "PROCPOOL_DURATION_USEC=1500000\n"
					 "PROCPOOL_OUTCOME=done\n");
	assert_string_equal(written(f), "");
}

/* Which is what people search for, and must not change unnoticed. */
static void test_every_field_stands_in_the_manual_page(void **state)
{
	struct fixture *f = *state;
	static char page[1 << 16];
	FILE *file = fopen(DAEMON_PAGE, "re");
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	be_journal(f);
	start_journal(f);
	unsigned found = 0;
	for (int kind = LOG_KIND_ANY; kind < LOG_KIND_COUNT; kind++) {
		const struct log_fields fields = {(enum log_kind)kind,
						  "p",
						  true,
						  1,
						  2,
						  3,
						  "f",
						  "log",
						  true,
						  4,
						  5,
						  "c",
						  6,
						  "done"};
		log_event(LOG_LEVEL_WARNING, &fields, "x");
		for (char *line = strtok((char *)received(f), "\n"); line;
		     line = strtok(NULL, "\n")) {
			char *equals = strchr(line, '=');
			assert_non_null(equals);
			*equals = '\0';
			assert_non_null(strstr(page, line));
			if (strcmp(line, "MESSAGE_ID") == 0)
				assert_non_null(strstr(page, equals + 1));
			found++;
		}
	}
	assert_int_equal(found, LOG_KIND_COUNT * 14 + LOG_KIND_COUNT - 1);
}

static void test_the_journal_gets_no_more_fields_than_there_are(void **state)
{
	struct fixture *f = *state;
	be_journal(f);
	start_journal(f);
	log_error("a");
	assert_string_equal(received(f), "PRIORITY=3\nSYSLOG_IDENTIFIER=procpoold\nMESSAGE=a\n");
	log_event(LOG_LEVEL_DEBUG, &(struct log_fields){.session = 7, .client = "x"}, "b");
	assert_string_equal(received(f), "PRIORITY=7\nSYSLOG_IDENTIFIER=procpoold\nMESSAGE=b\n"
					 "PROCPOOL_SESSION=7\nPROCPOOL_CLIENT=x\n");
}

static void test_no_field_can_be_forged(void **state)
{
	struct fixture *f = *state;
	be_journal(f);
	start_journal(f);
	const struct log_fields fields = {.pool = "a\nPRIORITY=0", .client = "\n\nMESSAGE=b"};
	log_event(LOG_LEVEL_INFO, &fields, "c\nPROCPOOL_UID=0");
	assert_string_equal(received(f), "PRIORITY=6\nSYSLOG_IDENTIFIER=procpoold\n"
					 "MESSAGE=c\\x0aPROCPOOL_UID=0\n"
					 "PROCPOOL_POOL=a\\x0aPRIORITY=0\n"
					 "PROCPOOL_CLIENT=\\x0a\\x0aMESSAGE=b\n");
}

static void test_without_the_journals_socket_lines_go_by_its_stream(void **state)
{
	struct fixture *f = *state;
	be_journal(f);
	log_error("a");
	log_warning("b");
	log_info("c");
	log_debug("d");
	log_event(LOG_LEVEL_INFO, &(struct log_fields){.pool = "p"}, "e");
	assert_string_equal(written(f), "<3>a\n<4>b\n<6>c\n<7>d\n<6>e\n");
	start_journal(f);
	log_error("f");
	assert_non_null(strstr(received(f), "MESSAGE=f\n"));
}

static void test_what_a_full_journal_does_not_take_is_lost_and_told(void **state)
{
	struct fixture *f = *state;
	int sent = 0, told = 0;
	be_journal(f);
	start_journal(f);
	assert_true(log_due_us() == UINT64_MAX);
	for (; log_due_us() == UINT64_MAX; sent++)
		log_info("a");
	log_info("a");
	for (int i = 0; i < sent - 1; i++)
		assert_non_null(strstr(received(f), "MESSAGE=a\n"));
	/* It is told at the first chance, a second after. */
	while (!told) {
		log_tell_lost();
		told = strstr(received(f), "MESSAGE=2 lines of the log were lost: the journal took "
					   "nothing\n") != NULL;
		poll(NULL, 0, 10);
	}
	assert_true(log_due_us() == UINT64_MAX);
	assert_string_equal(written(f), "");
}

static void test_standard_error_that_takes_nothing_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	int fds[2], lines = 0;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	log_init(LOG_LEVEL_INFO);
	char text[1000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (; log_due_us() == UINT64_MAX; lines++)
		log_info("%s", text);
	assert_true(lines > 10 && lines < 200);
	dup2(f->file, STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
}

static void test_standard_error_that_is_closed_costs_lines_only(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
	signal(SIGPIPE, SIG_IGN);
	log_init(LOG_LEVEL_INFO);
	log_info("a");
	assert_true(log_due_us() < UINT64_MAX);
	signal(SIGPIPE, SIG_DFL);
}

/* ---- how much is logged ---- */

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;
	while ((text = strstr(text, part))) {
		n++;
		text++;
	}
	return n;
}

static void test_a_flood_of_one_pool_leaves_room_for_others(void **state)
{
	struct fixture *f = *state;
	log_init(LOG_LEVEL_INFO);
	for (int i = 0; i < 5000; i++)
		log_event(LOG_LEVEL_INFO, &(struct log_fields){.pool = "a"}, "flood");
	log_event(LOG_LEVEL_WARNING, &(struct log_fields){.pool = "a"}, "grave");
	log_event(LOG_LEVEL_INFO, &(struct log_fields){.pool = "b"}, "other");
	log_event(LOG_LEVEL_INFO, &(struct log_fields){.has_uid = true}, "user");
	log_info("own");
	const char *text = written(f);
	assert_int_equal(count(text, "flood"), LOG_LINES_SOURCE / 2);
	assert_non_null(strstr(text, "grave"));
	assert_non_null(strstr(text, "other"));
	assert_non_null(strstr(text, "user"));
	assert_non_null(strstr(text, "own"));
	assert_true(log_due_us() < UINT64_MAX);
}

/* Also at the end, and found with all that is the pool's. */
static void test_what_was_dropped_is_told_with_whose_it_was(void **state)
{
	struct fixture *f = *state;
	be_journal(f);
	start_journal(f);
	for (unsigned i = 0; i < LOG_LINES_SOURCE / 2 + 3; i++) {
		log_event(LOG_LEVEL_INFO, &(struct log_fields){.pool = "a"}, "flood");
		log_event(LOG_LEVEL_INFO, &(struct log_fields){.has_uid = true, .uid = 7}, "flood");
		received(f);
		received(f);
	}
	log_fini();
	assert_string_equal(received(f),
			    "PRIORITY=4\nSYSLOG_IDENTIFIER=procpoold\n"
			    "MESSAGE=pool a: 3 lines were not logged: too many in 10 seconds\n"
			    "PROCPOOL_POOL=a\n");
	assert_string_equal(received(f),
			    "PRIORITY=4\nSYSLOG_IDENTIFIER=procpoold\n"
			    "MESSAGE=user 7: 3 lines were not logged: too many in 10 seconds\n"
			    "PROCPOOL_UID=7\n");
	assert_string_equal(received(f), "");
}

static void test_what_workers_say_is_never_graver_than_information(void **state)
{
	struct fixture *f = *state;
	log_init(LOG_LEVEL_INFO);
	for (int i = 0; i < 5000; i++)
		log_event(LOG_LEVEL_ERROR, &(struct log_fields){.pool = "a", .stream = "log"},
			  "flood");
	assert_int_equal(count(written(f), "error: flood"), LOG_LINES_SOURCE / 2);
}

static void test_pools_of_sessions_count_as_their_users(void **state)
{
	struct fixture *f = *state;
	char name[32];
	log_init(LOG_LEVEL_INFO);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "session-%d.1", i);
		const struct log_fields fields = {
			.pool = name, .is_own_pool = true, .has_uid = true, .uid = 7};
		log_event(LOG_LEVEL_INFO, &fields, "flood");
	}
	assert_int_equal(count(written(f), "flood"), LOG_LINES_SOURCE / 2);
}

/* ---- standard error ---- */

static void test_an_inherited_variable_is_not_believed(void **state)
{
	struct fixture *f = *state;
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init(LOG_LEVEL_INFO);
	log_error("a");
	assert_non_null(strstr(written(f), "procpoold: error: a\n"));
}

static void test_no_line_can_be_forged(void **state)
{
	struct fixture *f = *state;
	log_init(LOG_LEVEL_INFO);
	log_error("a\n<0>b\x1b[2J");
	assert_non_null(strstr(written(f), "error: a\\x0a<0>b\\x1b[2J\n"));
}

static void test_long_lines_are_cut(void **state)
{
	struct fixture *f = *state;
	char text[LOG_LINE_MAX + 100];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init(LOG_LEVEL_INFO);
	log_error("%s", text);
	const char *line = strstr(written(f), "xxx");
	assert_int_equal(strlen(line), LOG_LINE_MAX);
	assert_string_equal(line + LOG_LINE_MAX - 5, "x...\n");
}

static void test_a_line_of_what_cannot_be_shown_is_cut_too(void **state)
{
	struct fixture *f = *state;
	char text[LOG_LINE_MAX];
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init(LOG_LEVEL_INFO);
	log_error("%s", text);
	const char *line = strstr(written(f), "\\x0a");
	assert_int_equal(strlen(line), LOG_LINE_MAX / 4 * 4);
	assert_string_equal(line + strlen(line) - 8, "\\x0a...\n");
}

static void test_levels_have_names(void **state)
{
	(void)state;
	enum log_level level;
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_lines_have_time_and_level),
		TEST(test_lines_above_the_level_are_dropped),
		TEST(test_the_journal_gets_fields),
		TEST(test_every_field_stands_in_the_manual_page),
		TEST(test_the_journal_gets_no_more_fields_than_there_are),
		TEST(test_no_field_can_be_forged),
		TEST(test_without_the_journals_socket_lines_go_by_its_stream),
		TEST(test_what_a_full_journal_does_not_take_is_lost_and_told),
		TEST(test_standard_error_that_takes_nothing_is_not_waited_for),
		TEST(test_standard_error_that_is_closed_costs_lines_only),
		TEST(test_a_flood_of_one_pool_leaves_room_for_others),
		TEST(test_what_was_dropped_is_told_with_whose_it_was),
		TEST(test_what_workers_say_is_never_graver_than_information),
		TEST(test_pools_of_sessions_count_as_their_users),
		TEST(test_an_inherited_variable_is_not_believed),
		TEST(test_no_line_can_be_forged),
		TEST(test_long_lines_are_cut),
		TEST(test_a_line_of_what_cannot_be_shown_is_cut_too),
		TEST(test_levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
