/* SPDX-License-Identifier: MIT */
/* The files of a directory, in their order. */
#include <errno.h>
#include <ftw.h>
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

#include "io/config.h"
#include "io/config_pool.h"

struct fixture {
	char path[64]; /* of the directory */
	char below[160];
	struct config_source source;
	struct config config;
	char *error;
};

static char *below(struct fixture *f, const char *name)
{
	snprintf(f->below, sizeof(f->below), "%s/%s", f->path, name);
	return f->below;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->path, "/tmp/procpool-config-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(mkdir(below(f, "conf.d"), 0700), 0);
	f->source.path = f->path;
	f->source.no_demo = true;
	config_init(&f->config);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	config_fini(&f->config);
	free(f->error);
	nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
	FILE *file = fopen(below(f, name), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int try_read(struct fixture *f)
{
	config_fini(&f->config);
	free(f->error);
	return config_read(&f->source, &f->config, &f->error);
}

static void read_all(struct fixture *f)
{
	if (try_read(f) < 0)
		fail_msg("%s", f->error);
}

/* It is refused; the file's name is followed by that. */
static void refuse(struct fixture *f, int code, const char *name, const char *reason)
{
	char text[300];
	assert_int_equal(try_read(f), code);
	snprintf(text, sizeof(text), "%s%s", below(f, name), reason);
	if (!f->error || !strstr(f->error, text))
		fail_msg("it says '%s' and not '%s'", f->error, text);
}

static void test_a_directory_without_files_is_fine(void **state)
{
	struct fixture *f = *state;
	read_all(f);
	assert_int_equal(f->config.pool_count, 0);
	assert_int_equal(rmdir(below(f, "conf.d")), 0);
	read_all(f);
}

static void test_later_files_go_over_earlier_ones(void **state)
{
	struct fixture *f = *state;
	write_file(f, "procpoold.conf",
		   "workers = 3\ngrace_seconds = 5\nlimits { jobs_user = 7 jobs_session = 7 }\n"
		   "pool a { modules = {demo} }\n");
	write_file(f, "conf.d/20.conf", "workers = 5\nlimits { jobs_user = 9 }\n");
	write_file(f, "conf.d/10.conf", "workers = 4\npool b { modules = {demo} }\n");
	write_file(f, "conf.d/B.conf", "log_level = debug\n");
	write_file(f, "conf.d/a.conf", "log_level = error\n");
	read_all(f);
	assert_int_equal(f->config.workers, 5);
	assert_int_equal(f->config.grace_seconds, 5);
	assert_int_equal(f->config.log_level, LOG_LEVEL_ERROR);
	assert_int_equal(f->config.limits.jobs_user, 9);
	assert_int_equal(f->config.limits.jobs_session, 7);
	assert_int_equal(f->config.pool_count, 2);
	assert_string_equal(f->config.pools[0]->name, "a");
	assert_string_equal(f->config.pools[1]->name, "b");
	assert_string_equal(f->config.files[0], below(f, "procpoold.conf"));
	assert_string_equal(f->config.files[1], below(f, "conf.d/10.conf"));
	assert_string_equal(f->config.files[4], below(f, "conf.d/a.conf"));
	assert_null(f->config.files[5]);
	assert_int_equal(f->config.pools[0]->workers, 5);
}

static void test_only_names_with_conf_at_the_end_are_read(void **state)
{
	struct fixture *f = *state;
	static const char *const others[] = {
		"conf.d/.hidden.conf", "conf.d/x.conf~", "conf.d/x.conf.dpkg-old",
		"conf.d/#x.conf#",     "conf.d/.conf",   "conf.d/README",
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		write_file(f, others[i], "nonsense\n");
	read_all(f);
	write_file(f, "conf.d/x.conf", "nonsense\n");
	refuse(f, -EINVAL, "conf.d/x.conf", ":1: no such option 'nonsense'");
}

static void test_a_pool_is_in_one_file_only(void **state)
{
	struct fixture *f = *state;
	write_file(f, "procpoold.conf", "\npool a { modules = {demo} }\n");
	write_file(f, "conf.d/1.conf", "pool b { modules = {demo} }\n");
	write_file(f, "conf.d/2.conf", "\n\npool a { modules = {demo} }\n");
	refuse(f, -EINVAL, "conf.d/2.conf", ":3: the pool 'a' is in ");
	assert_non_null(
		strstr(f->error, "/procpoold.conf:2, too: a pool can be in one place only"));
}

/* Too many would keep the loop from all else for longer than its watchdog waits. */
static void test_pools_of_all_files_together_are_limited(void **state)
{
	struct fixture *f = *state;
	char text[CONFIG_POOLS_MAX * 40], *end = text;
	for (int i = 1; i < CONFIG_POOLS_MAX; i++)
		end += sprintf(end, "pool p%d { modules = {demo} }\n", i);
	write_file(f, "procpoold.conf", text);
	write_file(f, "conf.d/1.conf", "pool a { modules = {demo} }\n");
	read_all(f);
	write_file(f, "conf.d/1.conf",
		   "pool a { modules = {demo} }\n\npool b { modules = {demo} }\n");
	refuse(f, -EINVAL, "conf.d/1.conf",
	       ":3: the pool 'b' is one too many: a daemon has at most 4000");
}

static void test_what_is_wrong_in_one_file_hides_nothing_in_another(void **state)
{
	struct fixture *f = *state;
	write_file(f, "procpoold.conf", "workers 3\n");
	write_file(f, "conf.d/1.conf", "{\n");
	write_file(f, "conf.d/2.conf", "\nnonsense = 3\n");
	refuse(f, -EINVAL, "procpoold.conf", ":1: missing equal sign");
	refuse(f, -EINVAL, "conf.d/1.conf", ":1: the section that begins here");
	refuse(f, -EINVAL, "conf.d/2.conf", ":2: no such option 'nonsense'");
	assert_int_equal(f->error[strlen(f->error) - 1], 'l');
}

static void test_of_many_complaints_some_are_counted_only(void **state)
{
	struct fixture *f = *state;
	char text[1024] = "";
	for (int i = 0; i < 30; i++)
		sprintf(text + strlen(text), "pool p%d {\n}\n", i);
	write_file(f, "procpoold.conf", text);
	refuse(f, -EINVAL, "procpoold.conf", ":39: the pool 'p19' has nothing to serve");
	assert_null(strstr(f->error, "'p20'"));
	assert_string_equal(strrchr(f->error, '\n'), "\nand 10 more");
}

static void test_what_cannot_be_read_is_refused_and_not_waited_for(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(mkfifo(below(f, "conf.d/x.conf"), 0600), 0);
	refuse(f, -EINVAL, "conf.d/x.conf", ": it is not a regular file");
	unlink(below(f, "conf.d/x.conf"));
	assert_int_equal(mkdir(below(f, "conf.d/x.conf"), 0700), 0);
	refuse(f, -EISDIR, "conf.d/x.conf", ": Is a directory");
	rmdir(below(f, "conf.d/x.conf"));
	assert_int_equal(symlink("/nonexistent/file", below(f, "conf.d/x.conf")), 0);
	refuse(f, -ENOENT, "conf.d/x.conf", ": No such file");
	unlink(below(f, "conf.d/x.conf"));
	assert_int_equal(symlink("/dev/zero", below(f, "conf.d/x.conf")), 0);
	refuse(f, -EINVAL, "conf.d/x.conf", ": it is not a regular file");
	unlink(below(f, "conf.d/x.conf"));
	assert_int_equal(symlink("/dev/null", below(f, "conf.d/x.conf")), 0);
	read_all(f);
	unlink(below(f, "conf.d/x.conf"));
	assert_int_equal(mkfifo(below(f, "procpoold.conf"), 0600), 0);
	refuse(f, -EINVAL, "procpoold.conf", ": it is not a regular file");
	unlink(below(f, "procpoold.conf"));
	assert_int_equal(symlink("/nonexistent/file", below(f, "procpoold.conf")), 0);
	refuse(f, -ENOENT, "procpoold.conf", ": No such file");
	unlink(below(f, "procpoold.conf"));
	rmdir(below(f, "conf.d"));
	assert_int_equal(symlink("/nonexistent/file", below(f, "conf.d")), 0);
	refuse(f, -ENOENT, "conf.d", ": No such file");
	unlink(below(f, "conf.d"));
	write_file(f, "conf.d", "");
	refuse(f, -ENOTDIR, "conf.d", ": Not a directory");
}

static void test_what_may_not_be_read_is_refused(void **state)
{
	struct fixture *f = *state;
	bool is_root = geteuid() == 0;
	write_file(f, "procpoold.conf", "");
	assert_int_equal(chmod(below(f, "procpoold.conf"), 0), 0);
	assert_int_equal(chmod(below(f, "conf.d"), 0), 0);
	assert_int_equal(chmod(f->path, 0755), 0);
	if (is_root)
		assert_int_equal(seteuid(65534), 0);
	refuse(f, -EACCES, "procpoold.conf", ": Permission denied");
	refuse(f, -EACCES, "conf.d", ": Permission denied");
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(below(f, "conf.d"), 0700), 0);
}

static void test_a_file_that_is_named_is_read_alone(void **state)
{
	struct fixture *f = *state;
	char path[128];
	write_file(f, "procpoold.conf", "workers = 3\n");
	write_file(f, "conf.d/1.conf", "workers = 4\n");
	strcpy(path, below(f, "procpoold.conf"));
	f->source.path = path;
	read_all(f);
	assert_int_equal(f->config.workers, 3);
	f->source.path = "/nonexistent/file";
	assert_int_equal(try_read(f), -ENOENT);
}

static void test_the_system_has_its_own_socket(void **state)
{
	struct fixture *f = *state;
	read_all(f);
	assert_null(f->config.socket);
	f->source.is_system = true;
	read_all(f);
	assert_string_equal(f->config.socket, "/run/procpool/procpoold.sock");
	write_file(f, "procpoold.conf", "socket = \"/x/s\"\n");
	read_all(f);
	assert_string_equal(f->config.socket, "/x/s");
	f->source.socket = "/y/s";
	read_all(f);
	assert_string_equal(f->config.socket, "/y/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_directory_without_files_is_fine),
		TEST(test_later_files_go_over_earlier_ones),
		TEST(test_only_names_with_conf_at_the_end_are_read),
		TEST(test_a_pool_is_in_one_file_only),
		TEST(test_pools_of_all_files_together_are_limited),
		TEST(test_what_is_wrong_in_one_file_hides_nothing_in_another),
		TEST(test_of_many_complaints_some_are_counted_only),
		TEST(test_what_cannot_be_read_is_refused_and_not_waited_for),
		TEST(test_what_may_not_be_read_is_refused),
		TEST(test_a_file_that_is_named_is_read_alone),
		TEST(test_the_system_has_its_own_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
