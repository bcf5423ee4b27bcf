/* SPDX-License-Identifier: MIT */
#include "procpool/value.h"

#include <math.h>
#include <string.h>

#include "test.h"
#include "tree.h"

static void test_type_follows_from_the_first_byte(void **state)
{
	(void)state;
	for (int b = 0; b < 256; b++) {
		uint8_t bytes[32] = {(uint8_t)b};
		enum procpool_type type =
			procpool_value_type((struct procpool_value){bytes, sizeof(bytes)});
		enum procpool_type expected = b < 0x80 || b >= 0xe0 ? PROCPOOL_INT
					      : b < 0x90            ? PROCPOOL_MAP
					      : b < 0xa0            ? PROCPOOL_ARRAY
					      : b < 0xc0            ? PROCPOOL_STRING
					      : b == 0xc0           ? PROCPOOL_NIL
					      : b == 0xc1           ? PROCPOOL_NONE
					      : b <= 0xc3           ? PROCPOOL_BOOL
					      : b <= 0xc6           ? PROCPOOL_BYTES
					      : b <= 0xc9           ? PROCPOOL_EXT
					      : b <= 0xcb           ? PROCPOOL_FLOAT
					      : b <= 0xd3           ? PROCPOOL_INT
					      : b <= 0xd8           ? PROCPOOL_EXT
					      : b <= 0xdb           ? PROCPOOL_STRING
					      : b <= 0xdd           ? PROCPOOL_ARRAY
								    : PROCPOOL_MAP;
		assert_int_equal(type, expected);
	}
	assert_int_equal(procpool_value_type((struct procpool_value){0}), PROCPOOL_NONE);
	assert_string_equal(procpool_type_name(PROCPOOL_NONE), "nothing");
	assert_string_equal(procpool_type_name(PROCPOOL_EXT), "ext");
	assert_string_equal(procpool_type_name((enum procpool_type)99), "?");
}

static void test_bool(void **state)
{
	(void)state;
	bool b = false;
	assert_true(procpool_value_bool(VALUE(0xc3), &b) && b);
	assert_true(procpool_value_bool(VALUE(0xc2), &b) && !b);
	assert_false(procpool_value_bool(VALUE(0xc0), &b));
	assert_false(procpool_value_bool(VALUE(0x01), &b));
	assert_false(procpool_value_bool((struct procpool_value){0}, &b));
}

/* Every encoding of an integer at its edges: as int64_t, and as uint64_t where it is not negative.
 */
static void test_integers_of_every_width(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[9];
		size_t size;
		int64_t value;
	} rows[] = {
		{{0x00}, 1, 0},
		{{0x7f}, 1, 127},
		{{0xff}, 1, -1},
		{{0xe0}, 1, -32},
		{{0xcc, 0x00}, 2, 0},
		{{0xcc, 0xff}, 2, 255},
		{{0xcd, 0x00, 0x01}, 3, 1},
		{{0xcd, 0xff, 0xff}, 3, 65535},
		{{0xce, 0x80, 0, 0, 0}, 5, INT64_C(1) << 31},
		{{0xce, 0xff, 0xff, 0xff, 0xff}, 5, UINT32_MAX},
		{{0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, 9, INT64_C(1) << 32},
		{{0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, INT64_MAX},
		{{0xd0, 0x7f}, 2, 127},
		{{0xd0, 0x80}, 2, -128},
		{{0xd1, 0x7f, 0xff}, 3, 32767},
		{{0xd1, 0x80, 0x00}, 3, -32768},
		{{0xd2, 0x7f, 0xff, 0xff, 0xff}, 5, INT32_MAX},
		{{0xd2, 0x80, 0, 0, 0}, 5, INT32_MIN},
		{{0xd3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, INT64_MAX},
		{{0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9, INT64_MIN},
		{{0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, -1},
		{{0xd3, 0, 0, 0, 0, 0, 0, 0, 5}, 9, 5},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct procpool_value value = {rows[i].bytes, rows[i].size};
		int64_t n = 42;
		uint64_t u = 42;
		assert_true(procpool_value_int(value, &n));
		assert_true(n == rows[i].value);
		assert_int_equal(procpool_value_uint(value, &u), rows[i].value >= 0);
		assert_true(u == (rows[i].value >= 0 ? (uint64_t)rows[i].value : 42));
	}
}

static void test_integers_that_do_not_fit(void **state)
{
	(void)state;
	int64_t n = 42;
	uint64_t u = 42;
	struct procpool_value over = VALUE(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
	struct procpool_value max = VALUE(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	assert_false(procpool_value_int(over, &n));
	assert_false(procpool_value_int(max, &n));
	assert_int_equal(n, 42);
	assert_true(procpool_value_uint(over, &u) && u == UINT64_C(1) << 63);
	assert_true(procpool_value_uint(max, &u) && u == UINT64_MAX);
	assert_false(procpool_value_int(VALUE(0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0), &n));
	assert_false(procpool_value_int(VALUE(0xc3), &n));
	assert_false(procpool_value_uint(VALUE(0xa1, '1'), &u));
}

static void test_double(void **state)
{
	(void)state;
	double d = 7;
	assert_true(procpool_value_double(VALUE(0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), &d) &&
		    d > 1.4 && d < 1.6);
	assert_true(procpool_value_double(VALUE(0xca, 0xc0, 0x20, 0, 0), &d) && d < -2.4 &&
		    d > -2.6);
	assert_true(procpool_value_double(VALUE(0xca, 0x7f, 0x80, 0, 0), &d) && isinf(d));
	assert_true(procpool_value_double(VALUE(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), &d) &&
		    isnan(d));
	assert_true(procpool_value_double(VALUE(0xff), &d) && d < 0);
	/* 2^53 is exact, one more is not */
	assert_true(procpool_value_double(VALUE(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0), &d));
	assert_true(d > 9007199254740991.0 && d < 9007199254740994.0);
	assert_false(procpool_value_double(VALUE(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1), &d));
	assert_true(procpool_value_double(VALUE(0xd3, 0xff, 0xe0, 0, 0, 0, 0, 0, 0), &d));
	assert_false(procpool_value_double(
		VALUE(0xd3, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), &d));
	assert_false(procpool_value_double(VALUE(0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0), &d));
	assert_false(procpool_value_double(VALUE(0xc0), &d));
}

static void check_text(struct procpool_value value, bool is_string, const void *data, size_t size)
{
	const char *text = NULL;
	const void *bytes = NULL;
	size_t text_size = 99, bytes_size = 99;
	assert_int_equal(procpool_value_string(value, &text, &text_size), is_string);
	assert_true(procpool_value_bytes(value, &bytes, &bytes_size));
	assert_int_equal(bytes_size, size);
	assert_memory_equal(bytes, data, size);
	if (is_string) {
		assert_int_equal(text_size, size);
		assert_ptr_equal(text, bytes);
	} else {
		assert_null(text);
	}
}

static void test_strings_and_bytes(void **state)
{
	(void)state;
	const char *text;
	size_t size;
	check_text(VALUE(0xa0), true, "", 0);
	check_text(VALUE(0xa2, 'a', 0), true, "a\0", 2);
	check_text(VALUE(0xd9, 1, 'b'), true, "b", 1);
	check_text(VALUE(0xda, 0, 1, 'c'), true, "c", 1);
	check_text(VALUE(0xdb, 0, 0, 0, 1, 'd'), true, "d", 1);
	check_text(VALUE(0xc4, 1, 'e'), false, "e", 1);
	check_text(VALUE(0xc5, 0, 1, 'f'), false, "f", 1);
	check_text(VALUE(0xc6, 0, 0, 0, 1, 0xff), false, "\xff", 1);
	assert_false(procpool_value_string(VALUE(0x05), &text, &size));

	assert_true(procpool_value_is(VALUE(0xa2, 'a', 'b'), "ab"));
	assert_false(procpool_value_is(VALUE(0xa2, 'a', 'b'), "a"));
	assert_false(procpool_value_is(VALUE(0xa2, 'a', 0), "a"));
	assert_false(procpool_value_is(VALUE(0xc4, 1, 'a'), "a"));
	assert_false(procpool_value_is((struct procpool_value){0}, ""));
}

static void test_ext(void **state)
{
	(void)state;
	int8_t type = 0;
	const void *body = NULL;
	size_t size = 0;
	assert_true(procpool_value_ext(VALUE(0xd4, 0xff, 9), &type, &body, &size));
	assert_int_equal(type, -1);
	assert_int_equal(size, 1);
	assert_int_equal(*(const uint8_t *)body, 9);
	assert_true(procpool_value_ext(VALUE(0xc7, 0, 5), &type, &body, &size));
	assert_int_equal(type, 5);
	assert_int_equal(size, 0);
	assert_true(procpool_value_ext(VALUE(0xc8, 0, 2, 6, 1, 2), &type, &body, &size));
	assert_int_equal(size, 2);
	assert_true(procpool_value_ext(VALUE(0xc9, 0, 0, 0, 1, 7, 1), &type, &body, &size));
	assert_int_equal(type, 7);
	assert_false(procpool_value_ext(VALUE(0xc4, 1, 5), &type, &body, &size));
}

static void test_arrays(void **state)
{
	(void)state;
	struct procpool_value array = VALUE(0x93, 1, 0x92, 2, 3, 0xa1, 'x');
	assert_int_equal(procpool_value_count(array), 3);
	assert_value_bytes(procpool_value_at(array, 0), BYTES(1));
	assert_value_bytes(procpool_value_at(array, 1), BYTES(0x92, 2, 3));
	assert_value_bytes(procpool_value_at(array, 2), BYTES(0xa1, 'x'));
	assert_int_equal(procpool_value_at(array, 3).size, 0);
	assert_int_equal(procpool_value_at(VALUE(0x81, 1, 2), 0).size, 0);
	assert_int_equal(procpool_value_count(VALUE(0x90)), 0);
	assert_int_equal(procpool_value_count(VALUE(0xdc, 0, 1, 1)), 1);
	assert_int_equal(procpool_value_count(VALUE(0xa3, 1, 1, 1)), 0);
	assert_int_equal(procpool_value_count((struct procpool_value){0}), 0);
}

static void test_maps(void **state)
{
	(void)state;
	struct procpool_value map =
		VALUE(0x84, 0xa1, 'a', 1, 0xa1, 'b', 0x91, 2, 0xa1, 'a', 3, 7, 0xc0);
	assert_int_equal(procpool_value_count(map), 4);
	assert_value_bytes(procpool_value_get(map, "a"), BYTES(1));
	assert_value_bytes(procpool_value_get(map, "b"), BYTES(0x91, 2));
	assert_int_equal(procpool_value_get(map, "c").size, 0);
	assert_int_equal(procpool_value_get(VALUE(0x92, 0xa1, 'a', 1), "a").size, 0);

	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	int pairs = 0;
	while (procpool_iter_next_pair(&it, &key, &value))
		pairs++;
	assert_int_equal(pairs, 4);
	assert_value_bytes(key, BYTES(7));
	assert_value_bytes(value, BYTES(0xc0));
	assert_false(procpool_iter_next(&it, &key));
}

static void test_iterator_over_anything_else_visits_nothing(void **state)
{
	(void)state;
	struct procpool_value element;
	struct procpool_iter none = procpool_iter((struct procpool_value){0});
	struct procpool_iter text = procpool_iter(VALUE(0xa2, 1, 2));
	struct procpool_iter empty = procpool_iter(VALUE(0x80));
	assert_false(procpool_iter_next(&none, &element));
	assert_false(procpool_iter_next(&text, &element));
	assert_false(procpool_iter_next(&empty, &element));
}

/* Sizes of a container's header and elements add up to the container, on every level. */
static size_t walk(struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element;
	size_t inside = 0, count = 0;
	while (procpool_iter_next(&it, &element)) {
		assert_true(element.data >= value.data && element.size > 0);
		inside += walk(element);
		count++;
	}
	if (procpool_value_type(value) == PROCPOOL_MAP)
		count /= 2;
	assert_int_equal(count, procpool_value_count(value));
	if (count > 0)
		assert_ptr_equal(element.data + element.size, value.data + value.size);
	assert_true(inside < value.size);
	return value.size;
}

static void test_random_values_can_be_walked(void **state)
{
	(void)state;
	uint64_t random = 0xace;
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < 2000; i++) {
		struct procpool_value value;
		procpool_writer_reset(&w);
		tree_write(&w, &random, 6);
		assert_true(procpool_value_parse(w.data, w.size, &value));
		assert_int_equal(walk(value), w.size);
	}
	procpool_writer_fini(&w);
}

static void test_parse_checks_untrusted_bytes(void **state)
{
	(void)state;
	struct procpool_value value = {0};
	assert_true(procpool_value_parse(BYTES(0x91, 1, 0xc1, 0xc1), &value));
	assert_int_equal(value.size, 2);
	assert_false(procpool_value_parse(BYTES(0x92, 1), &value));
	assert_false(procpool_value_parse(BYTES(0xc1), &value));
	assert_false(procpool_value_parse(BYTES(0xdd, 0xff, 0xff, 0xff, 0xff), &value));
	assert_false(procpool_value_parse("", 0, &value));
	uint8_t nested[34];
	memset(nested, 0x91, sizeof(nested));
	nested[32] = 1;
	assert_true(procpool_value_parse(nested, 33, &value));
	nested[32] = 0x91;
	nested[33] = 1;
	assert_false(procpool_value_parse(nested, 34, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_follows_from_the_first_byte),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_integers_of_every_width),
		cmocka_unit_test(test_integers_that_do_not_fit),
		cmocka_unit_test(test_double),
		cmocka_unit_test(test_strings_and_bytes),
		cmocka_unit_test(test_ext),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_iterator_over_anything_else_visits_nothing),
		cmocka_unit_test(test_random_values_can_be_walked),
		cmocka_unit_test(test_parse_checks_untrusted_bytes),
	};
	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
