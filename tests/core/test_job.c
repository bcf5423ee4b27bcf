/* SPDX-License-Identifier: MIT */
#include "core/job.h"

#include <string.h>

#include "../unit/test.h"

/* ---- states ---- */

static void test_every_state_and_event(void **state)
{
	(void)state;
	enum { NO = JOB_STATE_COUNT };
	static const int expected[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
		{JOB_RUNNING, NO, NO, JOB_DONE, JOB_FAILED, JOB_CANCELLED},
		{JOB_RUNNING, JOB_WAITING, JOB_WAITING, JOB_DONE, JOB_FAILED, JOB_CANCELLED},
		{NO, NO, NO, NO, NO, NO},
		{NO, NO, NO, NO, NO, NO},
		{NO, NO, NO, NO, NO, NO},
	};
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		for (int e = 0; e < JOB_EVENT_COUNT; e++)
			assert_int_equal(job_next_state((enum job_state)s, (enum job_event)e),
					 expected[s][e]);
}

static void test_states_have_the_names_of_the_protocol(void **state)
{
	(void)state;
	assert_string_equal(job_state_name(JOB_WAITING), "waiting");
	assert_string_equal(job_state_name(JOB_RUNNING), "running");
	assert_string_equal(job_state_name(JOB_DONE), "done");
	assert_string_equal(job_state_name(JOB_FAILED), "failed");
	assert_string_equal(job_state_name(JOB_CANCELLED), "cancelled");
}

static struct job *make_apply(void)
{
	static const uint8_t request[] = {0x91, 41};
	struct job *job = job_create(false, (struct span){NULL, request, 2},
				     (struct range){0, 1, request, 2});
	assert_non_null(job);
	return job;
}

static void test_time_of_a_state_is_when_it_was_entered(void **state)
{
	(void)state;
	struct job *job = make_apply();
	job_step(job, JOB_ASSIGN, 100);
	assert_int_equal(job->state, JOB_RUNNING);
	assert_int_equal(job->since_us, 100);
	job_step(job, JOB_ASSIGN, 200);
	assert_int_equal(job->since_us, 100);
	assert_false(job_ended(job));
	job_step(job, JOB_SUCCEED, 300);
	assert_int_equal(job->since_us, 300);
	assert_true(job_ended(job));
	job_destroy(job);
}

static struct range take(struct job *job, uint32_t count_max, size_t size_max)
{
	uint32_t attempt;
	struct range range = job_take(job, count_max, size_max, &attempt);
	assert_int_equal(attempt, 1);
	return range;
}

/* ---- an apply ---- */

static void test_apply_is_one_task_until_it_is_assigned(void **state)
{
	(void)state;
	struct job *job = make_apply();
	assert_int_equal(job_tasks_left(job), 1);
	assert_int_equal(job_chunksize(job), 1);
	struct range range = take(job, 5, 1);
	assert_int_equal(range.count, 1);
	assert_int_equal(range.size, 2);
	assert_memory_equal(range.data, "\x91\x29", 2);
	job_step(job, JOB_ASSIGN, 1);
	assert_false(job_has_tasks(job));
	assert_int_equal(job_give_back(job, &range, 0, 1), 0);
	job_step(job, JOB_TAKE_BACK, 2);
	assert_true(job_has_tasks(job));
	job_destroy(job);
}

/* ---- a map ---- */

/* Eight items: 0 to 6 in a byte each, and one of five bytes. */
static struct job *make_map(struct blob *blob)
{
	static const uint8_t items[] = {0x98, 0, 1, 2, 3, 4, 5, 6, 0xce, 0, 0, 0, 7};
	struct span request = blob ? span_of_blob(blob) : (struct span){NULL, items, 13};
	if (blob) {
		memcpy(blob->data, items, 13);
		blob->size = 13;
	}
	const uint8_t *first = blob ? blob->data + 1 : items + 1;
	request.size = 13;
	struct job *job = job_create(true, request, (struct range){0, 8, first, 12});
	assert_non_null(job);
	return job;
}

static void assert_range(struct range range, uint32_t first, uint32_t count, size_t size)
{
	assert_int_equal(range.first, first);
	assert_int_equal(range.count, count);
	assert_int_equal(range.size, size);
	assert_int_equal(range.data[0], first < 7 ? first : 0xce);
}

static void test_map_is_taken_in_order_by_count_and_size(void **state)
{
	(void)state;
	struct job *job = make_map(NULL);
	assert_range(take(job, 2, 100), 0, 2, 2);
	assert_range(take(job, 100, 4), 2, 4, 4);
	assert_int_equal(job_tasks_left(job), 2);
	assert_range(take(job, 100, 5), 6, 1, 1);
	/* At least one, whatever its size. */
	assert_range(take(job, 100, 1), 7, 1, 5);
	assert_false(job_has_tasks(job));
	job_destroy(job);
}

static void test_what_is_given_back_is_taken_first_and_in_order(void **state)
{
	(void)state;
	struct job *job = make_map(NULL);
	struct range a = take(job, 3, 100), b = take(job, 3, 100);
	/* The newest first, as from a worker. */
	assert_int_equal(job_give_back(job, &b, 0, 1), 0);
	assert_int_equal(b.count, 0);
	assert_int_equal(job_give_back(job, &a, 1, 1), 0);
	assert_range(a, 0, 1, 1);
	assert_int_equal(job_tasks_left(job), 7);
	assert_range(take(job, 1, 100), 1, 1, 1);
	assert_range(take(job, 9, 100), 2, 1, 1);
	assert_range(take(job, 9, 100), 3, 3, 3);
	assert_range(take(job, 9, 100), 6, 2, 6);
	job_destroy(job);
}

static void test_dropped_tasks_are_not_left(void **state)
{
	(void)state;
	struct job *job = make_map(NULL);
	struct range range = take(job, 3, 100);
	assert_int_equal(job_give_back(job, &range, 1, 1), 0);
	job_drop_tasks(job);
	assert_int_equal(job_tasks_left(job), 0);
	job_destroy(job);
}

static void test_request_is_shared_or_copied(void **state)
{
	(void)state;
	struct blob *blob = blob_create(13);
	struct job *job = make_map(blob);
	assert_int_equal(blob->refs, 2);
	assert_ptr_equal(job->whole.data, blob->data + 1);
	job_destroy(job);
	assert_int_equal(blob->refs, 1);
	blob_unref(blob);
	job = make_map(NULL);
	assert_int_equal(job->request->refs, 1);
	assert_ptr_equal(job->whole.data, job->request->data + 1);
	job_destroy(job);
}

static void test_values_in_any_order_become_one_array(void **state)
{
	(void)state;
	static const uint8_t values[] = {10, 11, 12, 13, 14, 15, 16, 17};
	struct job *job = make_map(NULL);
	assert_int_equal(job_add_values(job, 5, 3, (struct span){NULL, values + 5, 3}), 0);
	assert_int_equal(job_add_values(job, 0, 5, (struct span){NULL, values, 5}), 0);
	assert_int_equal(job_result_size(job), 13);
	struct span whole = job_assemble(job);
	assert_value_bytes(span_value(whole),
			   BYTES(0xdd, 0, 0, 0, 8, 10, 11, 12, 13, 14, 15, 16, 17));
	blob_unref(whole.blob);
	job_destroy(job);
}

static void test_collected_values_and_errors_are_pairs(void **state)
{
	(void)state;
	static const uint8_t values[] = {10, 0xce, 0, 0, 0, 11, 12, 13, 14, 15, 16};
	struct job *job = make_map(NULL);
	job->collect = true;
	assert_int_equal(job_add_error(job, 7, VALUE(0x80)), 0);
	assert_int_equal(job_add_values(job, 0, 7, (struct span){NULL, values, 11}), 0);
	struct span whole = job_assemble(job);
	assert_int_equal(procpool_value_count(span_value(whole)), 8);
	assert_value_bytes(procpool_value_at(span_value(whole), 1),
			   BYTES(0x92, 0xc0, 0xce, 0, 0, 0, 11));
	assert_value_bytes(procpool_value_at(span_value(whole), 7), BYTES(0x92, 0x80, 0xc0));
	blob_unref(whole.blob);
	job_destroy(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_and_event),
		cmocka_unit_test(test_states_have_the_names_of_the_protocol),
		cmocka_unit_test(test_time_of_a_state_is_when_it_was_entered),
		cmocka_unit_test(test_apply_is_one_task_until_it_is_assigned),
		cmocka_unit_test(test_map_is_taken_in_order_by_count_and_size),
		cmocka_unit_test(test_what_is_given_back_is_taken_first_and_in_order),
		cmocka_unit_test(test_dropped_tasks_are_not_left),
		cmocka_unit_test(test_request_is_shared_or_copied),
		cmocka_unit_test(test_values_in_any_order_become_one_array),
		cmocka_unit_test(test_collected_values_and_errors_are_pairs),
	};
	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
