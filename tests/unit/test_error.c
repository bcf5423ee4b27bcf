/* SPDX-License-Identifier: MIT */
#include "proto/error.h"

#include <string.h>

#include "test.h"

static void test_names_and_codes_are_each_others_inverse(void **state)
{
	(void)state;
	for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
		const char *name = error_name((enum error_code)code);
		assert_int_equal(error_from_name(name, strlen(name)), code);
	}
	assert_string_equal(error_name(ERR_WORKER_LOST), "worker-lost");
}

static void test_other_names_have_no_code(void **state)
{
	(void)state;
	assert_int_equal(error_from_name("busy", 3), ERR_NONE);
	assert_int_equal(error_from_name("busy!", 5), ERR_NONE);
	assert_int_equal(error_from_name("", 0), ERR_NONE);
	assert_int_equal(error_from_name("none", 4), ERR_NONE);
	assert_string_equal(error_name(ERR_NONE), "none");
	assert_string_equal(error_name((enum error_code)999), "none");
}

static void test_workers_report_only_what_they_can_know(void **state)
{
	(void)state;
	static const enum error_code workers[] = {
		ERR_BAD_REQUEST,     ERR_UNKNOWN_FUNCTION, ERR_TOO_LARGE,
		ERR_FUNCTION_FAILED, ERR_OUT_OF_MEMORY,    ERR_INITIALIZER_FAILED,
	};
	size_t count = 0;
	for (int code = 0; code < ERR_COUNT; code++)
		count += error_is_workers((enum error_code)code);
	assert_int_equal(count, sizeof(workers) / sizeof(workers[0]));
	for (size_t i = 0; i < count; i++)
		assert_true(error_is_workers(workers[i]));
	assert_false(error_is_workers((enum error_code)999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_codes_are_each_others_inverse),
		cmocka_unit_test(test_other_names_have_no_code),
		cmocka_unit_test(test_workers_report_only_what_they_can_know),
	};
	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
