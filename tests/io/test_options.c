/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/cpu_count.h"
#include "options.h"

#define ARGC_MAX 16

/* A configuration that says nothing, so that no file of this machine counts. */
#define NO_FILE "--config=/dev/null"

struct fixture {
	struct options options;
	struct config config;
	char *argv[ARGC_MAX + 1]; /* heap copies, so that a read too far shows */
	char path[64];
	char output[8192]; /* what was printed on both streams */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	config_init(&f->config);
	strcpy(f->path, "/tmp/procpool-options-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	*state = f;
	return 0;
}

static void forget(struct fixture *f)
{
	options_fini(&f->options);
	config_fini(&f->config);
	for (int i = 0; i < ARGC_MAX; i++) {
		free(f->argv[i]);
		f->argv[i] = NULL;
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	forget(f);
	unlink(f->path);
	free(f);
	return 0;
}

static int capture(int target, FILE *file)
{
	fflush(NULL);
	int usual = dup(target);
	dup2(fileno(file), target);
	return usual;
}

static void restore(int target, int usual)
{
	fflush(NULL);
	dup2(usual, target);
	close(usual);
}

/* Parses the words, which spaces separate ('' is an empty one). */
static int parse(struct fixture *f, const char *words)
{
	int argc = 0;
	char *text = strdup(words), *rest = text, *word;
	FILE *file = tmpfile();
	forget(f);
	f->argv[argc++] = strdup("procpoold");
	while ((word = strsep(&rest, " ")) && argc < ARGC_MAX)
		if (word[0] != '\0')
			f->argv[argc++] = strdup(strcmp(word, "''") == 0 ? "" : word);
	free(text);
	int out = capture(STDOUT_FILENO, file), err = capture(STDERR_FILENO, file);
	int r = options_parse(&f->options, argc, f->argv);
	restore(STDOUT_FILENO, out);
	restore(STDERR_FILENO, err);
	rewind(file);
	f->output[fread(f->output, 1, sizeof(f->output) - 1, file)] = '\0';
	fclose(file);
	return r;
}

static void settle(struct fixture *f, const char *words)
{
	char *error = NULL;
	assert_int_equal(parse(f, words), OPTIONS_RUN);
	assert_string_equal(f->output, "");
	if (config_read(&f->options.source, &f->config, &error) < 0)
		fail_msg("%s", error);
}

static void write_config(struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");
	fputs(text, file);
	fclose(file);
}

static void test_without_anything_said_it_serves_demo(void **state)
{
	struct fixture *f = *state;
	settle(f, NO_FILE);
	assert_null(f->config.socket);
	assert_int_equal(f->config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(f->config.pool_count, 1);
	assert_string_equal(f->config.pools[0]->name, "default");
	assert_string_equal(f->config.pools[0]->modules[0], "demo");
	assert_null(f->config.pools[0]->modules[1]);
	assert_int_equal(f->config.pools[0]->workers, cpu_count() + 1);
}

static void test_demo_is_not_served_where_that_is_said(void **state)
{
	struct fixture *f = *state;
	settle(f, "--no-demo " NO_FILE);
	assert_int_equal(f->config.pool_count, 0);
	settle(f, "--system " NO_FILE);
	assert_int_equal(f->config.pool_count, 0);
	settle(f, "--system -m demo " NO_FILE);
	assert_int_equal(f->config.pool_count, 1);
}

static void test_the_command_line_is_taken(void **state)
{
	struct fixture *f = *state;
	settle(f, "--socket /x/s --workers 7 --module digest --module=/lib/y.so -m z --log-level "
		  "debug " NO_FILE);
	assert_string_equal(f->config.socket, "/x/s");
	assert_int_equal(f->config.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(f->config.pool_count, 1);
	assert_string_equal(f->config.pools[0]->modules[0], "digest");
	assert_string_equal(f->config.pools[0]->modules[1], "/lib/y.so");
	assert_string_equal(f->config.pools[0]->modules[2], "z");
	assert_null(f->config.pools[0]->modules[3]);
	assert_int_equal(f->config.pools[0]->workers, 7);
}

static void test_the_command_line_outranks_the_file(void **state)
{
	struct fixture *f = *state;
	char words[160];
	write_config(f, "socket = \"/file\"\nworkers = 3\nlog_level = error\n"
			"pool a { modules = {x} workers = 2 }\npool b { modules = {y} }\n");
	snprintf(words, sizeof(words), "-c %s", f->path);
	settle(f, words);
	assert_string_equal(f->config.socket, "/file");
	assert_int_equal(f->config.log_level, LOG_LEVEL_ERROR);
	assert_int_equal(f->config.pool_count, 2);
	assert_int_equal(f->config.pools[0]->workers, 2);
	assert_int_equal(f->config.pools[1]->workers, 3);

	snprintf(words, sizeof(words), "-c %s -s /line -w 5 -l info -m demo", f->path);
	settle(f, words);
	assert_string_equal(f->config.socket, "/line");
	assert_int_equal(f->config.log_level, LOG_LEVEL_INFO);
	assert_int_equal(f->config.pool_count, 3);
	assert_int_equal(config_find_pool(&f->config, "a")->workers, 2);
	assert_int_equal(config_find_pool(&f->config, "b")->workers, 5);
	assert_int_equal(config_find_pool(&f->config, "default")->workers, 5);
}

static void test_settings_that_contradict_are_refused(void **state)
{
	struct fixture *f = *state;
	char words[160], *error = NULL;
	write_config(f, "pool default { modules = {x} }\n");
	snprintf(words, sizeof(words), "-c %s -m demo", f->path);
	assert_int_equal(parse(f, words), OPTIONS_RUN);
	assert_int_equal(config_read(&f->options.source, &f->config, &error), -EINVAL);
	assert_non_null(strstr(error, "'default'"));
	free(error);

	assert_int_equal(parse(f, "-c /nonexistent/file"), OPTIONS_RUN);
	assert_int_equal(config_read(&f->options.source, &f->config, &error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/file"));
	free(error);
}

static void test_help_and_version(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(parse(f, "--help"), OPTIONS_EXIT);
	assert_memory_equal(f->output, "Usage: procpoold ", 17);
	static const char *const options[] = {"--socket",    "--workers", "--module",  "--config",
					      "--log-level", "--private", "--creator", "--system",
					      "--no-demo",   "--help",    "--version"};
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		assert_non_null(strstr(f->output, options[i]));
	assert_int_equal(parse(f, "--version"), OPTIONS_EXIT);
	assert_memory_equal(f->output, "procpoold ", 10);
}

static void test_a_private_daemon_serves_what_is_said_and_logs_warnings(void **state)
{
	struct fixture *f = *state;
	char words[160];
	settle(f, "--private --creator 5");
	assert_true(f->options.source.is_private);
	assert_int_equal(f->options.creator, 5);
	assert_int_equal(f->config.log_level, LOG_LEVEL_WARNING);
	assert_int_equal(f->config.pool_count, 0);
	settle(f, "--private -m x -l info");
	assert_int_equal(f->options.creator, -1);
	assert_int_equal(f->config.log_level, LOG_LEVEL_INFO);
	assert_string_equal(f->config.pools[0]->modules[0], "x");
	write_config(f, "log_level = error\npool a { modules = {x} }\n");
	snprintf(words, sizeof(words), "--private -c %s", f->path);
	settle(f, words);
	assert_int_equal(f->config.log_level, LOG_LEVEL_ERROR);
	assert_int_equal(f->config.pool_count, 1);
	settle(f, NO_FILE);
	assert_false(f->options.source.is_private);
}

static void test_mistakes_are_explained(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *words, *reason;
	} cases[] = {
		{"--nonsense", "nonsense"},
		{"--workers", "requires an argument"},
		{"--workers 0", "--workers is '0', and must be a whole number from 1 to 4096"},
		{"--workers 4097", "from 1 to 4096"},
		{"--workers -1", "from 1 to 4096"},
		{"--workers 2x", "--workers is '2x'"},
		{"--workers ''", "--workers is ''"},
		{"--log-level loud", "must be error, warning, info or debug"},
		{"--socket ''", "--socket is empty"},
		{"--config ''", "--config is empty"},
		{"-m demo --module ''", "--module is empty"},
		{"demo", "say --module demo"},
		{"--private --socket /x", "leave --socket out"},
		{"--private --system", "leave one out"},
		{"--check-config --print-config", "do one thing each"},
		{"--creator 3", "--creator says whose daemon --private is"},
		{"--private --creator 2", "--creator is '2', and must be the number of a pidfd"},
		{"--private --creator 3x", "--creator is '3x'"},
		{"--private --creator 99999999999", "--creator is '99999999999'"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(parse(f, cases[i].words), OPTIONS_USAGE);
		if (!strstr(f->output, cases[i].reason) ||
		    !strstr(f->output, "Try 'procpoold --help'"))
			fail_msg("'%s' is answered with '%s'", cases[i].words, f->output);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_without_anything_said_it_serves_demo),
		TEST(test_demo_is_not_served_where_that_is_said),
		TEST(test_the_command_line_is_taken),
		TEST(test_the_command_line_outranks_the_file),
		TEST(test_settings_that_contradict_are_refused),
		TEST(test_help_and_version),
		TEST(test_a_private_daemon_serves_what_is_said_and_logs_warnings),
		TEST(test_mistakes_are_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
