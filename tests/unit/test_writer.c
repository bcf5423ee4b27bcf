/* SPDX-License-Identifier: MIT */
#include "procpool/value.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

static int setup(void **state)
{
	static struct procpool_writer writer;
	procpool_writer_init(&writer);
	*state = &writer;
	return 0;
}

static int teardown(void **state)
{
	alloc_fail_after(-1);
	procpool_writer_fini(*state);
	return 0;
}

static void assert_wrote(struct procpool_writer *w, const uint8_t *data, size_t size)
{
	assert_value_bytes(procpool_writer_value(w), data, size);
	procpool_writer_reset(w);
}

static void test_integers_take_their_shortest_form(void **state)
{
	struct procpool_writer *w = *state;
	procpool_write_int(w, 0);
	procpool_write_int(w, 127);
	procpool_write_int(w, -1);
	procpool_write_int(w, -32);
	assert_wrote(w, BYTES(0x00, 0x7f, 0xff, 0xe0));
	procpool_write_int(w, 128);
	procpool_write_int(w, 256);
	assert_wrote(w, BYTES(0xcc, 0x80, 0xcd, 1, 0));
	procpool_write_int(w, -33);
	procpool_write_int(w, -129);
	assert_wrote(w, BYTES(0xd0, 0xdf, 0xd1, 0xff, 0x7f));
	procpool_write_uint(w, 65536);
	assert_wrote(w, BYTES(0xce, 0, 1, 0, 0));
	procpool_write_uint(w, UINT64_MAX);
	assert_wrote(w, BYTES(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
	procpool_write_int(w, INT64_MIN);
	assert_wrote(w, BYTES(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0));
}

static void test_what_is_written_reads_back(void **state)
{
	struct procpool_writer *w = *state;
	uint64_t random = 3;
	for (int i = 0; i < 2000; i++) {
		uint64_t n = test_random(&random) >> test_random(&random) % 64;
		double d = (double)n * DBL_EPSILON, got_d;
		int64_t got;
		uint64_t got_u;
		procpool_write_int(w, (int64_t)n);
		assert_true(procpool_value_int(procpool_writer_value(w), &got));
		assert_true(got == (int64_t)n);
		procpool_writer_reset(w);
		procpool_write_uint(w, n);
		assert_true(procpool_value_uint(procpool_writer_value(w), &got_u));
		assert_true(got_u == n);
		procpool_writer_reset(w);
		procpool_write_double(w, d);
		assert_true(procpool_value_double(procpool_writer_value(w), &got_d));
		assert_memory_equal(&got_d, &d, sizeof(d));
		procpool_writer_reset(w);
	}
}

static void test_scalars_and_strings(void **state)
{
	struct procpool_writer *w = *state;
	procpool_write_nil(w);
	procpool_write_bool(w, true);
	procpool_write_bool(w, false);
	assert_wrote(w, BYTES(0xc0, 0xc3, 0xc2));
	procpool_write_string(w, "");
	procpool_write_string(w, "ab");
	procpool_write_string_n(w, "a\0b", 3);
	assert_wrote(w, BYTES(0xa0, 0xa2, 'a', 'b', 0xa3, 'a', 0, 'b'));
	procpool_write_bytes(w, "ab", 2);
	procpool_write_bytes(w, NULL, 0);
	assert_wrote(w, BYTES(0xc4, 2, 'a', 'b', 0xc4, 0));
	procpool_write_ext(w, -2, "x", 1);
	procpool_write_ext(w, 3, "xyz", 3);
	assert_wrote(w, BYTES(0xd4, 0xfe, 'x', 0xc7, 3, 3, 'x', 'y', 'z'));
	procpool_write_double(w, 1.5);
	assert_wrote(w, BYTES(0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0));
}

static void test_string_headers_grow_with_their_size(void **state)
{
	static const struct {
		size_t size, header;
	} rows[] = {{31, 1}, {32, 2}, {255, 2}, {256, 3}, {65535, 3}, {65536, 5}};
	struct procpool_writer *w = *state;
	char *text = calloc(1, 65536);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got;
		size_t got_size;
		procpool_write_string_n(w, text, rows[i].size);
		assert_int_equal(w->size, rows[i].header + rows[i].size);
		assert_true(procpool_value_string(procpool_writer_value(w), &got, &got_size));
		assert_int_equal(got_size, rows[i].size);
		procpool_writer_reset(w);
	}
	free(text);
}

static void test_containers(void **state)
{
	struct procpool_writer *w = *state;
	procpool_write_array(w, 2);
	procpool_write_map(w, 1);
	procpool_write_string(w, "k");
	procpool_write_value(w, VALUE(0x91, 0xc0));
	procpool_write_value(w, (struct procpool_value){0});
	procpool_write_int(w, 5);
	assert_wrote(w, BYTES(0x92, 0x81, 0xa1, 'k', 0x91, 0xc0, 5));
	procpool_write_array(w, 16);
	procpool_write_map(w, 16);
	procpool_write_array(w, 65536);
	procpool_write_map(w, 65536);
	assert_wrote(w, BYTES(0xdc, 0, 16, 0xde, 0, 16, 0xdd, 0, 1, 0, 0, 0xdf, 0, 1, 0, 0));
}

static void test_open_array_gets_its_count_later(void **state)
{
	struct procpool_writer *w = *state;
	procpool_write_nil(w);
	size_t place = procpool_write_open_array(w);
	procpool_write_int(w, 1);
	procpool_write_int(w, 2);
	procpool_write_count(w, place, 2);
	assert_wrote(w, BYTES(0xc0, 0xdd, 0, 0, 0, 2, 1, 2));
	place = procpool_write_open_array(w);
	procpool_write_count(w, place, 0x01020304);
	assert_wrote(w, BYTES(0xdd, 1, 2, 3, 4));
}

/* Memory runs out at each allocation in turn: the writer says so once and stays quiet. */
static void test_lack_of_memory_sticks(void **state)
{
	struct procpool_writer *w = *state;
	char text[100] = {0};
	for (long succeed = 0; succeed < 5; succeed++) {
		alloc_fail_after(succeed);
		for (int i = 0; i < 100; i++) {
			procpool_write_bytes(w, text, sizeof(text));
			procpool_write_int(w, i);
		}
		alloc_fail_after(-1);
		assert_int_equal(w->error, ENOMEM);
		assert_int_equal(procpool_writer_value(w).size, 0);
		size_t size = w->size;
		procpool_write_nil(w);
		procpool_write_value(w, VALUE(1));
		procpool_write_count(w, procpool_write_open_array(w), 1);
		assert_int_equal(w->size, size);
		assert_int_equal(w->error, ENOMEM);

		procpool_writer_reset(w);
		procpool_write_int(w, 7);
		assert_wrote(w, BYTES(7));
		procpool_writer_fini(w);
	}
}

static void test_sizes_over_32_bits_are_refused(void **state)
{
	struct procpool_writer *w = *state;
	const size_t over = (size_t)UINT32_MAX + 1;
	procpool_write_string_n(w, "", over);
	assert_int_equal(w->error, EINVAL);
	procpool_writer_reset(w);
	procpool_write_bytes(w, "", over);
	assert_int_equal(w->error, EINVAL);
	procpool_writer_reset(w);
	procpool_write_ext(w, 1, "", over);
	assert_int_equal(w->error, EINVAL);
	procpool_writer_reset(w);
	procpool_write_array(w, over);
	assert_int_equal(w->error, EINVAL);
	procpool_writer_reset(w);
	procpool_write_map(w, over);
	assert_int_equal(w->error, EINVAL);
	assert_int_equal(procpool_writer_value(w).size, 0);
}

static void test_reset_keeps_the_memory(void **state)
{
	struct procpool_writer *w = *state;
	procpool_write_bytes(w, "abcdefgh", 8);
	procpool_writer_reset(w);
	assert_int_equal(procpool_writer_value(w).size, 0);
	unsigned long before = alloc_calls();
	procpool_write_bytes(w, "abcdefgh", 8);
	assert_int_equal(alloc_calls(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_integers_take_their_shortest_form),
		TEST(test_what_is_written_reads_back),
		TEST(test_scalars_and_strings),
		TEST(test_string_headers_grow_with_their_size),
		TEST(test_containers),
		TEST(test_open_array_gets_its_count_later),
		TEST(test_lack_of_memory_sticks),
		TEST(test_sizes_over_32_bits_are_refused),
		TEST(test_reset_keeps_the_memory),
	};
	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
