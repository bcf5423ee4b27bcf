/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/log.h"

struct fixture {
	int file; /* stands in for standard error */
	int usual;
	char text[3 * LOG_LINE_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[] = "/tmp/procpool-log-XXXXXX";
	f->file = mkstemp(path);
	unlink(path);
	f->usual = dup(STDERR_FILENO);
	dup2(f->file, STDERR_FILENO);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	dup2(f->usual, STDERR_FILENO);
	close(f->usual);
	close(f->file);
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

static void test_the_journal_gets_priorities(void **state)
{
	struct fixture *f = *state;
	struct stat stream;
	char variable[64];
	assert_int_equal(fstat(f->file, &stream), 0);
	snprintf(variable, sizeof(variable), "%lu:%lu", stream.st_dev, stream.st_ino);
	setenv("JOURNAL_STREAM", variable, 1);
	log_init(LOG_LEVEL_DEBUG);
	log_error("a");
	log_warning("b");
	log_info("c");
	log_debug("d");
	assert_string_equal(written(f), "<3>a\n<4>b\n<6>c\n<7>d\n");
}

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
	assert_non_null(strstr(written(f), "error: a <0>b [2J\n"));
}

static void test_long_lines_are_cut(void **state)
{
	struct fixture *f = *state;
	char text[LOG_LINE_MAX + 100];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init(LOG_LEVEL_INFO);
	log_error("%s", text);
	const char *line = written(f);
	assert_int_equal(strlen(line), LOG_LINE_MAX);
	assert_string_equal(line + LOG_LINE_MAX - 5, "x...\n");
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
		TEST(test_the_journal_gets_priorities),
		TEST(test_an_inherited_variable_is_not_believed),
		TEST(test_no_line_can_be_forged),
		TEST(test_long_lines_are_cut),
		TEST(test_levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
