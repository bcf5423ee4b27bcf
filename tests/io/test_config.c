/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "io/config.h"
#include "io/config_key.h"

static void test_an_empty_file_changes_nothing(void **state)
{
	struct fixture *f = *state;
	load(f, "");
	load(f, "# nothing but a comment\n\n");
	assert_null(f->config.socket);
	assert_int_equal(f->config.workers, 0);
	assert_int_equal(f->config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(f->config.grace_seconds, CONFIG_GRACE_SECONDS);
	assert_memory_equal(&f->config.limits, &LIMITS_DEFAULT, sizeof(struct limits));
	assert_int_equal(f->config.pool_count, 0);
}

static void test_every_key_is_taken(void **state)
{
	struct fixture *f = *state;
	load(f, "socket = \"/run/x.sock\"\n"
		"workers = 3\n"
		"log_level = debug\n"
		"grace_seconds = 0\n"
		"limits {\n"
		"	message_bytes = 64M\n"
		"	jobs_user = 1000 retained_seconds = 0\n"
		"	queued_bytes_user = 1G\n"
		"}\n"
		"pool \"images\" {\n"
		"	modules = {\"codec\", \"/opt/resize.so\"}\n"
		"	workers = 2\n"
		"	runtime = {\"/usr/bin/python3\", \"-m\", \"procpool.worker\"}\n"
		"	initializer = \"codec.setup\"\n"
		"	initargs = {\"fast\", \"\"}\n"
		"}\n"
		"pool other { modules = {demo} }\n");
	const struct config *c = &f->config;
	assert_string_equal(c->socket, "/run/x.sock");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->grace_seconds, 0);
	assert_int_equal(c->limits.message_bytes, 64 << 20);
	assert_int_equal(c->limits.jobs_user, 1000);
	assert_int_equal(c->limits.retained_seconds, 0);
	assert_int_equal(c->limits.queued_bytes_user, 1 << 30);
	assert_int_equal(c->limits.depth, 32);
	assert_int_equal(c->limits.jobs_session, 200000);
	assert_int_equal(c->pool_count, 2);

	const struct pool_spec *pool = config_find_pool(c, "images");
	assert_ptr_equal(pool, c->pools[0]);
	assert_string_equal(pool->modules[0], "codec");
	assert_string_equal(pool->modules[1], "/opt/resize.so");
	assert_null(pool->modules[2]);
	assert_int_equal(pool->workers, 2);
	assert_string_equal(pool->runtime[0], "/usr/bin/python3");
	assert_string_equal(pool->runtime[2], "procpool.worker");
	assert_null(pool->runtime[3]);
	assert_string_equal(pool->initializer, "codec.setup");
	struct procpool_value initargs = span_value(pool->initargs);
	assert_int_equal(procpool_value_count(initargs), 2);
	assert_true(procpool_value_is(procpool_value_at(initargs, 0), "fast"));
	assert_true(procpool_value_is(procpool_value_at(initargs, 1), ""));

	pool = config_find_pool(c, "other");
	assert_string_equal(pool->modules[0], "demo");
	assert_null(pool->modules[1]);
	assert_int_equal(pool->workers, 0);
	assert_null(pool->runtime[0]);
	assert_null(pool->initializer);
	assert_int_equal(procpool_value_count(span_value(pool->initargs)), 0);
	assert_null(config_find_pool(c, "none"));
}

static void test_a_pool_says_whether_it_takes_pickles(void **state)
{
	struct fixture *f = *state;
	load(f, "pool x { modules = {a} runtime = {\"/bin/r\"} pickle = yes }\n"
		"pool y { modules = {a} runtime = {\"/bin/r\"} pickle = no }\n"
		"pool z { modules = {a} runtime = {\"/bin/r\"} }\n");
	assert_true(config_find_pool(&f->config, "x")->pickle);
	assert_false(config_find_pool(&f->config, "y")->pickle);
	assert_false(config_find_pool(&f->config, "z")->pickle);
	config_fini(&f->config);
	refuse(f, "pool x { modules = {a}\npickle = yes }\n", 2, "has pickle, which the native");
	refuse(f, "pool x { modules = {a} runtime = {\"/bin/r\"}\npickle = 7 }\n", 2, "pickle");
}

static void test_an_interpreter_stands_for_its_runtime(void **state)
{
	struct fixture *f = *state;
	load(f, "pool x { modules = {a} interpreter = \"/venv/bin/python3\" pickle = yes }\n"
		"pool y { interpreter = python3 pickle = yes }\n"
		"pool z { modules = {a} runtime = {\"/bin/r\"} }\n");
	const struct pool_spec *pool = config_find_pool(&f->config, "x");
	assert_string_equal(pool->interpreter, "/venv/bin/python3");
	assert_string_equal(pool->runtime[0], "/venv/bin/python3");
	assert_string_equal(pool->runtime[1], "-m");
	assert_string_equal(pool->runtime[2], "procpool.worker");
	assert_null(pool->runtime[3]);
	assert_string_equal(config_find_pool(&f->config, "y")->runtime[0], "python3");
	assert_null(config_find_pool(&f->config, "z")->interpreter);
	config_fini(&f->config);
	refuse(f, "pool x { interpreter = p }\n", 1, "nothing to serve");
	refuse(f, "pool x { modules = {a}\ninterpreter = \"\" }\n", 2, "interpreter is empty");
	refuse(f, "pool x { modules = {a} runtime = {r}\ninterpreter = p }\n", 2,
	       "has runtime and interpreter");
}

static void test_a_pool_says_how_its_workers_are_kept(void **state)
{
	struct fixture *f = *state;
	load(f, "pool x {\n"
		"	modules = {demo}\n"
		"	workers_min = 2\n"
		"	workers_max = 8\n"
		"	idle_seconds = 0.5\n"
		"	extra_workers = 3\n"
		"	max_tasks = 100K\n"
		"	max_rss = 512M\n"
		"	memory = 1G\n"
		"	stop_seconds = 0\n"
		"	preload = always\n"
		"}\n"
		"pool y { modules = {demo} preload = auto }\n");
	const struct pool_spec *pool = config_find_pool(&f->config, "x");
	assert_int_equal(pool->workers, 0);
	assert_int_equal(pool->workers_min, 2);
	assert_int_equal(pool->workers_max, 8);
	assert_int_equal(pool->idle_us, 500000);
	assert_int_equal(pool->extra_workers, 3);
	assert_int_equal(pool->max_tasks, 102400);
	assert_int_equal(pool->max_rss_bytes, 512 << 20);
	assert_int_equal(pool->memory_bytes, 1 << 30);
	assert_int_equal(pool->stop_us, 0);
	assert_true(pool->preload_always);
	pool = config_find_pool(&f->config, "y");
	assert_int_equal(pool->workers_min, 0);
	assert_int_equal(pool->workers_max, 0);
	assert_int_equal(pool->idle_us, POOL_IDLE_US);
	assert_int_equal(pool->max_tasks, 0);
	assert_int_equal(pool->stop_us, POOL_STOP_US);
	assert_false(pool->preload_always);
}

static void test_a_pool_says_as_what_its_processes_run(void **state)
{
	struct fixture *f = *state;
	load(f, "pool x {\n"
		"	modules = {demo}\n"
		"	cwd = \"/srv/data\"\n"
		"	environment = {\"A=1\", \"AB=\", \"LANG=C=x\"}\n"
		"	umask = 027\n"
		"	nice = -5\n"
		"	affinity = {0, 65}\n"
		"	cpu_seconds = 60\n"
		"	open_files = 1K\n"
		"	core_bytes = 0\n"
		"}\n"
		"pool y { modules = {demo} environment = {} affinity = {} umask = 0 }\n");
	const struct process_settings *settings = &config_find_pool(&f->config, "x")->process;
	assert_string_equal(settings->cwd, "/srv/data");
	assert_string_equal(settings->environment[0], "A=1");
	assert_string_equal(settings->environment[1], "AB=");
	assert_string_equal(settings->environment[2], "LANG=C=x");
	assert_null(settings->environment[3]);
	assert_true(settings->has_umask);
	assert_int_equal(settings->umask, 027);
	assert_int_equal(settings->nice, -5);
	assert_int_equal(settings->cpus[0], 1);
	assert_int_equal(settings->cpus[1], 2);
	const struct process_limit expected[] = {
		{RLIMIT_CPU, 60, 61}, {RLIMIT_NOFILE, 1024, 1024}, {RLIMIT_CORE, 0, 0}};
	assert_int_equal(settings->limit_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(settings->limits[i].resource, expected[i].resource);
		assert_int_equal(settings->limits[i].soft, expected[i].soft);
		assert_int_equal(settings->limits[i].hard, expected[i].hard);
	}
	settings = &config_find_pool(&f->config, "y")->process;
	assert_null(settings->cwd);
	assert_null(settings->environment);
	assert_true(settings->has_umask);
	assert_int_equal(settings->umask, 0);
	assert_int_equal(settings->nice, 0);
	assert_int_equal(settings->limit_count, 0);
}

/* Parts of the protocol. */
static bool is_fixed(const char *limit)
{
	return strstr(limit, "depth") || strcmp(limit, "progress_bytes") == 0;
}

static void test_every_limit_but_the_fixed_can_be_set(void **state)
{
	struct fixture *f = *state;
	char text[128];
#define X(name, value, meaning)                                                                    \
	snprintf(text, sizeof(text), "limits {\n " #name " = 4097\n}\n");                          \
	if (is_fixed(#name)) {                                                                     \
		refuse(f, text, 2, #name " is fixed and cannot be set");                           \
	} else {                                                                                   \
		load(f, text);                                                                     \
		assert_int_equal(f->config.limits.name, 4097);                                     \
	}
	PROTO_LIMITS(X)
#undef X
	assert_int_equal(f->config.limits.depth, 32);
}

static void test_values_out_of_range_are_refused_with_the_range(void **state)
{
	struct fixture *f = *state;
	refuse(f, "workers = 0\n", 1, "workers is '0', and must be a whole number from 1 to 4096");
	refuse(f, "workers = 4097\n", 1, "from 1 to 4096");
	refuse(f, "workers = many\n", 1, "workers is 'many'");
	refuse(f, "workers = \"\"\n", 1, "workers is ''");
	refuse(f, "workers = 3.5\n", 1, "workers is '3.5'");
	refuse(f, "workers = 3x\n", 1, "workers is '3x'");
	refuse(f, "grace_seconds = -1\n", 1, "from 0 to 86400");
	refuse(f, "grace_seconds = 99999999999999999999\n", 1, "from 0 to 86400");
	refuse(f, "limits {\n message_bytes = 100\n}\n", 2, "from 4096 to 4294967295");
	refuse(f, "limits {\n retained_seconds = 2G\n}\n", 2, "from 0 to 1000000000");
	refuse(f, "limits {\n jobs_user = 9007199254740992K\n}\n", 2, "from 1 to 9007199254740992");
	refuse(f, "limits {\n jobs_user = 64MB\n}\n", 2, "jobs_user is '64MB'");
	refuse(f, "log_level = loud\n", 1,
	       "log_level is 'loud', and must be error, warning, info or debug");
	refuse(f, "socket = \"\"\n", 1, "socket is empty");
}

static void test_pools_that_cannot_be_are_refused(void **state)
{
	struct fixture *f = *state;
	refuse(f, "\npool x {\n}\n", 2, "the pool 'x' has nothing to serve: say modules = {");
	refuse(f, "pool \"\" {\n modules = {demo}\n}\n", 1, "cannot be the name of a pool");
	refuse(f, "pool \"a b\" {\n modules = {demo}\n}\n", 1, "cannot be the name of a pool");
	refuse(f, "pool x {\n modules = {\"\"}\n}\n", 2, "modules is empty");
	refuse(f, "\npool x { modules = {demo} }\n\npool x { modules = {demo} }\n", 4,
	       "found duplicate title 'x': it begins in line 2, too: make it one section");
}

/* A line in a pool's section. */
static void refuse_in_pool(struct fixture *f, const char *line, const char *reason)
{
	char text[256];
	snprintf(text, sizeof(text), "pool x {\n modules = {demo}\n %s\n}\n", line);
	refuse(f, text, 3, reason);
}

static void test_settings_of_a_pool_out_of_range_are_refused(void **state)
{
	struct fixture *f = *state;
	refuse_in_pool(f, "cwd = data", "cwd is 'data', and must be an absolute path");
	refuse_in_pool(f, "cwd = \"\"", "cwd is '', and must be an absolute path");
	refuse_in_pool(f, "preload = never", "preload is 'never', and must be auto or always");
	refuse_in_pool(f, "umask = 8", "umask is '8', and must be an octal number from 000 to 777");
	refuse_in_pool(f, "umask = 1000", "from 000 to 777");
	refuse_in_pool(f, "umask = -1", "umask is '-1'");
	refuse_in_pool(f, "nice = 20", "nice is '20', and must be a whole number from -20 to 19");
	refuse_in_pool(f, "nice = -21", "from -20 to 19");
	refuse_in_pool(f, "nice = -", "nice is '-'");
	refuse_in_pool(f, "affinity = {0, 1024}", "affinity is '1024'");
	refuse_in_pool(f, "affinity = {-1}", "from 0 to 1023");
	refuse_in_pool(f, "open_files = 15", "open_files is '15'");
	refuse_in_pool(f, "memory = 1000K", "from 1048576 to");
	refuse_in_pool(f, "max_rss = 5", "from 1048576 to");
	refuse_in_pool(f, "max_tasks = 0", "from 1 to");
	refuse_in_pool(f, "cpu_seconds = 0", "from 1 to 1000000000");
	refuse_in_pool(f, "extra_workers = 4097", "from 0 to 4096");
	refuse_in_pool(f, "stop_seconds = -1", "stop_seconds is '-1', and must be a number from 0");
	refuse_in_pool(f, "stop_seconds = inf", "such as 0.5");
	refuse_in_pool(f, "stop_seconds = 1e3", "such as 0.5");
	refuse_in_pool(f, "stop_seconds = \"\"", "such as 0.5");
	refuse_in_pool(f, "stop_seconds = 1.2.3", "such as 0.5");
	refuse_in_pool(f, "stop_seconds = 1000000001", "such as 0.5");
	refuse_in_pool(f, "environment = {A}",
		       "environment has 'A', and must have strings like \"NAME=value\"");
	refuse_in_pool(f, "environment = {\"=1\"}", "environment has '=1'");
	refuse_in_pool(f, "environment = {\"A=1\", \"B=1\", \"A=2\"}", "environment has A twice");
}

static void test_settings_of_a_pool_that_contradict_are_refused(void **state)
{
	struct fixture *f = *state;
	refuse(f, "pool x {\n modules = {demo}\n workers = 2\n workers_max = 4\n}\n", 4,
	       "the pool 'x' has workers and workers_max: say either");
	refuse(f, "pool x {\n modules = {demo}\n workers = 2\n workers_min = 1\n}\n", 4,
	       "the pool 'x' has workers and workers_min: say either");
	refuse(f, "pool x {\n modules = {demo}\n workers_min = 3\n workers_max = 2\n}\n", 3,
	       "a workers_min of 3 and a workers_max of 2: the first must not be larger");
	refuse(f, "pool x {\n modules = {demo}\n idle_seconds = 3\n}\n", 3,
	       "say workers_max, or remove it");
	refuse(f, "pool session-1.1 {\n modules = {demo}\n}\n", 1,
	       "names with session- are those of pools that clients open");
}

static void assert_directory(const struct config_source *source, const char *expected)
{
	char *directory = config_directory(source);
	if (expected)
		assert_string_equal(directory, expected);
	else
		assert_null(directory);
	free(directory);
}

static void test_the_usual_directory_follows_the_user(void **state)
{
	(void)state;
	const char *home = getenv("HOME");
	assert_directory(&(struct config_source){.is_system = true}, "/etc/procpool");
	assert_directory(&(struct config_source){.is_system = true, .path = "/tmp"}, "/tmp");
	assert_directory(&(struct config_source){.path = "/dev/null"}, NULL);
	assert_directory(&(struct config_source){.is_private = true}, NULL);
	if (geteuid() == 0) {
		assert_directory(&(struct config_source){0}, "/etc/procpool");
		return;
	}
	setenv("XDG_CONFIG_HOME", "/x", 1);
	assert_directory(&(struct config_source){0}, "/x/procpool");
	setenv("XDG_CONFIG_HOME", "", 1);
	setenv("HOME", "/home/u", 1);
	assert_directory(&(struct config_source){0}, "/home/u/.config/procpool");
	unsetenv("HOME");
	assert_directory(&(struct config_source){0}, NULL);
	if (home)
		setenv("HOME", home, 1);
}

/* What the man page says of a limit: its name and default. */
static void print_limit(char *text, size_t size, const char *name, uint64_t value)
{
	if (value % MIB(1) == 0)
		snprintf(text, size, "\n*%s* = %lluM\n", name,
			 (unsigned long long)(value / MIB(1)));
	else
		snprintf(text, size, "\n*%s* = %llu\n", name, (unsigned long long)value);
}

static const char *man_page(void)
{
	static char page[65536];
	FILE *file = fopen(MAN_PAGE, "r");
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	return page;
}

static void test_the_man_page_has_every_limit_with_its_default(void **state)
{
	(void)state;
	const char *page = man_page();
	char line[128];
#define X(name, value, meaning)                                                                    \
	print_limit(line, sizeof(line), #name, value);                                             \
	if ((strstr(page, line) != NULL) == is_fixed(#name))                                       \
		fail_msg("the man page is wrong about %s", #name);
	PROTO_LIMITS(X)
#undef X
}

/* Between those two headings, or to the end, there is an entry of each key. */
static void expect_entries(const struct config_section *section, const char *from, const char *to)
{
	const char *page = man_page(), *begin = strstr(page, from), *end = strstr(page, to);
	assert_true(begin && end && begin < end);
	for (size_t i = 0; i < section->count; i++) {
		char entry[64];
		snprintf(entry, sizeof(entry), "*%s* = ", section->keys[i].name);
		const char *at = strstr(begin, entry);
		if (is_fixed(section->keys[i].name) == (at && at < end))
			fail_msg("the man page is wrong about %s in %s", entry, from);
	}
}

static void test_the_man_page_has_every_key(void **state)
{
	(void)state;
	expect_entries(&config_daemon_keys, "\n# THE DAEMON\n", "\n# ACCESS\n");
	expect_entries(&config_access_keys, "\n# ACCESS\n", "\n# POOLS\n");
	expect_entries(&config_pool_keys, "\n# POOLS\n", "\n# LIMITS\n");
	expect_entries(&config_limit_keys, "\n# LIMITS\n", "\n# WHAT A RELOAD");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_an_empty_file_changes_nothing),
		TEST(test_every_key_is_taken),
		TEST(test_a_pool_says_how_its_workers_are_kept),
		TEST(test_a_pool_says_whether_it_takes_pickles),
		TEST(test_an_interpreter_stands_for_its_runtime),
		TEST(test_a_pool_says_as_what_its_processes_run),
		TEST(test_settings_of_a_pool_out_of_range_are_refused),
		TEST(test_settings_of_a_pool_that_contradict_are_refused),
		TEST(test_every_limit_but_the_fixed_can_be_set),
		TEST(test_values_out_of_range_are_refused_with_the_range),
		TEST(test_pools_that_cannot_be_are_refused),
		TEST(test_the_usual_directory_follows_the_user),
		TEST(test_the_man_page_has_every_limit_with_its_default),
		TEST(test_the_man_page_has_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
