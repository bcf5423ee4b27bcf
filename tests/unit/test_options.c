/* SPDX-License-Identifier: MIT */
#include "proto/options.h"

#include <string.h>

#include "alloc.h"
#include "test.h"

#define NAME_MAX_BYTES 16

static const enum options_method methods[] = {
	OPTIONS_APPLY,
	OPTIONS_APPLY_ASYNC,
	OPTIONS_MAP,
	OPTIONS_MAP_ASYNC,
};

static struct procpool_writer writer;
static struct task_options options;
static struct problem problem;

static int setup(void **state)
{
	(void)state;
	procpool_writer_init(&writer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	procpool_writer_fini(&writer);
	return 0;
}

static bool parse(enum options_method method, struct procpool_value map)
{
	unsigned long before = alloc_calls();
	bool ok = task_options_parse(map, method, NAME_MAX_BYTES, &options, &problem);
	assert_int_equal(alloc_calls(), before);
	return ok;
}

/* A map of one key. */
static bool parse_one(enum options_method method, const char *key, struct procpool_value value)
{
	procpool_writer_reset(&writer);
	procpool_write_map(&writer, 1);
	procpool_write_string(&writer, key);
	procpool_write_value(&writer, value);
	return parse(method, procpool_writer_value(&writer));
}

static void assert_none(void)
{
	static const struct task_options none;
	assert_null(options.pool.data);
	assert_int_equal(options.kwargs.size, none.kwargs.size);
	assert_int_equal(options.pickle.size, 0);
	assert_true(options.chunksize == 0);
	assert_true(options.timeout == 0);
	assert_false(options.detach || options.star || options.collect || options.stream ||
		     options.values);
	assert_int_equal(options.priority, 0);
	assert_true(options.retries == 0);
	assert_false(options.expires);
	assert_true(options.parent == 0);
}

static void test_no_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(parse(methods[i], (struct procpool_value){0}));
		assert_none();
		assert_true(parse(methods[i], VALUE(0x80)));
		assert_none();
	}
}

/* Each option with a value, and the methods that take it, as the table in PROTOCOL.md has them. */
static void test_each_option_belongs_to_its_methods(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		uint8_t value[8];
		size_t size;
		const char *takes; /* one letter a method, in the order of methods[] */
	} rows[] = {
		{"pool", {0xa1, 'p'}, 2, "yyyy"},
		{"kwargs", {0x81, 0xa1, 'k', 1}, 4, "yyyy"},
		{"detach", {0xc3}, 1, "nyny"},
		{"chunksize", {5}, 1, "nnyy"},
		{"star", {0xc3}, 1, "nnyy"},
		{"errors", {0xa5, 'r', 'a', 'i', 's', 'e'}, 6, "nnyy"},
		{"stream", {0xc3}, 1, "nnny"},
		{"priority", {1}, 1, "yyyy"},
		{"retries", {1}, 1, "yyyy"},
		{"timeout", {5}, 1, "yyyy"},
		{"expires", {1}, 1, "yyyy"},
		{"parent", {1}, 1, "yyyy"},
		{"pickle", {0xc3}, 1, "yyyy"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t m = 0; m < 4; m++) {
			struct procpool_value value = {rows[i].value, rows[i].size};
			assert_int_equal(parse_one(methods[m], rows[i].key, value),
					 rows[i].takes[m] == 'y');
			if (rows[i].takes[m] == 'n')
				assert_non_null(strstr(problem.text, rows[i].key));
		}
	}
}

static void test_values_arrive(void **state)
{
	(void)state;
	assert_true(parse_one(OPTIONS_APPLY, "pool", VALUE(0xc4, 2, 'a', 'b')));
	assert_true(slice_is(options.pool, "ab"));
	assert_true(parse_one(OPTIONS_APPLY, "kwargs", VALUE(0x81, 0xa1, 'k', 1)));
	assert_value_bytes(options.kwargs, BYTES(0x81, 0xa1, 'k', 1));
	assert_true(parse_one(OPTIONS_APPLY_ASYNC, "detach", VALUE(0xc3)) && options.detach);
	assert_true(parse_one(OPTIONS_APPLY_ASYNC, "detach", VALUE(0xc2)) && !options.detach);
	assert_true(parse_one(OPTIONS_MAP, "chunksize", VALUE(0xcd, 1, 0)) &&
		    options.chunksize == 256);
	assert_true(parse_one(OPTIONS_APPLY, "timeout", VALUE(5)) && options.timeout == 5);
	assert_true(parse_one(OPTIONS_MAP, "timeout", VALUE(0xca, 0x3f, 0, 0, 0)) &&
		    options.timeout == 0.5);
	assert_true(parse_one(OPTIONS_MAP, "star", VALUE(0xc3)) && options.star);
	assert_true(
		parse_one(OPTIONS_MAP, "errors", VALUE(0xa7, 'c', 'o', 'l', 'l', 'e', 'c', 't')));
	assert_true(options.collect);
	assert_true(parse_one(OPTIONS_MAP, "errors", VALUE(0xa5, 'r', 'a', 'i', 's', 'e')));
	assert_false(options.collect);
	assert_true(parse_one(OPTIONS_MAP_ASYNC, "stream", VALUE(0xc3)) && options.stream);
	assert_false(options.values);
	assert_true(
		parse_one(OPTIONS_MAP_ASYNC, "stream", VALUE(0xa6, 'v', 'a', 'l', 'u', 'e', 's')));
	assert_true(options.stream && options.values);
	assert_true(parse_one(OPTIONS_MAP_ASYNC, "stream", VALUE(0xc2)) && !options.stream);
	assert_true(parse_one(OPTIONS_MAP, "parent", VALUE(0xcd, 1, 0)) && options.parent == 256);
	assert_true(parse_one(OPTIONS_APPLY, "expires", VALUE(0)) && options.expires);
	assert_true(options.expires_seconds == 0);
	assert_true(parse_one(OPTIONS_MAP, "expires", VALUE(0xca, 0x3f, 0, 0, 0)));
	assert_true(options.expires && options.expires_seconds == 0.5);
	assert_true(parse_one(OPTIONS_APPLY, "pickle", VALUE(0xc3)));
	assert_value_bytes(options.pickle, BYTES(0xc3));
	assert_true(parse_one(OPTIONS_MAP, "pickle", VALUE(0xc4, 2, 0x80, 5)));
	assert_value_bytes(options.pickle, BYTES(0xc4, 2, 0x80, 5));
	assert_true(parse_one(OPTIONS_MAP, "pickle", VALUE(0xc2)) && options.pickle.size == 0);
	assert_true(parse_one(OPTIONS_APPLY, "retries", VALUE(0)) && options.retries == 0);
	assert_true(parse_one(OPTIONS_MAP, "retries", VALUE(0xcd, 0, 100)));
	assert_true(options.retries == 100);
	assert_true(parse_one(OPTIONS_APPLY, "priority", VALUE(0xfe)) && options.priority == -2);
	assert_true(parse_one(OPTIONS_MAP, "priority", VALUE(0xcd, 0, 2)) && options.priority == 2);
}

static void test_wrong_values_are_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		uint8_t value[8];
		size_t size;
	} rows[] = {
		{"pool", {5}, 1},
		{"pool", {0xc0}, 1},
		{"kwargs", {0x90}, 1},
		{"kwargs", {0x81, 5, 1}, 3},
		{"detach", {1}, 1},
		{"detach", {0xc0}, 1},
		{"priority", {3}, 1},
		{"priority", {0xfd}, 1},
		{"parent", {0}, 1},
		{"parent", {0xff}, 1},
		{"parent", {0xc0}, 1},
		{"parent", {0xca, 0x3f, 0x80, 0, 0}, 5},
		{"expires", {0xff}, 1},
		{"expires", {0xc0}, 1},
		{"expires", {0xa1, '1'}, 2},
		{"expires", {0xca, 0x7f, 0x80, 0, 0}, 5},
		{"expires", {0xca, 0x7f, 0xc0, 0, 0}, 5},
		{"pickle", {0xa1, '.'}, 2},
		{"pickle", {0xc0}, 1},
		{"pickle", {1}, 1},
		{"pickle", {0xd4, 80, '.'}, 3},
		{"retries", {0xff}, 1},
		{"retries", {0xc0}, 1},
		{"retries", {0xca, 0x3f, 0x80, 0, 0}, 5},
		{"priority", {0xc0}, 1},
		{"priority", {0xca, 0x3f, 0x80, 0, 0}, 5},
		{"timeout", {0}, 1},
		{"timeout", {0xff}, 1},
		{"timeout", {0xc0}, 1},
		{"timeout", {0xa1, '1'}, 2},
		{"timeout", {0xca, 0x7f, 0x80, 0, 0}, 5}, /* infinity */
		{"timeout", {0xca, 0x7f, 0xc0, 0, 0}, 5}, /* nan */
		{"timeout", {0xca, 0x80, 0, 0, 0}, 5},    /* -0.0 */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct procpool_value value = {rows[i].value, rows[i].size};
		assert_false(parse_one(OPTIONS_APPLY_ASYNC, rows[i].key, value));
		assert_non_null(strstr(problem.text, rows[i].key));
	}
	static const struct {
		const char *key;
		uint8_t value[8];
		size_t size;
	} of_maps[] = {
		{"chunksize", {0}, 1},
		{"chunksize", {0xff}, 1},
		{"chunksize", {0xca, 0x3f, 0x80, 0, 0}, 5},
		{"star", {0x90}, 1},
		{"errors", {0xa1, 'x'}, 2},
		{"errors", {0xa0}, 1},
		{"errors", {0xc3}, 1},
		{"stream", {0xa1, 'y'}, 2},
		{"stream", {0xa5, 'v', 'a', 'l', 'u', 'e'}, 6},
		{"stream", {0xc0}, 1},
		{"stream", {1}, 1},
	};
	for (size_t i = 0; i < sizeof(of_maps) / sizeof(of_maps[0]); i++) {
		struct procpool_value value = {of_maps[i].value, of_maps[i].size};
		assert_false(parse_one(OPTIONS_MAP_ASYNC, of_maps[i].key, value));
		assert_non_null(strstr(problem.text, of_maps[i].key));
	}
}

static void test_long_pool_name_is_refused(void **state)
{
	(void)state;
	struct procpool_writer name;
	procpool_writer_init(&name);
	procpool_write_string_n(&name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NAME_MAX_BYTES);
	assert_true(parse_one(OPTIONS_APPLY, "pool", procpool_writer_value(&name)));
	procpool_writer_reset(&name);
	procpool_write_string_n(&name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NAME_MAX_BYTES + 1);
	assert_false(parse_one(OPTIONS_APPLY, "pool", procpool_writer_value(&name)));
	procpool_writer_fini(&name);
}

static void test_options_of_later_versions_are_unknown(void **state)
{
	(void)state;
	static const char *const later[] = {"deadline", "Pool", "", "pool "};
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		assert_false(parse_one(OPTIONS_MAP_ASYNC, later[i], VALUE(1)));
		assert_non_null(strstr(problem.text, "unknown option"));
		assert_non_null(strstr(problem.text, later[i]));
	}
}

static void test_repeated_option_is_refused(void **state)
{
	(void)state;
	assert_false(parse(OPTIONS_MAP, VALUE(0x82, 0xa4, 's', 't', 'a', 'r', 0xc3, 0xc4, 4, 's',
					      't', 'a', 'r', 0xc3)));
	assert_string_equal(problem.text, "option 'star' is given twice");
}

static void test_stream_and_detach_exclude_each_other(void **state)
{
	(void)state;
	uint8_t both[] = {0x82, 0xa6, 's', 't', 'r', 'e', 'a', 'm', 0xc3,
			  0xa6, 'd',  'e', 't', 'a', 'c', 'h', 0xc3};
	struct procpool_value map = {both, sizeof(both)};
	assert_false(parse(OPTIONS_MAP_ASYNC, map));
	both[8] = 0xc2;
	assert_true(parse(OPTIONS_MAP_ASYNC, map));
	assert_true(options.detach && !options.stream);
}

static void test_options_must_be_a_map(void **state)
{
	(void)state;
	assert_false(parse(OPTIONS_APPLY, VALUE(0xc0)));
	assert_string_equal(problem.text, "the options must be a map, not nil");
	assert_false(parse(OPTIONS_APPLY, VALUE(0x90)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_no_options),
		TEST(test_each_option_belongs_to_its_methods),
		TEST(test_values_arrive),
		TEST(test_wrong_values_are_refused_by_name),
		TEST(test_long_pool_name_is_refused),
		TEST(test_options_of_later_versions_are_unknown),
		TEST(test_repeated_option_is_refused),
		TEST(test_stream_and_detach_exclude_each_other),
		TEST(test_options_must_be_a_map),
	};
	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
