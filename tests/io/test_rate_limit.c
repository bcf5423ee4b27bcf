/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/rate_limit.h"

#define START_US UINT64_C(5000000)

static void test_so_many_lines_in_a_second(void **state)
{
	(void)state;
	struct rate_limit limit = {0};
	assert_false(rate_limit_is_over(&limit, START_US));
	for (unsigned i = 0; i < RATE_LINES_MAX; i++)
		assert_true(rate_limit_take(&limit, 10, START_US + i));
	assert_false(rate_limit_is_over(&limit, START_US + 200));
	for (unsigned i = 0; i < 7; i++)
		assert_false(rate_limit_take(&limit, 0, START_US + 300));
	assert_int_equal(limit.dropped, 7);
	assert_true(rate_limit_is_over(&limit, START_US + RATE_PERIOD_US - 1));
	assert_false(rate_limit_is_over(&limit, START_US + RATE_PERIOD_US));
	assert_true(rate_limit_take(&limit, 10, START_US + RATE_PERIOD_US));
	assert_int_equal(limit.dropped, 7);
}

static void test_so_many_bytes_in_a_second(void **state)
{
	(void)state;
	struct rate_limit limit = {0};
	for (unsigned i = 0; i < 64; i++)
		assert_true(rate_limit_take(&limit, RATE_BYTES_MAX / 64, START_US));
	assert_false(rate_limit_take(&limit, 1, START_US));
	/* Also a shorter one, which would mislead where longer ones are missing. */
	assert_false(rate_limit_take(&limit, 0, START_US));
	assert_int_equal(limit.dropped, 2);
}

static void test_the_second_begins_with_its_first_line(void **state)
{
	(void)state;
	struct rate_limit limit = {0};
	assert_true(rate_limit_take(&limit, 1, START_US));
	for (unsigned i = 0; i < RATE_LINES_MAX; i++)
		assert_true(rate_limit_take(&limit, 1, START_US + 3 * RATE_PERIOD_US));
	assert_false(rate_limit_take(&limit, 1, START_US + 4 * RATE_PERIOD_US - 1));
	assert_true(rate_limit_take(&limit, 1, START_US + 4 * RATE_PERIOD_US));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_so_many_lines_in_a_second),
		cmocka_unit_test(test_so_many_bytes_in_a_second),
		cmocka_unit_test(test_the_second_begins_with_its_first_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
