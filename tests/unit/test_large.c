/* SPDX-License-Identifier: MIT */
#include "proto/large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc.h"
#include "test.h"

#define SMALL  ((size_t)1000)
#define LARGER (3 * LARGE_MIN + 5)

static int teardown(void **state)
{
	(void)state;
	alloc_fail_after(-1);
	return 0;
}

static uint8_t *resize(uint8_t *data, size_t old_size, size_t new_size)
{
	uint8_t *resized = large_resize(data, old_size, new_size);
	assert_non_null(resized);
	return resized;
}

/* Every size on the way up and down, across the border and not. */
static void test_contents_stay_wherever_they_move(void **state)
{
	static const size_t sizes[] = {
		SMALL,  2 * SMALL, LARGE_MIN - 1, LARGE_MIN, LARGER,
		LARGER, LARGE_MIN, LARGER,        SMALL,     LARGE_MIN,
	};
	uint8_t *data = resize(NULL, 0, SMALL);
	size_t size = SMALL;
	(void)state;
	memset(data, 7, SMALL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		data = resize(data, size, sizes[i]);
		size = sizes[i];
		for (size_t j = 0; j < SMALL; j++)
			assert_int_equal(data[j], 7);
		data[size - 1] = 7;
	}
	large_free(data, size);
}

static void test_large_memory_is_no_business_of_malloc(void **state)
{
	unsigned long calls = alloc_calls();
	(void)state;
	large_free(resize(resize(NULL, 0, LARGE_MIN), LARGE_MIN, LARGER), LARGER);
	assert_int_equal(alloc_calls(), calls);
}

static void test_freed_large_memory_goes_back_to_the_system(void **state)
{
	uint8_t *data = resize(NULL, 0, LARGER);
	uint8_t *page = (uint8_t *)((uintptr_t)data & ~(uintptr_t)4095);
	unsigned char resident;
	(void)state;
	memset(data, 1, LARGER);
	assert_int_equal(mincore(page, 4096, &resident), 0);
	large_free(data, LARGER);
	assert_int_equal(mincore(page, 4096, &resident), -1);
	assert_int_equal(errno, ENOMEM);
}

static void test_without_memory_the_old_one_is_unchanged(void **state)
{
	uint8_t *data = resize(NULL, 0, LARGE_MIN);
	(void)state;
	memset(data, 3, SMALL);
	assert_null(large_resize(data, LARGE_MIN, SIZE_MAX));
	assert_null(large_resize(data, LARGE_MIN, SIZE_MAX / 4));
	alloc_fail_after(0);
	assert_null(large_resize(data, LARGE_MIN, SMALL));
	assert_null(large_resize(NULL, 0, SMALL));
	assert_int_equal(data[SMALL - 1], 3);
	large_free(data, LARGE_MIN);
	large_free(NULL, 0);
}

static void test_memory_of_malloc_stays_what_it_is(void **state)
{
	uint8_t *data = malloc(LARGER);
	(void)state;
	assert_non_null(data);
	data[0] = data[LARGER - 1] = 9;
	large_advise(data, LARGER);
	large_advise(data + 1, LARGE_MIN);
	large_advise(data, SMALL);
	assert_int_equal(data[0] + data[LARGER - 1], 18);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contents_stay_wherever_they_move),
		cmocka_unit_test(test_large_memory_is_no_business_of_malloc),
		cmocka_unit_test(test_freed_large_memory_goes_back_to_the_system),
		cmocka_unit_test(test_memory_of_malloc_stays_what_it_is),
		cmocka_unit_test_teardown(test_without_memory_the_old_one_is_unchanged, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
