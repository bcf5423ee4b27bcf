/* SPDX-License-Identifier: MIT */
#include "core/worker.h"

#include <stdlib.h>

#include "../unit/test.h"

/* A worker with a page of plain memory, and a job whose chunks it is given. */
struct fixture {
	struct worker *worker;
	struct page *page;
	struct job job;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->worker = worker_create(NULL, 1, 0);
	f->page = f->worker->page = calloc(1, sizeof(*f->page));
	worker_step(f->worker, WORKER_READY, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct chunk *chunk;
	while ((chunk = worker_current(f->worker)))
		worker_forget(f->worker, chunk);
	assert_int_equal(f->job.assigned, 0);
	worker_destroy(f->worker);
	free(f->page);
	free(f);
	return 0;
}

static struct chunk *push(struct fixture *f, uint32_t count)
{
	struct range range = {0, count, NULL, 0};
	struct chunk *chunk = worker_push(f->worker, &f->job, range, 1, 100, 5);
	worker_step(f->worker, WORKER_ASSIGN, 5);
	return chunk;
}

static void claim(struct fixture *f, const struct chunk *chunk, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(page_claim(f->page, chunk->seq, i));
}

static void test_every_state_and_event(void **state)
{
	(void)state;
	enum { NO = WORKER_STATE_COUNT };
	static const int expected[WORKER_STATE_COUNT][WORKER_EVENT_COUNT] = {
		{WORKER_IDLE, NO, NO, NO, NO, WORKER_STOPPING, WORKER_LOST},
		{NO, WORKER_BUSY, NO, NO, NO, WORKER_STOPPING, WORKER_LOST},
		{NO, WORKER_BUSY, WORKER_IDLE, WORKER_HALTING, NO, WORKER_STOPPING, WORKER_LOST},
		{NO, NO, NO, NO, WORKER_BUSY, WORKER_STOPPING, WORKER_LOST},
		{NO, NO, WORKER_STOPPING, WORKER_STOPPING, WORKER_STOPPING, WORKER_STOPPING,
		 WORKER_LOST},
		{NO, NO, NO, NO, NO, NO, NO},
	};
	for (int s = 0; s < WORKER_STATE_COUNT; s++)
		for (int e = 0; e < WORKER_EVENT_COUNT; e++)
			assert_int_equal(
				worker_next_state((enum worker_state)s, (enum worker_event)e),
				expected[s][e]);
}

static void test_states_have_the_names_of_the_protocol(void **state)
{
	(void)state;
	assert_string_equal(worker_state_name(WORKER_STARTING), "starting");
	assert_string_equal(worker_state_name(WORKER_IDLE), "idle");
	assert_string_equal(worker_state_name(WORKER_BUSY), "busy");
	assert_string_equal(worker_state_name(WORKER_STOPPING), "stopping");
}

static void test_answers_come_in_order_and_once(void **state)
{
	struct fixture *f = *state;
	struct chunk *a = push(f, 3), *b = push(f, 1);
	assert_int_equal(a->seq, 1);
	assert_int_equal(b->seq, 2);
	assert_null(worker_match(f->worker, 2, 0, 1));
	assert_null(worker_match(f->worker, 1, 1, 1));
	assert_null(worker_match(f->worker, 1, 0, 0));
	assert_null(worker_match(f->worker, 1, 0, 4));
	assert_ptr_equal(worker_match(f->worker, 1, 0, 2), a);
	worker_answer(f->worker, a, 2);
	assert_null(worker_match(f->worker, 1, 0, 1));
	assert_null(worker_match(f->worker, 1, 2, 2));
	assert_null(worker_match(f->worker, 1, 2, UINT32_MAX));
	worker_answer(f->worker, worker_match(f->worker, 1, 2, 1), 1);
	assert_null(worker_match(f->worker, 1, 2, 1));
	worker_answer(f->worker, worker_match(f->worker, 2, 0, 1), 1);
	assert_null(worker_current(f->worker));
	assert_int_equal(f->worker->tasks, 4);
	assert_int_equal(f->job.assigned, 0);
	assert_true(f->worker->backlog_us == 0);
}

static void test_numbers_go_on_at_zero_after_the_last(void **state)
{
	struct fixture *f = *state;
	f->worker->oldest_seq = f->worker->next_seq = UINT32_MAX;
	struct chunk *a = push(f, 1), *b = push(f, 1);
	assert_int_equal(b->seq, 0);
	worker_answer(f->worker, worker_match(f->worker, UINT32_MAX, 0, 1), 1);
	assert_false(a->pending);
	assert_ptr_equal(worker_match(f->worker, 0, 0, 1), b);
}

static void test_room_ends_with_the_slots_and_without_a_page(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < PAGE_SLOTS; i++) {
		assert_true(worker_has_room(f->worker));
		push(f, 1);
	}
	assert_false(worker_has_room(f->worker));
	worker_answer(f->worker, worker_current(f->worker), 1);
	assert_true(worker_has_room(f->worker));
	f->worker->page = NULL;
	assert_false(worker_has_room(f->worker));
	f->worker->page = f->page;
}

/* A slot in the middle is free only when all before it are. */
static void test_forgotten_message_holds_its_slot_behind_older_ones(void **state)
{
	struct fixture *f = *state;
	struct chunk *a = push(f, 1), *b = push(f, 1);
	worker_forget(f->worker, b);
	assert_int_equal(f->worker->oldest_seq, 1);
	worker_forget(f->worker, a);
	assert_int_equal(f->worker->oldest_seq, 3);
}

static void test_it_runs_what_it_has_claimed_and_not_answered(void **state)
{
	struct fixture *f = *state;
	assert_false(worker_runs(f->worker));
	struct chunk *chunk = push(f, 2);
	assert_false(worker_runs(f->worker));
	claim(f, chunk, 1);
	assert_true(worker_runs(f->worker));
	worker_answer(f->worker, chunk, 1);
	assert_false(worker_runs(f->worker));
	f->worker->page = NULL;
	assert_true(worker_runs(f->worker));
	f->worker->page = f->page;
}

static void test_taking_back_leaves_what_has_begun(void **state)
{
	struct fixture *f = *state;
	struct chunk *chunk = push(f, 4);
	claim(f, chunk, 3);
	worker_answer(f->worker, chunk, 1);
	assert_int_equal(worker_revoke(f->worker, chunk), 3);
	assert_false(page_claim(f->page, chunk->seq, 3));
	assert_int_equal(worker_revoke(f->worker, chunk), 3);
}

static void test_without_a_page_or_with_nonsense_in_it_all_has_begun(void **state)
{
	struct fixture *f = *state;
	struct chunk *chunk = push(f, 4);
	claim(f, chunk, 2);
	worker_answer(f->worker, chunk, 2);
	static const uint64_t words[] = {0,
					 UINT64_MAX,
					 UINT64_C(1) << 32,
					 (UINT64_C(1) << 32) + 1,
					 (UINT64_C(1) << 32) + 5,
					 (UINT64_C(2) << 32) + 2};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		atomic_store(page_slot(f->page, chunk->seq), words[i]);
		assert_int_equal(worker_revoke(f->worker, chunk), 4);
		assert_false(worker_revoke_all(f->worker));
	}
	f->worker->page = NULL;
	assert_int_equal(worker_revoke(f->worker, chunk), 4);
	assert_false(worker_revoke_all(f->worker));
	f->worker->page = f->page;
}

static void test_revoking_all_knows_that_messages_run_in_order(void **state)
{
	struct fixture *f = *state;
	struct chunk *a = push(f, 2), *b = push(f, 2);
	push(f, 2);
	claim(f, a, 2);
	claim(f, b, 1);
	assert_true(worker_revoke_all(f->worker));
	atomic_store(page_slot(f->page, a->seq), page_word(a->seq, 1));
	assert_false(worker_revoke_all(f->worker));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_state_and_event),
		cmocka_unit_test(test_states_have_the_names_of_the_protocol),
		TEST(test_answers_come_in_order_and_once),
		TEST(test_numbers_go_on_at_zero_after_the_last),
		TEST(test_room_ends_with_the_slots_and_without_a_page),
		TEST(test_forgotten_message_holds_its_slot_behind_older_ones),
		TEST(test_it_runs_what_it_has_claimed_and_not_answered),
		TEST(test_taking_back_leaves_what_has_begun),
		TEST(test_without_a_page_or_with_nonsense_in_it_all_has_begun),
		TEST(test_revoking_all_knows_that_messages_run_in_order),
	};
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
