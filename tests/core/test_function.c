/* SPDX-License-Identifier: MIT */
#include "core/function.h"

#include "../unit/test.h"
#include "core/histogram.h"

static void test_functions_are_found_by_their_whole_name(void **state)
{
	(void)state;
	struct function_table table = {0};
	assert_int_equal(function_table_add(&table, NULL, "demo.inc", 8, "x + 1", 5), 0);
	struct function *inc = function_table_find(&table, "demo.inc", 8);
	assert_string_equal(inc->name, "demo.inc");
	assert_string_equal(inc->doc, "x + 1");
	assert_null(function_table_find(&table, "demo.in", 7));
	assert_null(function_table_find(&table, "demo.incr", 9));
	assert_null(function_table_find(&table, "", 0));
	function_table_fini(&table);
}

static void test_function_added_again_keeps_what_was_measured(void **state)
{
	(void)state;
	struct function_table table = {0};
	function_table_add(&table, NULL, "f", 1, "old", 3);
	struct function *f = function_table_find(&table, "f", 1);
	function_measure(f, 50, 1);
	assert_int_equal(function_table_add(&table, NULL, "f", 1, "new", 3), 0);
	assert_ptr_equal(function_table_find(&table, "f", 1), f);
	assert_string_equal(f->doc, "new");
	assert_int_equal(f->samples, 1);
	function_table_fini(&table);
}

static void test_mean_rises_quickly_and_falls_slowly(void **state)
{
	(void)state;
	struct function f = {0};
	function_measure(&f, 1000, 10);
	assert_true(f.mean_us == 100);
	assert_int_equal(f.samples, 10);
	function_measure(&f, 500, 1);
	assert_true(f.mean_us == 200);
	function_measure(&f, 40, 1);
	assert_true(f.mean_us == 190);
	for (int i = 0; i < 200; i++)
		function_measure(&f, 40, 1);
	assert_true(f.mean_us > 39.9 && f.mean_us < 40.1);
}

static unsigned distance(const char *a, const char *b, unsigned limit)
{
	return name_distance(a, strlen(a), b, strlen(b), limit);
}

static void test_distance_of_names_is_single_letter_edits(void **state)
{
	(void)state;
	assert_int_equal(distance("demo.inc", "demo.inc", 3), 0);
	assert_int_equal(distance("demo.inc", "demo.ink", 3), 1);
	assert_int_equal(distance("demo.inc", "deno.inc1", 3), 2);
	assert_int_equal(distance("kitten", "sitting", 3), 3);
	assert_int_equal(distance("", "abc", 3), 3);
	assert_int_equal(distance("abc", "", 2), 3);
	assert_int_equal(distance("abc", "xyzuvw", 2), 3);
	char longer[70];
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(name_distance(longer, 70, longer, 70, 2), 3);
	assert_int_equal(name_distance(longer, 64, longer, 64, 2), 0);
}

static void test_histogram_buckets_double(void **state)
{
	(void)state;
	static const struct {
		uint64_t us;
		unsigned bucket;
	} cases[] = {{0, 0},
		     {1, 0},
		     {2, 1},
		     {3, 2},
		     {4, 2},
		     {5, 3},
		     {1024, 10},
		     {1025, 11},
		     {UINT64_C(1) << 31, 31},
		     {(UINT64_C(1) << 31) + 1, 32},
		     {UINT64_C(1) << 50, 32}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct histogram h = {0};
		histogram_add(&h, cases[i].us, 3);
		assert_int_equal(h.counts[cases[i].bucket], 3);
		assert_int_equal(h.count, 3);
		assert_true(h.sum_us == 3 * cases[i].us);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_are_found_by_their_whole_name),
		cmocka_unit_test(test_function_added_again_keeps_what_was_measured),
		cmocka_unit_test(test_mean_rises_quickly_and_falls_slowly),
		cmocka_unit_test(test_distance_of_names_is_single_letter_edits),
		cmocka_unit_test(test_histogram_buckets_double),
	};
	return cmocka_run_group_tests_name("function", tests, NULL, NULL);
}
