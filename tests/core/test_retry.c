/* SPDX-License-Identifier: MIT */
#include "core/retry.h"

#include <signal.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static struct fixture begin_limited(unsigned workers, enum fake_kind kind,
				    const struct limits *limits)
{
	struct world *world = world_create(limits);
	struct pool *pool = world_add_pool(world, "one", workers, kind, functions);
	return (struct fixture){world, pool, world_open(world, 100)};
}

static struct fixture begin(unsigned workers, enum fake_kind kind)
{
	return begin_limited(workers, kind, NULL);
}

static void end(struct fixture *f)
{
	world_check(f->world);
	assert_int_equal(f->pool->waiting + f->pool->running, 0);
	world_destroy(f->world);
}

/* Begins a task at the first worker, in this attempt, and lets it fail. */
static void fail_attempt(struct fixture *f, uint32_t attempt)
{
	struct fake_worker *fake = world_worker(f->world, 0);
	assert_true(fake_begin(f->world, fake));
	assert_int_equal(TAILQ_FIRST(&fake->messages)->attempt, attempt);
	fake_fail(f->world, fake, 1);
	world_check(f->world);
}

static void test_apply_that_failed_runs_again_after_a_pause(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct call call = {.function = "t.f", .first_item = 5, .retries = 2};
	uint64_t id = world_submit(f.world, f.session, call, NULL);
	uint32_t msgid = f.world->last_msgid;
	struct job *job = world_job(f.world, f.session, id);
	fail_attempt(&f, 1);
	assert_int_equal(job->state, JOB_WAITING);
	assert_int_equal(f.pool->waiting, 1);
	world_advance(f.world, RETRY_PAUSE_US - 1);
	assert_false(fake_begin(f.world, world_worker(f.world, 0)));
	assert_int_equal(job_attempt(job), 1);
	world_advance(f.world, 1);
	assert_int_equal(job->state, JOB_RUNNING);
	assert_int_equal(job_attempt(job), 2);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	end(&f);
}

static void test_pauses_double_up_to_ten_seconds(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK);
	uint64_t pause_us = RETRY_PAUSE_US;
	world_submit(f.world, f.session, (struct call){.function = "t.f", .retries = 12}, NULL);
	uint32_t msgid = f.world->last_msgid;
	for (uint32_t attempt = 1; attempt <= 12; attempt++) {
		fail_attempt(&f, attempt);
		world_advance(f.world, pause_us - 1);
		assert_false(fake_begin(f.world, world_worker(f.world, 0)));
		world_advance(f.world, 1);
		pause_us = 2 * pause_us < RETRY_PAUSE_MAX_US ? 2 * pause_us : RETRY_PAUSE_MAX_US;
	}
	fail_attempt(&f, 13);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_FUNCTION_FAILED);
	assert_int_equal(record_int(world_reply(f.world, msgid), "attempts"), 13);
	end(&f);
}

static void test_only_the_elements_that_failed_run_again(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct call call = {.function = "t.f",
			    .map = true,
			    .count = 6,
			    .chunksize = 6,
			    .retries = 1,
			    .collect = true};
	world_submit(f.world, f.session, call, NULL);
	uint32_t msgid = f.world->last_msgid;
	struct fake_worker *fake = world_worker(f.world, 0);
	for (int i = 0; i < 6; i++)
		assert_true(fake_begin(f.world, fake));
	fake_answer(f.world, fake, 1, 1);
	fake_fail(f.world, fake, 1);
	fake_fail(f.world, fake, 1);
	fake_answer(f.world, fake, 1, 1);
	fake_fail(f.world, fake, 1);
	fake_answer(f.world, fake, 1, 1);
	world_check(f.world);
	assert_null(world_reply(f.world, msgid));
	assert_int_equal(f.pool->waiting, 3);
	world_advance(f.world, RETRY_PAUSE_US);
	/* The last in the end. */
	world_work(f.world);
	struct procpool_value pairs = record_value(world_reply(f.world, msgid));
	assert_int_equal(procpool_value_count(pairs), 6);
	for (uint32_t i = 0; i < 6; i++) {
		uint64_t number;
		struct procpool_value value = procpool_value_at(procpool_value_at(pairs, i), 1);
		assert_true(procpool_value_uint(value, &number) && number == i);
	}
	end(&f);
}

static void test_task_of_a_lost_worker_runs_again(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct call call = {
		.function = "t.f", .map = true, .count = 3, .chunksize = 3, .retries = 1};
	world_submit(f.world, f.session, call, NULL);
	uint32_t msgid = f.world->last_msgid;
	fake_begin(f.world, world_worker(f.world, 0));
	fake_die(f.world, world_worker(f.world, 0), SIGSEGV);
	world_check(f.world);
	/* What had not begun runs at once, in its first attempt. */
	struct fake_worker *fake = world_worker(f.world, 0);
	assert_int_equal(TAILQ_FIRST(&fake->messages)->attempt, 1);
	assert_int_equal(TAILQ_FIRST(&fake->messages)->first, 1);
	world_work(f.world);
	assert_null(world_reply(f.world, msgid));
	world_advance(f.world, RETRY_PAUSE_US);
	fail_attempt(&f, 2);
	assert_int_equal(record_int(world_reply(f.world, msgid), "index"), 0);
	assert_int_equal(record_int(world_reply(f.world, msgid), "attempts"), 2);
	end(&f);
}

static void test_wrong_arguments_are_not_retried(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	world_submit(f.world, f.session, (struct call){.function = "t.f", .retries = 5}, NULL);
	uint32_t msgid = f.world->last_msgid;
	struct fake_worker *fake = world_worker(f.world, 0);
	fake_begin(f.world, fake);
	struct outcome error = error_outcome(ERR_BAD_REQUEST, "no such argument");
	uint32_t seq = TAILQ_FIRST(&fake->messages)->seq;
	assert_true(core_worker_error(&f.world->core, fake->worker, seq, 0, 1,
				      span_value(error.value), f.world->now_us));
	outcome_fini(&error);
	world_settle(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_BAD_REQUEST);
	end(&f);
}

static void test_job_in_a_pause_can_be_cancelled(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint64_t id = world_submit(f.world, f.session,
				   (struct call){.function = "t.f", .retries = 5}, NULL);
	uint32_t msgid = f.world->last_msgid;
	fail_attempt(&f, 1);
	struct cancellation done =
		core_cancel(&f.world->core, world_job(f.world, f.session, id), f.world->now_us);
	assert_true(done.cancelled);
	assert_int_equal(done.begun, 1);
	world_settle(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_CANCELLED);
	world_advance(f.world, RETRY_PAUSE_MAX_US);
	assert_int_equal(f.world->core.jobs.count, 0);
	end(&f);
}

static void test_job_in_a_pause_ends_with_its_session(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct call call = {.function = "t.f", .map = true, .count = 2, .retries = 5};
	world_submit(f.world, f.session, call, NULL);
	fail_attempt(&f, 1);
	fail_attempt(&f, 1);
	world_close(f.world, f.session);
	world_advance(f.world, RETRY_PAUSE_MAX_US);
	assert_int_equal(f.world->core.jobs.count, 0);
	end(&f);
}

static void test_job_in_a_pause_fails_with_its_pool(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	world_submit(f.world, f.session, (struct call){.function = "t.f", .retries = 5}, NULL);
	uint32_t msgid = f.world->last_msgid;
	fail_attempt(&f, 1);
	f.world->manual = true;
	fake_die(f.world, world_worker(f.world, 0), SIGKILL);
	world_settle(f.world);
	fake_not_ready(f.world, world_worker(f.world, 0), "no more", false);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_INITIALIZER_FAILED);
	f.world->manual = false;
	world_advance(f.world, RETRY_PAUSE_MAX_US);
	end(&f);
}

static void test_daemon_that_ends_retries_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	struct call call = {.function = "t.f", .retries = 5};
	world_submit(f.world, f.session, call, NULL);
	uint32_t paused = f.world->last_msgid;
	fail_attempt(&f, 1);
	world_submit(f.world, f.session, call, NULL);
	uint32_t running = f.world->last_msgid;
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	core_stop(&f.world->core, 1000000, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(world_reply(f.world, paused)->code, ERR_SHUTTING_DOWN);
	fake_fail(f.world, world_worker(f.world, 0), 1);
	assert_int_equal(world_reply(f.world, running)->code, ERR_FUNCTION_FAILED);
	end(&f);
}

/* Pauses count as queued bytes, so that no client can fill the daemon with them. */
static void test_where_pauses_have_no_room_a_failure_is_the_last(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.queued_bytes_session = 300;
	struct fixture f = begin_limited(1, FAKE_FORK_PAGE, &limits);
	struct call call = {
		.function = "t.f", .map = true, .count = 9, .retries = 100, .collect = true};
	world_submit(f.world, f.session, call, NULL);
	uint32_t msgid = f.world->last_msgid;
	for (int i = 0; i < 9; i++)
		fail_attempt(&f, 1);
	assert_in_range(f.pool->waiting, 1, 3);
	world_advance(f.world, RETRY_PAUSE_US);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	assert_int_equal(f.world->core.root.used[RESOURCE_QUEUED_BYTES], 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_that_failed_runs_again_after_a_pause),
		cmocka_unit_test(test_pauses_double_up_to_ten_seconds),
		cmocka_unit_test(test_only_the_elements_that_failed_run_again),
		cmocka_unit_test(test_task_of_a_lost_worker_runs_again),
		cmocka_unit_test(test_wrong_arguments_are_not_retried),
		cmocka_unit_test(test_job_in_a_pause_can_be_cancelled),
		cmocka_unit_test(test_job_in_a_pause_ends_with_its_session),
		cmocka_unit_test(test_job_in_a_pause_fails_with_its_pool),
		cmocka_unit_test(test_daemon_that_ends_retries_nothing),
		cmocka_unit_test(test_where_pauses_have_no_room_a_failure_is_the_last),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
