/* SPDX-License-Identifier: MIT */
/* How a file of the configuration is written, and what is said where it is written wrongly. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_fixture.h"

static void test_what_unknown_keys_may_have_been_meant_to_be_is_said(void **state)
{
	struct fixture *f = *state;
	refuse(f, "worker = 3\n", 1, "'worker'; did you mean workers?");
	refuse(f, "Workers = 3\n", 1, "'Workers'; did you mean workers?");
	refuse(f, "wrokers = 3\n", 1, "'wrokers'; did you mean workers?");
	refuse(f, "workers: 3\n", 1, "'workers:'; did you mean workers?");
	refuse(f, "log-level = debug\n", 1, "'log-level'; did you mean log_level?");
	refuse(f, "w = 3\n", 1, "no such option 'w'; known here are socket, workers");
	refuse(f, "pickle = yes\n", 1, "; it belongs in pool \"NAME\" { ... }");
	refuse(f, "jobs_user = 3\n", 1, "; it belongs in limits { ... }");
	refuse(f, "call = {root}\n", 1, "; it belongs in access { ... }");
	refuse(f, "pool x {\n socket = 3 }\n", 2, "; it belongs in no section");
	refuse(f, "access { call = {root}; }\n", 1, "no ; stands behind settings");
	refuse(f, "include(\"/etc/passwd\")\n", 1,
	       "further files are read where they lie in conf.d");
}

static void test_complaints_are_lines_whatever_they_quote(void **state)
{
	struct fixture *f = *state;
	refuse(f, "log_level = \"a\\nb\\x1b[0m\"\n", 1, "log_level is 'a?b?[0m', and");
}

static void test_a_key_is_said_once_in_a_file(void **state)
{
	struct fixture *f = *state;
	refuse(f, "workers = 3\n\nworkers = 3\n", 3,
	       "workers is said already in line 1: remove one");
	refuse(f, "limits { jobs_user = 3 }\nlimits { jobs_user = 4 }\n", 2, "already in line 1");
	refuse(f, "pool x {\n modules = {a}\n modules = {b}\n}\n", 3, "already in line 2");
	refuse(f, "pool x {\n access { call = {} }\n access { call = {} }\n}\n", 3,
	       "already in line 2");
	load(f,
	     "workers = 3\nslow_seconds = 1\nlimits { jobs_user = 3 }\nlimits { jobs_session = 4 "
	     "}\n"
	     "pool x { modules = {a} modules += {b} workers = 3 slow_seconds = 1 access { call = "
	     "{} } }\n"
	     "pool y { modules = {a} workers = 3 access { observe = {} } access { call = {} } }\n"
	     "access { call = {} }\n");
	assert_string_equal(f->config.pools[0]->modules[1], "b");
}

static void test_what_cannot_be_parsed_is_refused_with_its_line(void **state)
{
	struct fixture *f = *state;
	refuse(f, "workers 3\n", 1,
	       "missing equal sign after option 'workers': write NAME = VALUE");
	refuse(f, "\n\nworkers = \n", 4, "premature end of file: its last line");
	refuse(f, "}\n", 1, "unexpected closing brace: remove it");
	refuse(f, "pool { modules = {demo} }\n", 1, "write pool \"NAME\" {");
	refuse(f, "workers = 3 4\n", 1, "no such option '4'");
	refuse(f, "pool x y {}\n", 1, "missing opening brace");
	refuse(f, "workers += 3\n", 1, "write = instead of +=");
}

static void test_what_does_not_end_is_refused_where_it_begins(void **state)
{
	struct fixture *f = *state;
	refuse(f, "\npool x {\n modules = {demo}\n\n\n", 2, "the section that begins here is not");
	refuse(f, "pool x {\n modules = {demo}\n\npool y {\n modules = {demo}\n}\n", 1,
	       "the section that begins here is not closed: a } is missing");
	refuse(f, "limits {", 1, "the section that begins here");
	refuse(f, "limits { # }", 1, "the section that begins here");
	refuse(f, "pool x {\n access {\n", 2, "the section that begins here");
	refuse(f, "pool x {\n modules = {demo\n workers = 3\n}\n", 2, "a = is in the list");
	refuse(f, "pool x {\n access = {\n call = {root} } }\n", 2, "leave out the = before the {");
	refuse(f, "pool x {\n modules = {a\n access { } }\n", 2, "the list that begins here");
	refuse(f, "pool x {\n modules = {\n", 2, "the list that begins here");
	refuse(f, "socket = \"unended\nworkers = 3\nlog_level = \"info\"\n", 1,
	       "a string begins here and does not end in this line");
	refuse(f, "workers = 3\n\"\npool x { modules = {demo} }\n", 2,
	       "a quote is missing, or one");
	refuse(f, "workers = 3 '", 1, "a string begins here");
	refuse(f, "workers = 3\n/* all the rest\n\n", 2, "a comment begins here and does not end");
	refuse(f, "socket = \"${HOME\"\n", 1, "write \\${");
}

static void test_signs_without_quotes_are_not_passed_over(void **state)
{
	struct fixture *f = *state;
	refuse(f, "access {\n call = {*}\n}\n", 2, "* must stand in quotes: \"*\"");
	refuse(f, "workers = +3\n", 1, "+ must stand in quotes");
	refuse(f, "pool x { modules = [\"a\"] }\n", 1, "[ must stand in quotes; a list is {");
	refuse(f, "\n[pool]\n", 2, "[ must stand in quotes; a list is {");
	refuse(f, "\n/**/ * \n", 2, "* must stand in quotes");
}

static void test_files_of_other_systems_are_read(void **state)
{
	struct fixture *f = *state;
	load(f,
	     "\xef\xbb\xbfworkers = 3\r\n# a comment\r\npool x {\r\n modules = {a,\r\nb}\r\n}\r\n");
	assert_int_equal(f->config.workers, 3);
	assert_string_equal(f->config.pools[0]->modules[1], "b");
	config_fini(&f->config);
	refuse(f, "workers = 3\r\n\r\nworker = 3\r\n", 3, "did you mean workers?");
}

static void test_names_are_no_paths(void **state)
{
	struct fixture *f = *state;
	refuse(f, "\nlimits|jobs_user = 3\n", 2, "no setting has such a name");
	refuse(f, "\n'limits|jobs_user' = 3\n", 2, "no setting has such a name");
	refuse(f, "\n\"limits\\x7cjobs_user\" = 3\n", 2, "no setting has such a name");
	refuse(f, "\n${NAME:-limits|jobs_user} = 3\n", 2, "no setting has such a name");
	refuse(f, "pool x { modules = {a} }\npool|access { call = {root} }\n", 2,
	       "no setting has such a name");
	refuse(f, "pool x { modules = {a} }\n\"pool=x|workers\" = 3\n", 2,
	       "no setting has such a name");
	load(f, "'workers' = 3 \"pool\" \"a|b=\" { 'modules' = {\"|\"} }\n");
	assert_int_equal(f->config.workers, 3);
	assert_non_null(config_find_pool(&f->config, "a|b="));
}

static void test_comments_may_stand_anywhere(void **state)
{
	struct fixture *f = *state;
	load(f, "# \" { '\n// } \"\n/* \" \n { */ workers /* * */ = # 4\n 3\n"
		"pool /* a */ \"x\" { # }\n modules = { # the first\n \"a\", // \"b\",\n \"c\" "
		"/**/ } }\n"
		"socket = \"/a#b//c/*d*/\"\n");
	assert_int_equal(f->config.workers, 3);
	assert_string_equal(f->config.socket, "/a#b//c/*d*/");
	const struct pool_spec *pool = config_find_pool(&f->config, "x");
	assert_string_equal(pool->modules[0], "a");
	assert_string_equal(pool->modules[1], "c");
	assert_null(pool->modules[2]);
	load(f, "//it's one\n////and \"another\ngrace_seconds = 4 //}\nsocket = a//b\n");
	assert_int_equal(f->config.grace_seconds, 4);
	load(f, "grace_seconds = 3 # and no end of line");
	assert_int_equal(f->config.grace_seconds, 3);
}

static void test_strings_may_hold_anything_that_is_escaped(void **state)
{
	struct fixture *f = *state;
	setenv("PROCPOOL_TEST", "x\"}", 1);
	load(f, "pool 'a\"{#' { modules = {\"\\x41\\n\\\"\\$\", '${PROCPOOL_TEST}', "
		"\"${PROCPOOL_TEST}\",\n"
		"\"\\${PROCPOOL_TEST} \", \"${PROCPOOL_TEST_NONE:-\"y\"}\", \"a\\\nb\"} }\n");
	const struct pool_spec *pool = config_find_pool(&f->config, "a\"{#");
	assert_non_null(pool);
	static const char *const expected[] = {
		"A\n\"$", "${PROCPOOL_TEST}", "x\"}", "${PROCPOOL_TEST} ", "\"y\"", "ab"};
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++)
		assert_string_equal(pool->modules[i], expected[i]);
	assert_null(pool->modules[6]);
	unsetenv("PROCPOOL_TEST");
}

static void test_all_that_is_wrong_is_said_at_once(void **state)
{
	struct fixture *f = *state;
	const char text[] =
		"workers = 0\nlog_level = loud\npool x {\n modules = {\"\"}\n nice = 99\n}\n"
		"pool y {\n workers = 2\n workers_max = 3\n pickle = perhaps\n}\n";
	assert_int_equal(load_bytes(f, text, strlen(text)), -EINVAL);
	static const char *const reasons[] = {
		":1: workers is '0'",
		":2: log_level is 'loud'",
		":4: modules is empty",
		":5: nice is '99'",
		":10: pickle is 'perhaps', and must be yes or no",
		":7: the pool 'y' has nothing to serve",
		":9: the pool 'y' has workers and",
	};
	const char *at = f->error;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		at = strstr(at, reasons[i]);
		if (!at)
			fail_msg("'%s' is not in its place in\n%s", reasons[i], f->error);
	}
}

static void test_what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(load_path(f, "/nonexistent/file"), -ENOENT);
	assert_string_equal(
		f->error,
		"cannot read the configuration /nonexistent/file: No such file or directory");
	assert_int_equal(load_path(f, "/tmp"), -EISDIR);
	assert_int_equal(load_bytes(f, "workers = 3\0", 12), -EINVAL);
	assert_non_null(strstr(f->error, "not a text file"));
	assert_int_equal(load_path(f, "/dev/zero"), -EFBIG);
}

static void test_unknown_keys_are_refused_with_the_known_ones(void **state)
{
	struct fixture *f = *state;
	refuse(f, "\nwork = 3\n", 2,
	       "no such option 'work'; known here are socket, workers, log_level, grace_seconds, "
	       "slow_seconds, limits, access, pool");
	refuse(f, "limits {\n jobs = 3\n}\n", 2,
	       "no such option 'jobs'; known here are depth, value_depth, message_bytes");
	refuse(f, "pool x {\n mods = {demo}\n}\n", 2,
	       "no such option 'mods'; known here are modules, workers, runtime, interpreter, "
	       "initializer, "
	       "initargs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_what_unknown_keys_may_have_been_meant_to_be_is_said),
		TEST(test_complaints_are_lines_whatever_they_quote),
		TEST(test_a_key_is_said_once_in_a_file),
		TEST(test_what_cannot_be_parsed_is_refused_with_its_line),
		TEST(test_what_does_not_end_is_refused_where_it_begins),
		TEST(test_signs_without_quotes_are_not_passed_over),
		TEST(test_files_of_other_systems_are_read),
		TEST(test_names_are_no_paths),
		TEST(test_comments_may_stand_anywhere),
		TEST(test_strings_may_hold_anything_that_is_escaped),
		TEST(test_all_that_is_wrong_is_said_at_once),
		TEST(test_what_is_no_file_is_refused),
		TEST(test_unknown_keys_are_refused_with_the_known_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
