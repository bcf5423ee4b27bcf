/* SPDX-License-Identifier: MIT */
#include "proto/params.h"

#include <string.h>

#include "alloc.h"
#include "test.h"

static const struct param wait_params[] = {{"job", PARAM_JOB}, {"seconds", PARAM_SECONDS}};
static const struct param keys[] = {{"limit", PARAM_COUNT}, {"pool", PARAM_STRING}};

static struct problem problem;
static struct procpool_value got[4];

static bool read_wait(struct procpool_value params)
{
	return params_read(params, wait_params, 1, 2, 8, got, &problem);
}

static bool read_keys(struct procpool_value map)
{
	return params_read_map(map, "key", keys, 2, 8, got, &problem);
}

static bool check(struct procpool_value value, enum param_type type)
{
	return params_check(value, type, 4, "param", "x", &problem);
}

static void test_positional_params(void **state)
{
	(void)state;
	assert_true(read_wait(VALUE(0x92, 5, 0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0)));
	assert_value_bytes(got[0], BYTES(5));
	assert_int_equal(got[1].size, 9);
	assert_true(read_wait(VALUE(0x92, 5, 0xc0)));
	assert_value_bytes(got[1], BYTES(0xc0));
	assert_true(read_wait(VALUE(0x91, 5)));
	assert_int_equal(got[1].size, 0);
}

static void test_positional_mistakes_are_named(void **state)
{
	(void)state;
	assert_false(read_wait(VALUE(0x90)));
	assert_string_equal(problem.text, "param 'job' is missing");
	assert_false(read_wait(VALUE(0x93, 5, 0, 0)));
	assert_string_equal(problem.text, "3 params are too many, at most 2 are taken");
	assert_false(read_wait(VALUE(0x91, 0)));
	assert_non_null(strstr(problem.text, "param 'job' must be a job id"));
	assert_false(read_wait(VALUE(0x92, 5, 0xff)));
	assert_non_null(strstr(problem.text, "param 'seconds' must be a number of seconds"));
	assert_false(params_read(VALUE(0x91, 1), wait_params, 0, 0, 8, got, &problem));
}

static void test_known_keys(void **state)
{
	(void)state;
	assert_true(read_keys(VALUE(0x82, 0xa4, 'p', 'o', 'o', 'l', 0xa1, 'a', 0xc4, 5, 'l', 'i',
				    'm', 'i', 't', 9)));
	assert_value_bytes(got[0], BYTES(9));
	assert_value_bytes(got[1], BYTES(0xa1, 'a'));
	assert_true(read_keys(VALUE(0x80)));
	assert_int_equal(got[0].size + got[1].size, 0);
	assert_true(read_keys((struct procpool_value){0}));
}

static void test_mistaken_keys_are_named(void **state)
{
	(void)state;
	assert_false(read_keys(VALUE(0x81, 0xa2, 'x', '\n', 1)));
	assert_string_equal(problem.text, "unknown key 'x?'");
	assert_false(read_keys(VALUE(0x82, 0xa4, 'p', 'o', 'o', 'l', 0xa1, 'a', 0xa4, 'p', 'o', 'o',
				     'l', 0xa1, 'a')));
	assert_string_equal(problem.text, "key 'pool' is given twice");
	assert_false(read_keys(VALUE(0x81, 0xa4, 'p', 'o', 'o', 'l', 1)));
	assert_string_equal(problem.text, "key 'pool' must be a string");
	assert_false(read_keys(VALUE(0x81, 5, 1)));
	assert_string_equal(problem.text, "a key of type int is no key");
	assert_false(
		read_keys(VALUE(0x81, 0xa4, 'p', 'o', 'o', 'l', 0xa9, 1, 2, 3, 4, 5, 6, 7, 8, 9)));
	assert_string_equal(problem.text, "key 'pool' is longer than 8 bytes");
}

static void test_hostile_keys_are_quoted_short(void **state)
{
	(void)state;
	uint8_t map[300] = {0x81, 0xda, 1, 0};
	memset(map + 4, 0xff, 256);
	map[4 + 256] = 1;
	unsigned long before = alloc_calls();
	assert_false(read_keys((struct procpool_value){map, 4 + 256 + 1}));
	assert_int_equal(alloc_calls(), before);
	assert_string_equal(problem.text,
			    "unknown key '????????????????????????????????????????...'");
}

static void test_types(void **state)
{
	(void)state;
	assert_true(check(VALUE(0xc0), PARAM_ANY));
	assert_false(check((struct procpool_value){0}, PARAM_ANY));
	assert_true(check(VALUE(0xc2), PARAM_BOOL));
	assert_false(check(VALUE(0), PARAM_BOOL));
	assert_true(check(VALUE(0xa4, 1, 2, 3, 4), PARAM_STRING));
	assert_false(check(VALUE(0xa5, 1, 2, 3, 4, 5), PARAM_STRING));
	assert_true(check(VALUE(0xc4, 0), PARAM_STRING));
	assert_true(check(VALUE(0), PARAM_UINT));
	assert_false(check(VALUE(0xff), PARAM_UINT));
	assert_false(check(VALUE(0xca, 0, 0, 0, 0), PARAM_UINT));
	assert_true(check(VALUE(0), PARAM_DELAY));
	assert_true(check(VALUE(0xca, 0x3f, 0x80, 0, 0), PARAM_DELAY));
	assert_false(check(VALUE(0xff), PARAM_DELAY));
	assert_false(check(VALUE(0xc0), PARAM_DELAY));
	assert_false(check(VALUE(0xca, 0x7f, 0x80, 0, 0), PARAM_DELAY));
	assert_true(check(VALUE(1), PARAM_COUNT));
	assert_false(check(VALUE(0), PARAM_COUNT));
	assert_false(check(VALUE(0xff), PARAM_COUNT));
	assert_true(check(VALUE(0xff), PARAM_INT));
	assert_false(check(VALUE(0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0), PARAM_INT));
	assert_true(check(VALUE(0xcf, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), PARAM_JOB));
	assert_false(check(VALUE(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0), PARAM_JOB));
	assert_false(check(VALUE(0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0), PARAM_JOB));
	assert_true(check(VALUE(0), PARAM_SECONDS));
	assert_true(check(VALUE(0xc0), PARAM_SECONDS));
	assert_true(check(VALUE(0xca, 0x80, 0, 0, 0), PARAM_SECONDS)); /* -0.0 */
	assert_false(check(VALUE(0xca, 0xbf, 0x80, 0, 0), PARAM_SECONDS));
	assert_false(check(VALUE(0xca, 0x7f, 0x80, 0, 0), PARAM_SECONDS)); /* infinity */
	assert_false(check(VALUE(0xca, 0x7f, 0xc0, 0, 0), PARAM_SECONDS)); /* nan */
	assert_false(check(VALUE(0xa1, '1'), PARAM_SECONDS));
	assert_true(check(VALUE(0x90), PARAM_ARRAY));
	assert_false(check(VALUE(0x80), PARAM_ARRAY));
	assert_true(check(VALUE(0x80), PARAM_MAP));
	assert_false(check(VALUE(0xc0), PARAM_MAP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_positional_params),
		cmocka_unit_test(test_positional_mistakes_are_named),
		cmocka_unit_test(test_known_keys),
		cmocka_unit_test(test_mistaken_keys_are_named),
		cmocka_unit_test(test_hostile_keys_are_quoted_short),
		cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
