/* SPDX-License-Identifier: MIT */
#include "core/control.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
	struct session *admin;
};

static struct fixture begin(unsigned workers, enum fake_kind kind)
{
	struct fixture f = {.world = world_create(NULL)};
	f.pool = world_add_pool(f.world, "p", workers, kind, functions);
	f.session = world_open(f.world, 100);
	f.admin = world_open(f.world, 0);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_work(f->world);
	world_check(f->world);
	world_destroy(f->world);
}

/* Returns the msgid of the last. */
static uint32_t apply(struct fixture *f, unsigned count)
{
	struct call call = {.function = "t.f"};
	for (unsigned i = 0; i < count; i++)
		assert_int_not_equal(world_submit(f->world, f->session, call, NULL), 0);
	return f->world->last_msgid;
}

static void pause_pool(struct fixture *f)
{
	struct outcome error;
	assert_true(control_pause(f->pool, f->world->now_us, &error));
	world_settle(f->world);
}

static void resume_pool(struct fixture *f)
{
	struct outcome error;
	assert_true(control_resume(f->pool, &error));
	world_settle(f->world);
}

/* Returns its msgid; what is told at once is a reply, too. */
static uint32_t drain_pool(struct fixture *f, uint64_t until_us)
{
	struct outcome error = {0};
	uint32_t msgid = ++f->world->last_msgid;
	if (!control_drain(f->admin, msgid, f->pool, until_us, f->world->now_us, &error)) {
		core_reply(&f->world->core, f->admin, msgid, &error);
		outcome_fini(&error);
	}
	world_settle(f->world);
	return msgid;
}

static void expect_reply(struct fixture *f, uint32_t msgid, enum error_code code)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, code);
}

static void test_a_paused_pool_takes_jobs_and_begins_none(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	pause_pool(&f);
	assert_string_equal(pool_state_name(f.pool), "paused");
	uint32_t msgid = apply(&f, 5);
	assert_int_equal(f.pool->waiting, 5);
	assert_int_equal(f.pool->running, 0);
	world_advance(f.world, 60 * SECOND);
	assert_int_equal(f.pool->waiting, 5);
	resume_pool(&f);
	assert_string_equal(pool_state_name(f.pool), "ready");
	world_work(f.world);
	expect_reply(&f, msgid, ERR_NONE);
	end(&f);
}

static void test_pausing_takes_back_what_has_not_begun(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	function_measure(function_table_find(&f.pool->functions, "t.f", 3), 100, 1);
	uint32_t msgid = apply(&f, 4);
	assert_true(fake_begin(f.world, fake));
	pause_pool(&f);
	assert_int_equal(f.pool->waiting, 3);
	assert_false(fake_begin(f.world, fake));
	fake_answer(f.world, fake, 1, 100);
	expect_reply(&f, msgid - 3, ERR_NONE);
	assert_int_equal(f.pool->running, 0);
	world_check(f.world);
	resume_pool(&f);
	world_work(f.world);
	expect_reply(&f, msgid, ERR_NONE);
	end(&f);
}

static void test_what_was_taken_back_has_waited_once(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	const struct histogram *waiting = &f.world->core.stats.waiting;
	apply(&f, 5);
	assert_true(waiting->count > 0);
	world_advance(f.world, SECOND);
	pause_pool(&f);
	assert_int_equal(waiting->count, 0);
	assert_int_equal(waiting->sum_us, 0);
	resume_pool(&f);
	world_work(f.world);
	assert_int_equal(waiting->count, 5);
	assert_true(waiting->sum_us >= 5 * SECOND);
	end(&f);
}

static void test_a_paused_pool_does_not_grow(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct outcome error;
	assert_true(control_scale(f.pool, 1, 8, f.world->now_us, &error));
	pause_pool(&f);
	apply(&f, 8);
	assert_int_equal(f.pool->target, 1);
	resume_pool(&f);
	assert_int_equal(f.pool->target, 8);
	end(&f);
}

static void test_a_drain_is_done_when_nothing_waits_or_runs(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t last = apply(&f, 3);
	uint32_t msgid = drain_pool(&f, TIME_NEVER);
	assert_string_equal(pool_state_name(f.pool), "draining");
	enum error_code code;
	assert_int_equal(world_submit(f.world, f.session, (struct call){.function = "t.f"}, &code),
			 0);
	assert_int_equal(code, ERR_POOL_CLOSED);
	assert_int_equal(world_submit(f.world, f.session,
				      (struct call){.function = "t.f", .pool = "p"}, &code),
			 0);
	assert_int_equal(code, ERR_POOL_CLOSED);
	assert_null(world_reply(f.world, msgid));
	world_work(f.world);
	expect_reply(&f, last, ERR_NONE);
	expect_reply(&f, msgid, ERR_NONE);
	/* It stays so. */
	assert_string_equal(pool_state_name(f.pool), "draining");
	expect_reply(&f, drain_pool(&f, 0), ERR_NONE);
	resume_pool(&f);
	apply(&f, 1);
	end(&f);
}

static void test_a_drain_waits_for_so_long_and_goes_on(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	apply(&f, 1);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	expect_reply(&f, drain_pool(&f, 0), ERR_NOT_READY);
	uint32_t msgid = drain_pool(&f, f.world->now_us + SECOND);
	uint32_t later = drain_pool(&f, TIME_NEVER);
	world_advance(f.world, SECOND);
	expect_reply(&f, msgid, ERR_NOT_READY);
	assert_string_equal(pool_state_name(f.pool), "draining");
	fake_answer(f.world, world_worker(f.world, 0), 1, 10);
	expect_reply(&f, later, ERR_NONE);
	end(&f);
}

static void test_who_waits_for_a_drain_is_told_of_a_resume(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	apply(&f, 1);
	uint32_t msgid = drain_pool(&f, TIME_NEVER);
	resume_pool(&f);
	expect_reply(&f, msgid, ERR_NOT_READY);
	end(&f);
}

static void test_a_task_of_a_cancelled_job_that_runs_still_delays_a_drain(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct call call = {.function = "t.f", .async = true};
	uint64_t id = world_submit(f.world, f.session, call, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	uint32_t msgid = drain_pool(&f, TIME_NEVER);
	core_cancel(&f.world->core, world_job(f.world, f.session, id), f.world->now_us);
	world_settle(f.world);
	assert_true(!world_reply(f.world, msgid) || f.pool->running == 0);
	world_work(f.world);
	world_advance(f.world, 10 * SECOND);
	expect_reply(&f, msgid, ERR_NONE);
	end(&f);
}

static void test_who_waits_for_a_drain_may_go(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	apply(&f, 1);
	drain_pool(&f, TIME_NEVER);
	world_close(f.world, f.admin);
	world_work(f.world);
	assert_string_equal(pool_state_name(f.pool), "draining");
	end(&f);
}

static void test_a_killed_worker_is_found_by_its_pid_and_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 1);
	struct fake_worker *fake = world_worker(f.world, 0);
	if (fake->worker->pending == 0)
		fake = world_worker(f.world, 1);
	assert_true(fake_begin(f.world, fake));
	pid_t pid = fake->worker->pid;
	assert_null(control_find_worker(&f.world->core, f.admin, pid + 100));
	assert_null(control_find_worker(&f.world->core, f.admin, 0));
	assert_ptr_equal(control_find_worker(&f.world->core, f.admin, pid), fake->worker);
	control_kill(fake->worker, f.world->now_us);
	world_settle(f.world);
	const struct record *lost = world_reply(f.world, msgid);
	assert_int_equal(lost->code, ERR_WORKER_LOST);
	assert_int_equal(record_int(lost, "pid"), pid);
	assert_non_null(memmem(lost->data, lost->size, "an administrator", 16));
	assert_int_equal(f.pool->ready_count, 2);
	end(&f);
}

static void test_a_pool_of_a_session_has_no_more_workers_than_that_may(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	struct outcome error = {0};
	limits.workers_session = 6;
	struct world *world = world_create(&limits);
	struct session *session = world_open(world, 990);
	struct pool *pool = world_open_pool(world, session, 2, FAKE_FORK_PAGE, functions);
	const uint64_t *used = &session->account.used[RESOURCE_WORKERS];
	assert_true(control_scale(pool, 1, 6, world->now_us, &error));
	assert_int_equal(*used, 6);
	assert_false(control_scale(pool, 1, 7, world->now_us, &error));
	assert_int_equal(error.code, ERR_BUSY);
	outcome_fini(&error);
	assert_int_equal(pool->max, 6);
	assert_true(control_scale(pool, 3, 3, world->now_us, &error));
	assert_int_equal(*used, 3);
	world_settle(world);
	assert_int_equal(pool->ready_count, 3);
	/* Those that it may start for nested calls count, too. */
	pool->spec->extra_workers = 2;
	assert_true(control_scale(pool, 3, 4, world->now_us, &error));
	assert_int_equal(*used, 6);
	assert_false(control_scale(pool, 3, 5, world->now_us, &error));
	assert_int_equal(error.code, ERR_BUSY);
	outcome_fini(&error);
	/* Its end gives back what it has. */
	pool_terminate(pool, world->now_us);
	world_settle(world);
	assert_int_equal(*used, 0);
	world_destroy(world);
}

static void test_a_pool_that_is_closed_while_it_is_paused_finishes_what_it_has(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct outcome error = {0};
	struct session *session = world_open(world, 990);
	struct pool *pool = world_open_pool(world, session, 1, FAKE_FORK_PAGE, functions);
	assert_true(control_pause(pool, world->now_us, &error));
	world_submit(world, session, (struct call){.function = "t.f"}, NULL);
	uint32_t msgid = world->last_msgid;
	assert_int_equal(pool->waiting, 1);
	pool_close(pool, world->now_us);
	world_settle(world);
	assert_false(control_resume(pool, &error));
	assert_int_equal(error.code, ERR_POOL_CLOSED);
	outcome_fini(&error);
	world_work(world);
	assert_int_equal(world_reply(world, msgid)->code, ERR_NONE);
	world_destroy(world);
}

static void test_nothing_is_changed_while_the_daemon_ends(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct outcome error;
	apply(&f, 1);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	core_stop(&f.world->core, 10 * SECOND, f.world->now_us);
	world_settle(f.world);
	assert_false(control_pause(f.pool, f.world->now_us, &error));
	assert_int_equal(error.code, ERR_SHUTTING_DOWN);
	outcome_fini(&error);
	assert_false(control_scale(f.pool, 2, 2, f.world->now_us, &error));
	outcome_fini(&error);
	assert_false(control_drain(f.admin, 1, f.pool, TIME_NEVER, f.world->now_us, &error));
	outcome_fini(&error);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_paused_pool_takes_jobs_and_begins_none),
		cmocka_unit_test(test_pausing_takes_back_what_has_not_begun),
		cmocka_unit_test(test_what_was_taken_back_has_waited_once),
		cmocka_unit_test(test_a_paused_pool_does_not_grow),
		cmocka_unit_test(test_a_drain_is_done_when_nothing_waits_or_runs),
		cmocka_unit_test(test_a_drain_waits_for_so_long_and_goes_on),
		cmocka_unit_test(test_who_waits_for_a_drain_is_told_of_a_resume),
		cmocka_unit_test(test_a_task_of_a_cancelled_job_that_runs_still_delays_a_drain),
		cmocka_unit_test(test_who_waits_for_a_drain_may_go),
		cmocka_unit_test(test_a_killed_worker_is_found_by_its_pid_and_replaced),
		cmocka_unit_test(test_a_pool_of_a_session_has_no_more_workers_than_that_may),
		cmocka_unit_test(
			test_a_pool_that_is_closed_while_it_is_paused_finishes_what_it_has),
		cmocka_unit_test(test_nothing_is_changed_while_the_daemon_ends),
	};
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
