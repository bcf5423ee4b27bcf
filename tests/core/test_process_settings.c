/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "core/process_settings.h"

static void test_settings_keep_copies_of_what_they_are_given(void **state)
{
	(void)state;
	struct process_settings settings = {0};
	char text[] = "NAME/srv/data";
	assert_int_equal(process_settings_set_cwd(&settings, "/", 1), 0);
	assert_int_equal(process_settings_set_cwd(&settings, text + 4, 4), 0);
	assert_int_equal(process_settings_set_variable(&settings, text, 4, text + 4, 9), 0);
	assert_int_equal(process_settings_set_variable(&settings, text, 3, "", 0), 0);
	assert_int_equal(process_settings_set_variable(&settings, text, 2, NULL, 0), 0);
	memset(text, 'x', sizeof(text));
	assert_string_equal(settings.cwd, "/srv");
	assert_string_equal(settings.environment[0], "NAME=/srv/data");
	assert_string_equal(settings.environment[1], "NAM=");
	assert_string_equal(settings.environment[2], "NA");
	assert_null(settings.environment[3]);
	process_settings_fini(&settings);
	assert_null(settings.cwd);
}

static void test_a_variable_is_set_once_and_there_is_an_end_to_them(void **state)
{
	(void)state;
	struct process_settings settings = {0};
	char name[8];
	assert_int_equal(process_settings_set_variable(&settings, "A", 1, "1", 1), 0);
	assert_int_equal(process_settings_set_variable(&settings, "B", 1, NULL, 0), 0);
	assert_int_equal(process_settings_set_variable(&settings, "A", 1, "2", 1), -EEXIST);
	assert_int_equal(process_settings_set_variable(&settings, "B", 1, "2", 1), -EEXIST);
	for (int i = 2; i < PROCESS_VARIABLES_MAX; i++) {
		int size = snprintf(name, sizeof(name), "V%d", i);
		assert_int_equal(
			process_settings_set_variable(&settings, name, (size_t)size, "", 0), 0);
	}
	assert_int_equal(process_settings_set_variable(&settings, "C", 1, "", 0), -E2BIG);
	process_settings_fini(&settings);
}

static void test_limits_have_the_names_that_administrators_know(void **state)
{
	(void)state;
	struct process_settings settings = {0};
	assert_int_equal(process_settings_find_limit("cpu", 3), RLIMIT_CPU);
	assert_int_equal(process_settings_find_limit("nofile!", 6), RLIMIT_NOFILE);
	assert_int_equal(process_settings_find_limit("stack", 5), RLIMIT_STACK);
	assert_int_equal(process_settings_find_limit("nofil", 5), -1);
	assert_int_equal(process_settings_find_limit("", 0), -1);
	process_settings_set_limit(&settings, RLIMIT_CORE, 5, 5);
	process_settings_set_limit(&settings, RLIMIT_CPU, 6, 6);
	process_settings_set_limit(&settings, RLIMIT_CORE, 0, UINT64_MAX);
	assert_int_equal(settings.limit_count, 2);
	assert_int_equal(settings.limits[0].resource, RLIMIT_CORE);
	assert_true(settings.limits[0].soft == 0 && settings.limits[0].hard == UINT64_MAX);
	assert_int_equal(settings.limits[1].resource, RLIMIT_CPU);
	assert_int_equal(settings.limits[1].soft, 6);
	assert_int_equal(settings.limits[1].hard, 7);
}

static void test_processors_are_bits(void **state)
{
	(void)state;
	struct process_settings settings = {0};
	process_settings_add_cpu(&settings, 0);
	process_settings_add_cpu(&settings, 65);
	process_settings_add_cpu(&settings, PROCESS_CPUS_MAX - 1);
	assert_int_equal(settings.cpus[0], 1);
	assert_int_equal(settings.cpus[1], 2);
	assert_true(settings.cpus[PROCESS_CPUS_MAX / 64 - 1] == UINT64_C(1) << 63);
}

static void test_processors_are_counted(void **state)
{
	struct process_settings settings = {0};
	(void)state;
	assert_int_equal(process_settings_cpus(&settings), 0);
	process_settings_add_cpu(&settings, 0);
	process_settings_add_cpu(&settings, 63);
	process_settings_add_cpu(&settings, 64);
	process_settings_add_cpu(&settings, 64);
	process_settings_add_cpu(&settings, PROCESS_CPUS_MAX - 1);
	assert_int_equal(process_settings_cpus(&settings), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processors_are_counted),
		cmocka_unit_test(test_settings_keep_copies_of_what_they_are_given),
		cmocka_unit_test(test_a_variable_is_set_once_and_there_is_an_end_to_them),
		cmocka_unit_test(test_processors_are_bits),
		cmocka_unit_test(test_limits_have_the_names_that_administrators_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
