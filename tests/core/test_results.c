/* SPDX-License-Identifier: MIT */
/* Results put together: whatever the order of the runs, the array is the one that was wanted. */
#include "core/results.h"

#include <string.h>

#include "../unit/alloc.h"
#include "../unit/test.h"

#define TASKS 500U

/* Task i's value is the integer 100 * i: of one to five bytes. */
static struct blob *values_of(uint32_t first, uint32_t count)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (uint32_t i = first; i < first + count; i++)
		procpool_write_uint(&w, 100 * i);
	struct blob *blob = blob_copy(w.data, w.size);
	procpool_writer_fini(&w);
	assert_non_null(blob);
	return blob;
}

static void check_array(const struct blob *blob, uint32_t total)
{
	struct procpool_value array, value;
	uint32_t count = 0;
	assert_true(procpool_value_parse(blob->data, blob->size, &array));
	assert_int_equal(array.size, blob->size);
	assert_int_equal(procpool_value_count(array), total);
	struct procpool_iter it = procpool_iter(array);
	for (; procpool_iter_next(&it, &value); count++) {
		uint64_t n;
		assert_true(procpool_value_uint(value, &n));
		assert_int_equal(n, 100 * count);
	}
	assert_int_equal(count, total);
}

/* Held in a blob, or borrowed and gone afterwards. */
static void add(struct results *results, uint32_t first, uint32_t count, bool borrowed)
{
	struct blob *blob = values_of(first, count);
	struct span values = span_of_blob(blob);
	if (borrowed)
		values.blob = NULL;
	assert_int_equal(results_add(results, first, count, values), 0);
	if (borrowed)
		memset(blob->data, 0xc1, blob->size);
	blob_unref(blob);
}

/* Cuts the tasks into runs of random length. Returns how many. */
static size_t cut_runs(uint64_t *random, uint32_t runs[][2])
{
	size_t count = 0;
	for (uint32_t first = 0; first < TASKS; count++) {
		uint32_t length = 1 + (uint32_t)(test_random(random) % 20);
		if (length > TASKS - first)
			length = TASKS - first;
		runs[count][0] = first;
		runs[count][1] = length;
		first += length;
	}
	return count;
}

/* Every run changes places with one at most `reach` before it. */
static void shuffle(uint64_t *random, uint32_t runs[][2], size_t count, size_t reach)
{
	for (size_t i = 1; i < count; i++) {
		size_t back = test_random(random) % (reach + 1), j = back < i ? i - back : 0;
		for (int k = 0; k < 2; k++) {
			uint32_t kept = runs[i][k];
			runs[i][k] = runs[j][k];
			runs[j][k] = kept;
		}
	}
}

static void test_runs_may_come_in_any_order(void **state)
{
	(void)state;
	static const size_t reaches[] = {0, 1, 5, TASKS};
	uint64_t random = 0x0dde4;
	uint32_t runs[TASKS][2];
	for (int round = 0; round < 200; round++) {
		struct results results;
		results_init(&results);
		size_t count = cut_runs(&random, runs), early_max = 0;
		size_t reach = reaches[round % 4];
		shuffle(&random, runs, count, reach);
		for (size_t i = 0; i < count; i++) {
			add(&results, runs[i][0], runs[i][1], i % 2);
			if (results.early_count > early_max)
				early_max = results.early_count;
		}
		/* What comes in order is never kept aside. */
		assert_true(reach == 0 ? early_max == 0 : early_max > 0);
		struct blob *array = results_take(&results, TASKS);
		assert_non_null(array);
		assert_int_equal(array->size, 5 + results.size);
		check_array(array, TASKS);
		blob_unref(array);
		results_fini(&results);
	}
}

static void test_no_tasks_make_an_empty_array(void **state)
{
	(void)state;
	struct results results;
	results_init(&results);
	struct blob *array = results_take(&results, 0);
	assert_non_null(array);
	check_array(array, 0);
	blob_unref(array);
	results_fini(&results);
}

/* The leak checker is the judge. */
static void test_what_was_not_taken_is_freed(void **state)
{
	(void)state;
	struct results results;
	results_init(&results);
	add(&results, 0, 3, false);
	add(&results, 5, 3, false);
	add(&results, 9, 1, true);
	assert_int_equal(results.early_count, 2);
	results_fini(&results);
	assert_null(results.array);
}

static void test_pairs_of_values_and_of_an_error(void **state)
{
	(void)state;
	static const uint8_t values[] = {1, 0xa2, 'h', 'i', 0x80};
	struct blob *blob = results_pairs(3, (struct span){NULL, values, 5});
	assert_value_bytes(span_value(span_of_blob(blob)),
			   BYTES(0x92, 0xc0, 1, 0x92, 0xc0, 0xa2, 'h', 'i', 0x92, 0xc0, 0x80));
	blob_unref(blob);
	blob = results_error_pair(VALUE(0x81, 0xa1, 'x', 2));
	assert_value_bytes(span_value(span_of_blob(blob)), BYTES(0x92, 0x81, 0xa1, 'x', 2, 0xc0));
	blob_unref(blob);
}

static void test_without_memory_there_is_no_blob(void **state)
{
	(void)state;
	static const uint8_t one[] = {1};
	struct results results;
	struct span span = {NULL, one, 1};
	results_init(&results);
	alloc_fail_after(0);
	struct blob *whole = results_take(&results, 0);
	struct blob *pairs = results_pairs(1, span);
	struct blob *pair = results_error_pair(span_value(span));
	alloc_fail_after(-1);
	assert_true(!whole && !pairs && !pair);
	results_fini(&results);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_may_come_in_any_order),
		cmocka_unit_test(test_no_tasks_make_an_empty_array),
		cmocka_unit_test(test_what_was_not_taken_is_freed),
		cmocka_unit_test(test_pairs_of_values_and_of_an_error),
		cmocka_unit_test(test_without_memory_there_is_no_blob),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
