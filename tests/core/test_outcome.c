/* SPDX-License-Identifier: MIT */
#include "core/outcome.h"

#include "../unit/alloc.h"
#include "../unit/test.h"

static void assert_is(struct procpool_value map, const char *key, const char *text)
{
	assert_true(procpool_value_is(procpool_value_get(map, key), text));
}

static void assert_well_formed(struct outcome outcome)
{
	struct procpool_value value;
	assert_true(procpool_value_parse(outcome.value.data, outcome.value.size, &value));
	assert_int_equal(value.size, outcome.value.size);
	assert_int_equal(procpool_value_type(value), PROCPOOL_MAP);
}

static void test_error_has_code_message_and_more(void **state)
{
	(void)state;
	struct error_builder b;
	error_builder_begin(&b, ERR_BUSY, "%d jobs", 7);
	error_builder_add_string(&b, "limit", "jobs_user");
	error_builder_add_int(&b, "n", -3);
	struct outcome outcome = error_builder_end(&b);
	struct procpool_value map = span_value(outcome.value);
	int64_t n;
	assert_well_formed(outcome);
	assert_int_equal(outcome.code, ERR_BUSY);
	assert_is(map, "code", "busy");
	assert_is(map, "message", "7 jobs");
	assert_is(map, "limit", "jobs_user");
	assert_true(procpool_value_int(procpool_value_get(map, "n"), &n) && n == -3);
	assert_int_equal(procpool_value_count(map), 4);
	outcome_fini(&outcome);
	assert_int_equal(outcome.value.size, 0);
}

static void test_long_message_is_cut(void **state)
{
	(void)state;
	struct outcome outcome = error_outcome(ERR_BUSY, "%10000d", 1);
	assert_well_formed(outcome);
	assert_true(outcome.value.size < 5000);
	outcome_fini(&outcome);
}

static void test_integers_join_an_error(void **state)
{
	(void)state;
	struct outcome outcome = error_outcome(ERR_FUNCTION_FAILED, "no luck");
	outcome = error_with_int(outcome, "index", 3);
	outcome = error_with_int(outcome, "job", 71001);
	assert_well_formed(outcome);
	int64_t n;
	struct procpool_value map = span_value(outcome.value);
	assert_int_equal(outcome.code, ERR_FUNCTION_FAILED);
	assert_is(map, "message", "no luck");
	assert_true(procpool_value_int(procpool_value_get(map, "index"), &n) && n == 3);
	assert_true(procpool_value_int(procpool_value_get(map, "job"), &n) && n == 71001);
	outcome_fini(&outcome);
}

static void test_a_string_joins_an_error_unless_it_is_empty(void **state)
{
	(void)state;
	struct outcome outcome = error_outcome(ERR_WORKER_LOST, "gone");
	outcome = error_with_string(outcome, "stderr", NULL);
	outcome = error_with_string(outcome, "stderr", "");
	assert_int_equal(procpool_value_count(span_value(outcome.value)), 2);
	outcome = error_with_string(outcome, "stderr", "no such table\n");
	assert_well_formed(outcome);
	assert_int_equal(outcome.code, ERR_WORKER_LOST);
	assert_is(span_value(outcome.value), "message", "gone");
	assert_is(span_value(outcome.value), "stderr", "no such table\n");
	outcome_fini(&outcome);
}

static struct outcome from_worker(const char *code, const char *extra_key)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, 6);
	procpool_write_string(&w, "code");
	procpool_write_string(&w, code);
	procpool_write_string(&w, "message");
	procpool_write_string(&w, "not an image");
	procpool_write_string(&w, "type");
	procpool_write_string(&w, "ValueError");
	procpool_write_string(&w, "traceback");
	procpool_write_int(&w, 5);
	procpool_write_string(&w, "data");
	procpool_write_array(&w, 1);
	procpool_write_int(&w, 4);
	procpool_write_string(&w, extra_key);
	procpool_write_int(&w, 9);
	struct outcome outcome = error_from_worker(procpool_writer_value(&w));
	procpool_writer_fini(&w);
	return outcome;
}

static void test_workers_error_is_taken_over_as_far_as_it_may(void **state)
{
	(void)state;
	struct outcome outcome = from_worker("too-large", "job");
	struct procpool_value map = span_value(outcome.value);
	assert_well_formed(outcome);
	assert_int_equal(outcome.code, ERR_TOO_LARGE);
	assert_is(map, "code", "too-large");
	assert_is(map, "message", "not an image");
	assert_is(map, "type", "ValueError");
	assert_value_bytes(procpool_value_get(map, "data"), BYTES(0x91, 4));
	/* Of another type, or not a worker's to say. */
	assert_int_equal(procpool_value_get(map, "traceback").size, 0);
	assert_int_equal(procpool_value_get(map, "job").size, 0);
	outcome_fini(&outcome);
}

static void test_code_that_a_worker_may_not_use_is_function_failed(void **state)
{
	(void)state;
	static const char *const codes[] = {"busy", "cancelled", "nonsense", "", "worker-lost"};
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct outcome outcome = from_worker(codes[i], "x");
		assert_int_equal(outcome.code, ERR_FUNCTION_FAILED);
		assert_is(span_value(outcome.value), "code", "function-failed");
		outcome_fini(&outcome);
	}
}

static void test_workers_error_without_anything_still_is_one(void **state)
{
	(void)state;
	struct outcome outcome = error_from_worker(VALUE(0x80));
	assert_well_formed(outcome);
	assert_is(span_value(outcome.value), "message", "the function failed");
	outcome_fini(&outcome);
}

/* However far the memory goes, there is an error to be sent. */
static void test_without_memory_there_still_is_an_error(void **state)
{
	(void)state;
	for (long n = 0; n < 10; n++) {
		alloc_fail_after(n);
		struct outcome outcome = error_outcome(ERR_BUSY, "the limit is reached");
		outcome = error_with_int(outcome, "job", 3);
		outcome = error_with_string(outcome, "stderr", "text");
		alloc_fail_after(-1);
		assert_well_formed(outcome);
		assert_int_equal(outcome.code, ERR_BUSY);
		assert_int_not_equal(procpool_value_get(span_value(outcome.value), "message").size,
				     0);
		outcome_fini(&outcome);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_has_code_message_and_more),
		cmocka_unit_test(test_long_message_is_cut),
		cmocka_unit_test(test_integers_join_an_error),
		cmocka_unit_test(test_a_string_joins_an_error_unless_it_is_empty),
		cmocka_unit_test(test_workers_error_is_taken_over_as_far_as_it_may),
		cmocka_unit_test(test_code_that_a_worker_may_not_use_is_function_failed),
		cmocka_unit_test(test_workers_error_without_anything_still_is_one),
		cmocka_unit_test(test_without_memory_there_still_is_an_error),
	};
	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
