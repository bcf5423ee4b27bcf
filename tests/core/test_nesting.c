/* SPDX-License-Identifier: MIT */
#include "core/nesting.h"

#include <signal.h>

#include "../unit/test.h"
#include "core/policy.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};
static const char *const other_functions[] = {"u.f", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static struct fixture begin(unsigned workers)
{
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "one", workers, FAKE_FORK_PAGE, functions);
	return (struct fixture){world, pool, world_open(world, 100)};
}

static void end(struct fixture *f)
{
	world_work(f->world);
	world_check(f->world);
	assert_true(LIST_EMPTY(&f->world->core.callers));
	world_destroy(f->world);
}

/* A job that a worker has begun. */
static uint64_t begin_job(struct fixture *f, const char *function, unsigned place)
{
	struct call call = {.function = function, .async = true};
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	assert_true(fake_begin(f->world, world_worker(f->world, place)));
	return id;
}

/* A call that a function makes within a job, on its own connection; returns its msgid. */
static uint32_t call_within(struct fixture *f, struct session *caller, uint64_t parent,
			    const char *function)
{
	struct call call = {.function = function, .parent = parent};
	world_submit(f->world, caller, call, NULL);
	world_check(f->world);
	return f->world->last_msgid;
}

static enum error_code code_of(struct fixture *f, uint32_t msgid)
{
	const struct record *reply = world_reply(f->world, msgid);
	return reply ? reply->code : ERR_NONE;
}

static void test_child_runs_in_another_worker(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	struct fake_worker *fake = world_worker(f.world, 1);
	assert_true(fake_begin(f.world, fake));
	fake_answer(f.world, fake, 1, 1);
	assert_non_null(world_reply(f.world, msgid));
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	end(&f);
}

static void test_call_that_nobody_could_run_fails(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_int_equal(code_of(&f, msgid), ERR_WOULD_DEADLOCK);
	/* The function that called goes on. */
	fake_answer(f.world, world_worker(f.world, 0), 1, 1);
	assert_int_equal(world_job(f.world, f.session, parent)->state, JOB_DONE);
	end(&f);
}

static void test_only_the_call_that_closes_the_circle_fails(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parents[] = {begin_job(&f, "t.f", 0), begin_job(&f, "t.f", 1)};
	uint32_t first = call_within(&f, world_open(f.world, 100), parents[0], "t.f");
	assert_null(world_reply(f.world, first));
	uint32_t second = call_within(&f, world_open(f.world, 100), parents[1], "t.f");
	assert_int_equal(code_of(&f, second), ERR_WOULD_DEADLOCK);
	assert_null(world_reply(f.world, first));
	/* Its worker gets free, and runs the first. */
	fake_answer(f.world, world_worker(f.world, 1), 1, 1);
	assert_true(fake_begin(f.world, world_worker(f.world, 1)));
	fake_answer(f.world, world_worker(f.world, 1), 1, 1);
	assert_int_equal(code_of(&f, first), ERR_NONE);
	end(&f);
}

static void test_workers_that_wait_for_nothing_are_waited_for(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parent = begin_job(&f, "t.f", 0);
	begin_job(&f, "t.f", 1);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_null(world_reply(f.world, msgid));
	fake_answer(f.world, world_worker(f.world, 1), 1, 1);
	assert_true(fake_begin(f.world, world_worker(f.world, 1)));
	fake_answer(f.world, world_worker(f.world, 1), 1, 1);
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	end(&f);
}

static void test_worker_whose_task_is_being_stopped_is_waited_for(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint64_t unwanted = begin_job(&f, "t.f", 1);
	core_cancel(&f.world->core, world_job(f.world, f.session, unwanted), f.world->now_us);
	world_settle(f.world);
	assert_int_equal(world_worker(f.world, 1)->worker->state, WORKER_HALTING);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_null(world_reply(f.world, msgid));
	fake_fail(f.world, world_worker(f.world, 1), 1);
	world_work(f.world);
	assert_non_null(world_reply(f.world, msgid));
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	end(&f);
}

static void test_circle_through_two_pools_is_found(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	world_add_pool(f.world, "two", 1, FAKE_FORK_PAGE, other_functions);
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint32_t child = call_within(&f, world_open(f.world, 100), parent, "u.f");
	assert_null(world_reply(f.world, child));
	uint64_t id = f.world->core.jobs.last_id;
	assert_true(fake_begin(f.world, world_worker(f.world, 1)));
	uint32_t grandchild = call_within(&f, world_open(f.world, 100), id, "t.f");
	assert_int_equal(code_of(&f, grandchild), ERR_WOULD_DEADLOCK);
	assert_null(world_reply(f.world, child));
	end(&f);
}

static void test_chain_that_ends_is_none(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	world_add_pool(f.world, "two", 2, FAKE_FORK_PAGE, other_functions);
	uint64_t parent = begin_job(&f, "t.f", 0);
	call_within(&f, world_open(f.world, 100), parent, "u.f");
	uint64_t id = f.world->core.jobs.last_id;
	assert_true(fake_begin(f.world, world_worker(f.world, 1)) ||
		    fake_begin(f.world, world_worker(f.world, 2)));
	/* Within its own pool, where a worker idles; and while that is busy. */
	uint32_t first = call_within(&f, world_open(f.world, 100), id, "u.f");
	uint32_t second = call_within(&f, world_open(f.world, 100), id, "u.f");
	assert_null(world_reply(f.world, first));
	assert_null(world_reply(f.world, second));
	end(&f);
}

static void test_unlimited_wait_for_a_child_is_refused(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	uint64_t parent = begin_job(&f, "t.f", 0);
	struct session *caller = world_open(f.world, 100);
	struct call call = {.function = "t.f", .async = true, .parent = parent};
	uint64_t child = world_submit(f.world, caller, call, NULL);
	uint32_t limited = world_wait(f.world, caller, child, f.world->now_us + 1000);
	assert_null(world_reply(f.world, limited));
	uint32_t unlimited = world_wait(f.world, caller, child, TIME_NEVER);
	assert_int_equal(code_of(&f, unlimited), ERR_WOULD_DEADLOCK);
	world_advance(f.world, 1000);
	assert_int_equal(code_of(&f, limited), ERR_NOT_READY);
	/* The child itself goes on once somebody has time for it. */
	world_work(f.world);
	assert_int_equal(world_job(f.world, caller, child)->state, JOB_DONE);
	end(&f);
}

static void test_others_may_wait_for_a_child(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	uint64_t parent = begin_job(&f, "t.f", 0);
	struct call call = {.function = "t.f", .async = true, .parent = parent};
	uint64_t child = world_submit(f.world, world_open(f.world, 100), call, NULL);
	/* The parent's client keeps no worker. */
	uint32_t msgid = world_wait(f.world, f.session, child, TIME_NEVER);
	assert_null(world_reply(f.world, msgid));
	world_work(f.world);
	assert_non_null(world_reply(f.world, msgid));
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	end(&f);
}

static void test_map_keeps_as_many_workers_as_it_has_callers(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	struct call call = {
		.function = "t.f", .async = true, .map = true, .count = 2, .chunksize = 1};
	uint64_t parent = world_submit(f.world, f.session, call, NULL);
	for (unsigned i = 0; i < 2; i++)
		assert_true(fake_begin(f.world, world_worker(f.world, i)));
	uint32_t first = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_null(world_reply(f.world, first));
	uint32_t second = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_int_equal(code_of(&f, second), ERR_WOULD_DEADLOCK);
	end(&f);
}

static void test_pool_may_have_an_extra_worker(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	f.pool->spec->extra_workers = 1;
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint32_t child = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_int_equal(f.pool->worker_count, 2);
	assert_true(fake_begin(f.world, world_worker(f.world, 1)));
	uint32_t grandchild =
		call_within(&f, world_open(f.world, 100), f.world->core.jobs.last_id, "t.f");
	assert_int_equal(code_of(&f, grandchild), ERR_WOULD_DEADLOCK);
	world_work(f.world);
	assert_int_equal(code_of(&f, child), ERR_NONE);
	/* Not needed any more. */
	world_advance(f.world, 2 * f.pool->spec->idle_us);
	assert_int_equal(f.pool->worker_count, 1);
	end(&f);
}

static void test_call_fails_when_the_last_free_worker_leaves(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	begin_job(&f, "t.f", 0);
	f.world->now_us += 10;
	uint64_t parent = begin_job(&f, "t.f", 1);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_null(world_reply(f.world, msgid));
	policy_scale(f.pool, 1, 1, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(code_of(&f, msgid), ERR_WOULD_DEADLOCK);
	end(&f);
}

static void test_call_survives_workers_that_are_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	begin_job(&f, "t.f", 0);
	uint64_t parent = begin_job(&f, "t.f", 1);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	fake_die(f.world, world_worker(f.world, 0), SIGKILL);
	world_check(f.world);
	assert_null(world_reply(f.world, msgid));
	world_work(f.world);
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	end(&f);
}

static void test_parent_must_be_under_way_and_visible(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	enum error_code code;
	uint64_t parent = begin_job(&f, "t.f", 0);
	struct call call = {.function = "t.f", .parent = parent};
	assert_int_equal(world_submit(f.world, world_open(f.world, 200), call, &code), 0);
	assert_int_equal(code, ERR_NO_SUCH_JOB);
	fake_answer(f.world, world_worker(f.world, 0), 1, 1);
	/* Kept, but not under way. */
	assert_int_equal(world_submit(f.world, f.session, call, &code), 0);
	assert_int_equal(code, ERR_NO_SUCH_JOB);
	end(&f);
}

static void test_child_outlives_its_parent(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parent = begin_job(&f, "t.f", 0);
	begin_job(&f, "t.f", 1);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	core_cancel(&f.world->core, world_job(f.world, f.session, parent), f.world->now_us);
	world_settle(f.world);
	world_advance(f.world, 400 * UINT64_C(1000000));
	world_work(f.world);
	assert_int_equal(code_of(&f, msgid), ERR_NONE);
	assert_non_null(world_reply(f.world, msgid));
	end(&f);
}

static void test_caller_that_leaves_keeps_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	uint64_t parents[] = {begin_job(&f, "t.f", 0), begin_job(&f, "t.f", 1)};
	struct session *caller = world_open(f.world, 100);
	call_within(&f, caller, parents[0], "t.f");
	world_close(f.world, caller);
	assert_true(LIST_EMPTY(&f.world->core.callers));
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parents[1], "t.f");
	assert_null(world_reply(f.world, msgid));
	end(&f);
}

/* A worker keeps its connection, and a call may be left behind by the task before. */
static void test_call_is_of_the_job_that_runs_now(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	world_add_pool(f.world, "two", 1, FAKE_FORK_PAGE, other_functions);
	struct session *caller = world_open(f.world, 100);
	uint64_t before = begin_job(&f, "t.f", 0);
	uint32_t left = call_within(&f, caller, before, "u.f");
	fake_answer(f.world, world_worker(f.world, 0), 1, 1);
	uint64_t parent = begin_job(&f, "t.f", 0);
	uint32_t msgid = call_within(&f, caller, parent, "t.f");
	assert_int_equal(code_of(&f, msgid), ERR_WOULD_DEADLOCK);
	assert_null(world_reply(f.world, left));
	end(&f);
}

/* Workers may keep an answer for a moment while they go on. */
static void test_job_has_begun_before_the_one_before_is_answered(void **state)
{
	(void)state;
	struct fixture f = begin(1);
	/* A function known to be short. */
	world_submit(f.world, f.session, (struct call){.function = "t.f", .map = true, .count = 10},
		     NULL);
	world_work(f.world);
	begin_job(&f, "t.f", 0);
	uint64_t parent = begin_job(&f, "t.f", 0);
	assert_int_equal(world_worker(f.world, 0)->worker->pending, 2);
	uint32_t msgid = call_within(&f, world_open(f.world, 100), parent, "t.f");
	assert_int_equal(code_of(&f, msgid), ERR_WOULD_DEADLOCK);
	end(&f);
}

/* It would wait behind what may be its own parent. */
static void test_child_is_not_sent_ahead(void **state)
{
	(void)state;
	struct fixture f = begin(2);
	/* A function known to be short. */
	world_submit(f.world, f.session, (struct call){.function = "t.f", .map = true, .count = 10},
		     NULL);
	world_work(f.world);
	uint64_t parent = 0;
	for (int i = 0; i < 2; i++) {
		struct call call = {.function = "t.f", .async = true};
		parent = world_submit(f.world, f.session, call, NULL);
		assert_true(fake_begin(f.world, world_worker(f.world, 0)) ||
			    fake_begin(f.world, world_worker(f.world, 1)));
	}
	call_within(&f, world_open(f.world, 100), parent, "t.f");
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(world_worker(f.world, i)->worker->pending, 1);
	assert_int_equal(f.pool->waiting, 1);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_runs_in_another_worker),
		cmocka_unit_test(test_call_that_nobody_could_run_fails),
		cmocka_unit_test(test_only_the_call_that_closes_the_circle_fails),
		cmocka_unit_test(test_workers_that_wait_for_nothing_are_waited_for),
		cmocka_unit_test(test_worker_whose_task_is_being_stopped_is_waited_for),
		cmocka_unit_test(test_circle_through_two_pools_is_found),
		cmocka_unit_test(test_chain_that_ends_is_none),
		cmocka_unit_test(test_unlimited_wait_for_a_child_is_refused),
		cmocka_unit_test(test_others_may_wait_for_a_child),
		cmocka_unit_test(test_map_keeps_as_many_workers_as_it_has_callers),
		cmocka_unit_test(test_pool_may_have_an_extra_worker),
		cmocka_unit_test(test_call_fails_when_the_last_free_worker_leaves),
		cmocka_unit_test(test_call_survives_workers_that_are_replaced),
		cmocka_unit_test(test_parent_must_be_under_way_and_visible),
		cmocka_unit_test(test_child_outlives_its_parent),
		cmocka_unit_test(test_caller_that_leaves_keeps_nothing),
		cmocka_unit_test(test_call_is_of_the_job_that_runs_now),
		cmocka_unit_test(test_job_has_begun_before_the_one_before_is_answered),
		cmocka_unit_test(test_child_is_not_sent_ahead),
	};
	return cmocka_run_group_tests_name("nesting", tests, NULL, NULL);
}
