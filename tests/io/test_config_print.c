/* SPDX-License-Identifier: MIT */
/* What is printed can be read again, and says where each setting comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "io/config_key.h"
#include "io/config_print.h"

static void print(struct fixture *f, const char *text)
{
	size_t size;
	load(f, text);
	free(f->printed);
	FILE *stream = open_memstream(&f->printed, &size);
	config_print(&f->config, stream);
	fclose(stream);
}

/* Without what stands behind "  # ", which differs. */
static char *without_places(const char *text)
{
	char *copy = strdup(text), *to = copy;
	for (const char *from = copy; *from;) {
		size_t line = strcspn(from, "\n"), size = line;
		for (size_t i = 0; i + 4 <= line && size == line; i++)
			if (memcmp(from + i, "  # ", 4) == 0)
				size = i;
		while (size > 0 && from[size - 1] == ' ')
			size--;
		memmove(to, from, size);
		to += size;
		*to++ = '\n';
		from += line + (from[line] == '\n');
	}
	*to = '\0';
	return copy;
}

/* The configuration, printed, and read and printed again. */
static void print_twice(struct fixture *f, const char *text)
{
	print(f, text);
	char *first = strdup(f->printed), *expected = without_places(first);
	print(f, first);
	char *again = without_places(f->printed);
	assert_string_equal(again, expected);
	free(first);
	free(expected);
	free(again);
}

static void has(struct fixture *f, const char *line)
{
	if (!strstr(f->printed, line))
		fail_msg("there is no '%s' in\n%s", line, f->printed);
}

#define EVERYTHING                                                                                 \
	"socket = '/run/a b/x.sock'\nworkers = 3\nlog_level = debug\ngrace_seconds = 0\n"          \
	"slow_seconds = 0.25\nlimits { message_bytes = 64M jobs_user = 3000 retained_seconds = 0 " \
	"}\n"                                                                                      \
	"access { call = {root, \"@bin\", \"4242\", \"@4243\"} observe = {\"*\"} administer = {} " \
	"}\n"                                                                                      \
	"pool x { modules = {a, \"/b.so\"} workers = 2 initializer = a.b initargs = {\"\", c}\n"   \
	" preload = always extra_workers = 3 max_tasks = 7 max_rss = 3000000 memory = 1G\n"        \
	" stop_seconds = 0.000001 slow_seconds = 1000000000 cwd = \"/\" environment = {\"A=\"}\n"  \
	" umask = 7 nice = -3 affinity = {1023, 0} cpu_seconds = 3 open_files = 16\n"              \
	" core_bytes = 0 access { call = {} } }\n"                                                 \
	"pool y { interpreter = p pickle = yes workers_min = 2 workers_max = 5\n"                  \
	" idle_seconds = 1.5 }\npool z { runtime = {\"/bin/r\", \"-x\"} workers_max = 9 }\n"       \
	"pool w { modules = {a} workers_min = 3 workers_max = 3 }\n"

static void test_what_is_printed_gives_the_same_again(void **state)
{
	struct fixture *f = *state;
	print_twice(f, "");
	print_twice(f, EVERYTHING);
	has(f, "\tmessage_bytes = 64M ");
	has(f, "\tcall = {\"root\", \"4242\", \"@bin\", \"@4243\"} ");
	has(f, "\tobserve = {\"*\"} ");
	has(f, "\tmax_rss = 3000000 ");
	has(f, "\tmemory = 1G ");
	has(f, "\tstop_seconds = 0.000001 ");
	has(f, "\tslow_seconds = 1000000000 ");
	has(f, "\tumask = 007 ");
	has(f, "\taffinity = {0, 1023} ");
	has(f, "\tidle_seconds = 1.5 ");
	has(f, "\tcore_bytes = 0 ");
	assert_int_equal(f->config.pool_count, 4);
	assert_int_equal(f->config.pools[3]->workers, 3);
}

static void test_names_are_quoted_whatever_they_hold(void **state)
{
	struct fixture *f = *state;
	char text[4096], *at = text;
	at += sprintf(at, "pool \"'#{}=\\\"\\\\\\${HOME}//*\303\244\" { modules = {");
	/* Each byte, between letters that could be digits of an escape. */
	for (int c = 1; c < 256; c++)
		at += sprintf(at, "\"a\\x%02xf0\",", c);
	strcpy(at, "\"${HOME}\"} }\n");
	print_twice(f, text);
	const struct pool_spec *pool = f->config.pools[0];
	assert_string_equal(pool->name, "'#{}=\"\\${HOME}//*\303\244");
	for (int c = 1; c < 256; c++) {
		const char expected[] = {'a', (char)c, 'f', '0', '\0'};
		assert_string_equal(pool->modules[c - 1], expected);
	}
	assert_string_equal(pool->modules[255], getenv("HOME"));
	assert_null(pool->modules[256]);
}

/* The lines of keys, each where it comes from. */
static void expect_place(struct fixture *f, const char *key, const char *format, ...)
{
	char place[128];
	va_list args;
	va_start(args, format);
	vsnprintf(place, sizeof(place), format, args);
	va_end(args);
	const char *line = strstr(f->printed, key);
	if (!line)
		fail_msg("there is no '%s' in\n%s", key, f->printed);
	size_t size = strcspn(line, "\n"), place_size = strlen(place);
	if (size < place_size || memcmp(line + size - place_size, place, place_size) != 0)
		fail_msg("'%.*s' does not end in '%s'", (int)size, line, place);
}

static void test_each_setting_says_where_it_comes_from(void **state)
{
	struct fixture *f = *state;
	char *modules[] = {"m", NULL};
	f->source.workers = 4;
	f->source.modules = modules;
	print(f, "\nsocket = s\n# x\nworkers = 3\n\nslow_seconds = 1\n"
		 "grace_seconds =\n2\nlimits {\n jobs_page = 3 }\nlimits {\n\njobs_user = 4\n}\n"
		 "access {\n call = {\n}\n}\n"
		 "pool\nx {\n\n modules = {a,\nb}\n access { observe = {} } }\n");
	expect_place(f, "socket = ", " # %s:2", f->path);
	expect_place(f, "workers = 4", " # --workers");
	expect_place(f, "log_level = ", " # default");
	expect_place(f, "grace_seconds = 2", " # %s:7", f->path);
	expect_place(f, "jobs_user = 4", " # %s:13", f->path);
	expect_place(f, "jobs_session = ", " # default");
	expect_place(f, "call = {}", " # %s:16", f->path);
	expect_place(f, "pool \"x\" {", "  # %s:19", f->path);
	expect_place(f, "modules = {\"a\", \"b\"}", " # %s:22", f->path);
	const char *pool = strstr(f->printed, "pool \"x\"");
	memmove(f->printed, pool, strlen(pool) + 1);
	expect_place(f, "workers = 4", " # the daemon's, --workers");
	expect_place(f, "slow_seconds = 1", " # the daemon's, %s:6", f->path);
	expect_place(f, "call = {}", " # the daemon's, %s:16", f->path);
	expect_place(f, "observe = {}", " # %s:24", f->path);
	expect_place(f, "# memory: no limit", " # default");
	expect_place(f, "pool \"default\" {", " # --module");
	expect_place(f, "modules = {\"m\"}", " # --module");
}

static void test_every_key_is_printed_or_said_to_have_no_value(void **state)
{
	struct fixture *f = *state;
	static const struct config_section *const sections[] = {
		&config_daemon_keys, &config_limit_keys, &config_access_keys, &config_pool_keys};
	print(f, "pool x { modules = {a} }\npool y { modules = {a} workers_max = 99 }\n");
	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < sections[i]->count; k++) {
			char value[64], none[64];
			const struct config_key *key = &sections[i]->keys[k];
			snprintf(value, sizeof(value), "%s = ", key->name);
			snprintf(none, sizeof(none), "# %s: ", key->name);
			bool fixed =
				strstr(key->name, "depth") || !strcmp(key->name, "progress_bytes");
			if ((strstr(f->printed, value) || strstr(f->printed, none)) == fixed)
				fail_msg("what is printed is wrong about %s", key->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_source, teardown)
		TEST(test_what_is_printed_gives_the_same_again),
		TEST(test_names_are_quoted_whatever_they_hold),
		TEST(test_each_setting_says_where_it_comes_from),
		TEST(test_every_key_is_printed_or_said_to_have_no_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
