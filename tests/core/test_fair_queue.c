/* SPDX-License-Identifier: MIT */
#include "core/fair_queue.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"

#define FLOWS 4

/* Sessions of users; jobs that never run out unless a test removes them. */
struct fixture {
	struct fair_queue queue;
	struct flow *user_flows[FLOWS];
	struct flow *session_flows[FLOWS];
	struct flow *flows[FLOWS];
	struct job jobs[FLOWS][2];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	fair_queue_init(&f->queue);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < FLOWS; i++)
		for (int j = 0; j < 2; j++)
			if (f->jobs[i][j].queued)
				fair_queue_remove(f->flows[i], &f->jobs[i][j]);
	assert_null(fair_queue_peek(&f->queue));
	for (int i = 0; i < FLOWS; i++)
		flows_destroy(&f->session_flows[i]);
	for (int i = 0; i < FLOWS; i++)
		flows_destroy(&f->user_flows[i]);
	free(f);
	return 0;
}

static void add(struct fixture *f, int session, int user)
{
	f->flows[session] =
		fair_queue_flow(&f->queue, &f->user_flows[user], &f->session_flows[session]);
	assert_non_null(f->flows[session]);
	fair_queue_push(f->flows[session], &f->jobs[session][0]);
}

static int session_of(const struct fixture *f, const struct job *job)
{
	return (int)(((const char *)job - (const char *)f->jobs) / (ptrdiff_t)sizeof(f->jobs[0]));
}

/* Serves so many tasks of the sessions' own cost, and counts the time each session got. */
static void serve(struct fixture *f, int tasks, const int64_t *cost_us, int64_t *ret_us)
{
	memset(ret_us, 0, FLOWS * sizeof(*ret_us));
	for (; tasks > 0; tasks--) {
		int session = session_of(f, fair_queue_peek(&f->queue));
		fair_queue_charge(f->flows[session], cost_us[session]);
		ret_us[session] += cost_us[session];
	}
}

static void test_jobs_of_a_session_come_in_their_order(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 0);
	fair_queue_push(f->flows[0], &f->jobs[0][1]);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][0]);
	fair_queue_remove(f->flows[0], &f->jobs[0][0]);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][1]);
	fair_queue_push_front(f->flows[0], &f->jobs[0][0]);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][0]);
}

static void test_higher_priorities_come_first(void **state)
{
	struct fixture *f = *state;
	struct job jobs[] = {{.priority = -2}, {.priority = 0}, {.priority = 2}, {.priority = 0}};
	static const int order[] = {2, 1, 3, 0};
	add(f, 0, 0);
	fair_queue_remove(f->flows[0], &f->jobs[0][0]);
	for (int i = 0; i < 4; i++)
		fair_queue_push(f->flows[0], &jobs[i]);
	for (int i = 0; i < 4; i++) {
		assert_ptr_equal(fair_queue_peek(&f->queue), &jobs[order[i]]);
		fair_queue_remove(f->flows[0], &jobs[order[i]]);
		/* What comes back goes before its own kind only. */
		fair_queue_push_front(f->flows[0], &jobs[order[i]]);
		assert_ptr_equal(fair_queue_peek(&f->queue), &jobs[order[i]]);
		fair_queue_remove(f->flows[0], &jobs[order[i]]);
	}
	assert_null(fair_queue_peek(&f->queue));
}

static void test_priority_counts_within_a_session_only(void **state)
{
	struct fixture *f = *state;
	const int64_t cost_us[FLOWS] = {100, 100, 100, 100};
	int64_t got_us[FLOWS];
	f->jobs[0][0].priority = 2;
	f->jobs[1][0].priority = -2;
	add(f, 0, 0);
	add(f, 1, 0);
	serve(f, 20000, cost_us, got_us);
	assert_in_range(got_us[0], 990000, 1010000);
}

static void test_flow_of_a_session_is_made_once(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 0);
	assert_ptr_equal(fair_queue_flow(&f->queue, &f->user_flows[0], &f->session_flows[0]),
			 f->flows[0]);
}

static void test_users_share_time_not_tasks(void **state)
{
	struct fixture *f = *state;
	const int64_t cost_us[FLOWS] = {10, 1000, 50000, 0};
	int64_t got_us[FLOWS];
	for (int i = 0; i < 3; i++)
		add(f, i, i);
	serve(f, 100000, cost_us, got_us);
	int64_t all_us = got_us[0] + got_us[1] + got_us[2];
	for (int i = 0; i < 3; i++)
		assert_in_range(got_us[i], all_us / 3 - 60000, all_us / 3 + 60000);
}

static void test_many_sessions_do_not_make_a_larger_share(void **state)
{
	struct fixture *f = *state;
	const int64_t cost_us[FLOWS] = {100, 100, 100, 100};
	int64_t got_us[FLOWS];
	for (int i = 0; i < 3; i++)
		add(f, i, 0);
	add(f, 3, 1);
	serve(f, 60000, cost_us, got_us);
	assert_in_range(got_us[3], 2950000, 3050000);
	for (int i = 0; i < 3; i++)
		assert_in_range(got_us[i], 950000, 1050000);
}

/* Nobody wanted it, so it owes nothing. */
static void test_time_used_alone_is_not_worked_off(void **state)
{
	struct fixture *f = *state;
	const int64_t cost_us[FLOWS] = {1000, 1000, 0, 0};
	int64_t got_us[FLOWS];
	add(f, 0, 0);
	serve(f, 10000, cost_us, got_us);
	add(f, 1, 1);
	serve(f, 100, cost_us, got_us);
	assert_in_range(got_us[0], 45000, 55000);
}

/* Whose single job is served and comes again is out of the ring for a moment each time: that must
 * not make its long tasks as good as short ones. */
static void test_job_at_a_time_does_not_make_a_larger_share(void **state)
{
	struct fixture *f = *state;
	const int64_t cost_us[FLOWS] = {50000, 1000, 0, 0};
	int64_t got_us[FLOWS] = {0};
	add(f, 0, 0);
	add(f, 1, 1);
	for (int i = 0; i < 20000; i++) {
		struct job *job = fair_queue_peek(&f->queue);
		int session = session_of(f, job);
		if (session == 0)
			fair_queue_remove(f->flows[0], job);
		fair_queue_charge(f->flows[session], cost_us[session]);
		got_us[session] += cost_us[session];
		if (session == 0)
			fair_queue_push(f->flows[0], job);
	}
	assert_in_range(got_us[0], got_us[1] * 9 / 10, got_us[1] * 11 / 10);
}

/* Likewise, what is found to have taken long only when nothing of it waits. */
static void test_debts_end_with_the_wait_of_others(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 0);
	add(f, 1, 1);
	fair_queue_remove(f->flows[0], &f->jobs[0][0]);
	fair_queue_charge(f->flows[0], 10000);
	fair_queue_push(f->flows[0], &f->jobs[0][0]);
	for (int i = 0; i < 9; i++) {
		assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[1][0]);
		fair_queue_charge(f->flows[1], FAIR_QUANTUM_US);
	}
	/* Nobody waits any more, so nobody owes anything. */
	fair_queue_remove(f->flows[0], &f->jobs[0][0]);
	fair_queue_charge(f->flows[0], 10000000);
	fair_queue_remove(f->flows[1], &f->jobs[1][0]);
	fair_queue_push(f->flows[0], &f->jobs[0][0]);
	fair_queue_push(f->flows[1], &f->jobs[1][0]);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][0]);
}

static void test_refund_of_an_estimate_counts(void **state)
{
	struct fixture *f = *state;
	int served = 0;
	add(f, 0, 0);
	add(f, 1, 1);
	for (int i = 0; i < 1000; i++) {
		int session = session_of(f, fair_queue_peek(&f->queue));
		fair_queue_charge(f->flows[session], 5000);
		/* It was short after all. */
		fair_queue_charge(f->flows[session], session == 0 ? -4000 : 0);
		served += session == 0;
	}
	assert_in_range(served, 800, 860);
}

static void test_parked_session_is_passed_over_and_keeps_its_place(void **state)
{
	struct fixture *f = *state;
	add(f, 0, 0);
	fair_queue_push(f->flows[0], &f->jobs[0][1]);
	flows_park(f->session_flows[0], true);
	assert_null(fair_queue_peek(&f->queue));
	add(f, 1, 0);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[1][0]);
	fair_queue_remove(f->flows[1], &f->jobs[1][0]);
	flows_park(f->session_flows[0], false);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][0]);
	/* What leaves while parked has left. */
	flows_park(f->session_flows[0], true);
	fair_queue_remove(f->flows[0], &f->jobs[0][0]);
	fair_queue_remove(f->flows[0], &f->jobs[0][1]);
	flows_park(f->session_flows[0], false);
	assert_null(fair_queue_peek(&f->queue));
}

static void test_a_queue_that_ends_leaves_its_users_their_other_flows(void **state)
{
	struct fixture *f = *state;
	struct fair_queue other;
	fair_queue_init(&other);
	struct flow *before = fair_queue_flow(&other, &f->user_flows[0], &f->session_flows[0]);
	assert_non_null(before);
	add(f, 0, 0);
	struct flow *after = fair_queue_flow(&other, &f->user_flows[0], &f->session_flows[1]);
	assert_non_null(after);
	fair_queue_fini(&other);
	assert_null(f->session_flows[1]);
	assert_ptr_equal(f->session_flows[0], f->flows[0]);
	assert_null(f->session_flows[0]->next_of_owner);
	assert_ptr_equal(f->user_flows[0], f->flows[0]->parent);
	assert_null(f->user_flows[0]->next_of_owner);
	assert_ptr_equal(fair_queue_peek(&f->queue), &f->jobs[0][0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_jobs_of_a_session_come_in_their_order),
		TEST(test_higher_priorities_come_first),
		TEST(test_priority_counts_within_a_session_only),
		TEST(test_flow_of_a_session_is_made_once),
		TEST(test_users_share_time_not_tasks),
		TEST(test_many_sessions_do_not_make_a_larger_share),
		TEST(test_time_used_alone_is_not_worked_off),
		TEST(test_job_at_a_time_does_not_make_a_larger_share),
		TEST(test_debts_end_with_the_wait_of_others),
		TEST(test_refund_of_an_estimate_counts),
		TEST(test_parked_session_is_passed_over_and_keeps_its_place),
		TEST(test_a_queue_that_ends_leaves_its_users_their_other_flows),
	};
	return cmocka_run_group_tests_name("fair_queue", tests, NULL, NULL);
}
