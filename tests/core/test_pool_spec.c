/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* What is said of the numbers of workers (0: nothing), and what follows where the daemon keeps 5.
 */
static void check_settled(unsigned workers, unsigned min, unsigned max, const unsigned *expected)
{
	struct pool_spec *spec = pool_spec_create("x");
	assert_non_null(spec);
	spec->workers = workers;
	spec->workers_min = min;
	spec->workers_max = max;
	pool_spec_settle(spec, 5);
	assert_int_equal(spec->workers, expected[0]);
	assert_int_equal(spec->workers_min, expected[1]);
	assert_int_equal(spec->workers_max, expected[2]);
	pool_spec_unref(spec);
}

static void test_numbers_of_workers_follow_from_what_was_said(void **state)
{
	(void)state;
	check_settled(0, 0, 0, (unsigned[]){5, 5, 5});
	check_settled(3, 0, 0, (unsigned[]){3, 3, 3});
	check_settled(0, 2, 9, (unsigned[]){2, 2, 9});
	check_settled(0, 2, 0, (unsigned[]){2, 2, 5});
	check_settled(0, 7, 0, (unsigned[]){7, 7, 7});
	check_settled(0, 0, 9, (unsigned[]){1, 1, 9});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_pool_sets_nothing),
		cmocka_unit_test(test_numbers_of_workers_follow_from_what_was_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
