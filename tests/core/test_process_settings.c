/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "core/pool_spec.h"
#include "core/string_list.h"

static void test_a_new_pool_sets_nothing(void **state)
{
	(void)state;
	struct pool_spec *spec = pool_spec_create("images");
	assert_non_null(spec);
	assert_string_equal(spec->name, "images");
	assert_string_equal(pool_spec_runtime_name(spec), "native");
	assert_null(spec->modules[0]);
	assert_null(spec->process.cwd);
	assert_null(spec->process.environment);
	assert_int_equal(spec->process.limit_count, 0);
	assert_ptr_equal(pool_spec_ref(spec), spec);
	pool_spec_unref(spec);
	assert_int_equal(string_list_append(&spec->runtime, strdup("/usr/bin/perl")), 0);
	assert_string_equal(pool_spec_runtime_name(spec), "/usr/bin/perl");
	pool_spec_unref(spec);
	pool_spec_unref(NULL);
}

static void test_settings_keep_copies_of_what_they_are_given(void **state)
{
	(void)state;
	struct process_settings settings = {0};
	char text[] = "NAME/srv/data";
	assert_int_equal(process_settings_set_cwd(&settings, "/", 1), 0);
	assert_int_equal(process_settings_set_cwd(&settings, text + 4, 4), 0);
	assert_int_equal(process_settings_add_variable(&settings, text, 4, text + 4, 9), 0);
	assert_int_equal(process_settings_add_variable(&settings, text, 4, "", 0), 0);
	memset(text, 'x', sizeof(text));
	assert_string_equal(settings.cwd, "/srv");
	assert_string_equal(settings.environment[0], "NAME=/srv/data");
	assert_string_equal(settings.environment[1], "NAME=");
	assert_null(settings.environment[2]);
	process_settings_fini(&settings);
	assert_null(settings.cwd);
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
	process_settings_set_limit(&settings, RLIMIT_CORE, 5);
	process_settings_set_limit(&settings, RLIMIT_CPU, 6);
	process_settings_set_limit(&settings, RLIMIT_CORE, UINT64_MAX);
	assert_int_equal(settings.limit_count, 2);
	assert_int_equal(settings.limits[0].resource, RLIMIT_CORE);
	assert_true(settings.limits[0].value == UINT64_MAX);
	assert_int_equal(settings.limits[1].resource, RLIMIT_CPU);
	assert_int_equal(settings.limits[1].value, 6);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_pool_sets_nothing),
		cmocka_unit_test(test_settings_keep_copies_of_what_they_are_given),
		cmocka_unit_test(test_processors_are_bits),
		cmocka_unit_test(test_limits_have_the_names_that_administrators_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
