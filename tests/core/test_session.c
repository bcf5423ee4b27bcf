/* SPDX-License-Identifier: MIT */
#include "core/session.h"

#include <stdlib.h>

#include "../unit/alloc.h"
#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", "t.g", NULL};

#define APPLY       ((struct call){.function = "t.f"})
#define APPLY_ASYNC ((struct call){.function = "t.f", .async = true})
#define DETACHED    ((struct call){.function = "t.f", .async = true, .detach = true})

static int setup(void **state)
{
	*state = world_create(NULL);
	world_add_pool(*state, "p", 1, FAKE_FORK_PAGE, functions);
	return 0;
}

static int teardown(void **state)
{
	world_check(*state);
	world_destroy(*state);
	return 0;
}

static uint32_t submit(struct world *world, struct session *session, struct call call)
{
	assert_int_not_equal(world_submit(world, session, call, NULL), 0);
	return world->last_msgid;
}

/* ---- waiting ---- */

static void test_wait_ends_with_the_job_for_everyone(void **state)
{
	struct world *world = *state;
	struct session *a = world_open(world, 100), *b = world_open(world, 100);
	uint64_t id = world_submit(world, a, APPLY_ASYNC, NULL);
	uint32_t first = world_wait(world, a, id, TIME_NEVER);
	uint32_t second = world_wait(world, b, id, world->now_us + 1000);
	assert_null(world_reply(world, first));
	world_work(world);
	assert_int_equal(world_reply(world, first)->code, ERR_NONE);
	assert_ptr_equal(world_reply(world, second)->session, b);
	/* Again, as often as one likes. */
	assert_int_equal(world_reply(world, world_wait(world, b, id, 0))->code, ERR_NONE);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, a, id), 1);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, b, id), 0);
}

static void test_wait_is_not_ready_at_its_time(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(world, session, APPLY_ASYNC, NULL);
	uint32_t now = world_wait(world, session, id, world->now_us);
	uint32_t later = world_wait(world, session, id, world->now_us + 1000);
	assert_int_equal(world_reply(world, now)->code, ERR_NOT_READY);
	world_advance(world, 999);
	assert_null(world_reply(world, later));
	world_advance(world, 1);
	const struct record *reply = world_reply(world, later);
	assert_int_equal(reply->code, ERR_NOT_READY);
	assert_true(procpool_value_is(procpool_value_get(record_value(reply), "state"), "running"));
	world_work(world);
	world_advance(world, 5000);
	assert_non_null(world_reply(world, later));
}

static void test_waits_and_subscriptions_are_limited(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.waits_session = limits.subscriptions_session = 2;
	struct world *world = world_create(&limits);
	struct pool *pool = world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(world, session, APPLY_ASYNC, NULL);
	struct outcome error = {0};
	world_wait(world, session, id, TIME_NEVER);
	world_wait(world, session, id, TIME_NEVER);
	uint32_t over = world_wait(world, session, id, TIME_NEVER);
	assert_int_equal(world_reply(world, over)->code, ERR_BUSY);
	assert_true(core_subscribe(&world->core, session, NULL, NULL, &error));
	assert_true(core_subscribe(&world->core, session, NULL, pool, &error));
	assert_true(core_subscribe(&world->core, session, NULL, pool, &error));
	struct job *job = world_job(world, session, id);
	assert_false(core_subscribe(&world->core, session, job, NULL, &error));
	assert_int_equal(error.code, ERR_BUSY);
	assert_true(procpool_value_is(procpool_value_get(span_value(error.value), "limit"),
				      "subscriptions_session"));
	outcome_fini(&error);
	world_work(world);
	world_destroy(world);
}

static void test_job_is_seen_by_its_user_and_by_those_who_see_all(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100);
	struct outcome error;
	uint64_t id = world_submit(world, owner, APPLY_ASYNC, NULL);
	world_job(world, world_open(world, 100), id);
	world_job(world, world_open(world, 0), id);
	world_job(world, world_open(world, world->core.own_uid), id);
	assert_null(
		core_find_job(&world->core, world_open(world, 101), id, ACCESS_OBSERVE, &error));
	assert_int_equal(error.code, ERR_NO_SUCH_JOB);
	outcome_fini(&error);
	assert_null(core_find_job(&world->core, owner, id + 1, ACCESS_OBSERVE, &error));
	outcome_fini(&error);
}

/* ---- cancelling ---- */

static struct cancellation cancel(struct world *world, struct session *session, uint64_t id)
{
	struct cancellation done =
		core_cancel(&world->core, world_job(world, session, id), world->now_us);
	world_settle(world);
	return done;
}

static void test_apply_that_has_not_begun_is_cancelled(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint32_t msgid = submit(world, session, APPLY);
	/* It is at the worker already. */
	uint64_t id = core_find_request(session, msgid, NULL)->id;
	struct cancellation done = cancel(world, session, id);
	assert_true(done.cancelled && done.job_id == id);
	assert_int_equal(done.state, JOB_CANCELLED);
	assert_int_equal(done.begun, 0);
	assert_int_equal(world_reply(world, msgid)->code, ERR_CANCELLED);
	assert_false(fake_begin(world, world_worker(world, 0)));
}

static void test_apply_that_runs_is_cancelled_at_once(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint32_t msgid = submit(world, session, APPLY);
	assert_true(fake_begin(world, world_worker(world, 0)));
	struct cancellation done =
		cancel(world, session, core_find_request(session, msgid, NULL)->id);
	assert_true(done.cancelled);
	assert_int_equal(done.state, JOB_CANCELLED);
	assert_int_equal(done.begun, 1);
	assert_int_equal(done.running, 1);
	assert_int_equal(world_reply(world, msgid)->code, ERR_CANCELLED);
	/* Its value is dropped. */
	world_work(world);
	assert_int_equal(world_reply(world, msgid)->code, ERR_CANCELLED);
}

static void test_map_is_cancelled_but_for_what_runs(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct call call = {.function = "t.f", .map = true, .count = 9, .chunksize = 4};
	uint64_t id = world_submit(world, session, call, NULL);
	uint32_t msgid = world->last_msgid;
	struct fake_worker *fake = world_worker(world, 0);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(world, fake));
	fake_answer(world, fake, 2, 0);
	struct cancellation done = cancel(world, session, id);
	assert_true(done.cancelled);
	assert_int_equal(done.begun, 3);
	assert_int_equal(done.running, 1);
	assert_int_equal(world_reply(world, msgid)->code, ERR_CANCELLED);
	assert_int_equal(TAILQ_FIRST(&world->core.pools)->running, 1);
	assert_false(fake_begin(world, fake));
	/* Its value is dropped, and the worker goes on with others. */
	uint32_t other = submit(world, session, APPLY);
	world_work(world);
	assert_int_equal(world_reply(world, other)->code, ERR_NONE);
}

static void test_job_that_has_ended_is_not_cancelled(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(world, session, APPLY_ASYNC, NULL);
	world_work(world);
	struct cancellation done = cancel(world, session, id);
	assert_false(done.cancelled);
	assert_int_equal(done.state, JOB_DONE);
	assert_int_equal(done.begun, 1);
}

#define APPLIES 500

static void test_cancelled_request_is_the_newest_of_its_msgid(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct outcome error = {0};
	uint64_t ids[APPLIES];
	/* So many that the hash table grows; each msgid comes twice. */
	for (uint32_t i = 0; i < APPLIES; i++) {
		world->last_msgid = i % (APPLIES / 2);
		ids[i] = world_submit(world, session, APPLY, NULL);
	}
	for (uint32_t i = APPLIES; i > 0; i--) {
		uint32_t msgid = (i - 1) % (APPLIES / 2) + 1;
		struct job *job = core_find_request(session, msgid, &error);
		assert_non_null(job);
		assert_true(job->id == ids[i - 1]);
		core_cancel(&world->core, job, world->now_us);
	}
	assert_null(core_find_request(session, 1, &error));
	assert_int_equal(error.code, ERR_NO_SUCH_JOB);
	outcome_fini(&error);
	world_settle(world);
	assert_int_equal(world_count(world, ACTION_REPLY, session, 0), APPLIES);
}

/* The task that runs is dropped, the taken ones cannot be queued again: the map fails. */
static void test_cancel_without_memory_ends_the_map(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(
		world, session,
		(struct call){.function = "t.f", .map = true, .count = 4, .chunksize = 4}, NULL);
	uint32_t msgid = world->last_msgid;
	assert_true(fake_begin(world, world_worker(world, 0)));
	struct job *job = world_job(world, session, id);
	alloc_fail_after(0);
	struct cancellation done = core_cancel(&world->core, job, world->now_us);
	alloc_fail_after(-1);
	world_settle(world);
	assert_false(done.cancelled);
	assert_int_equal(done.state, JOB_FAILED);
	assert_int_equal(world_reply(world, msgid)->code, ERR_OUT_OF_MEMORY);
	world_check(world);
	world_work(world);
	assert_int_equal(world->core.jobs.count, 0);
}

/* ---- blocking ---- */

static void test_blocked_sessions_tasks_do_not_begin(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	world_block(world, session, true);
	/* The first in this pool, and one more. */
	world_submit(world, session, APPLY, NULL);
	world_submit(world, session, APPLY, NULL);
	assert_false(fake_begin(world, world_worker(world, 0)));
	world_block(world, session, false);
	world_work(world);
	assert_int_equal(world_count(world, ACTION_REPLY, session, 0), 2);
}

static void test_detached_job_of_a_blocked_session_runs_when_it_has_left(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	world_submit(world, session, APPLY, NULL);
	world_work(world);
	world_block(world, session, true);
	uint64_t id = world_submit(world, session, DETACHED, NULL);
	world_close(world, session);
	world_work(world);
	session = world_open(world, 100);
	assert_int_equal(world_job(world, session, id)->state, JOB_DONE);
}

/* ---- subscribing ---- */

static void subscribe(struct world *world, struct session *session, struct job *job,
		      struct pool *pool)
{
	struct outcome error;
	assert_true(core_subscribe(&world->core, session, job, pool, &error));
	world_settle(world);
}

static void test_subscriber_with_several_reasons_is_told_once(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *other = world_open(world, 100);
	uint64_t id = world_submit(world, owner, APPLY_ASYNC, NULL);
	struct pool *pool = TAILQ_FIRST(&world->core.pools);
	struct session *both[] = {owner, other};
	for (int i = 0; i < 2; i++) {
		subscribe(world, both[i], world_job(world, owner, id), NULL);
		subscribe(world, both[i], NULL, pool);
		subscribe(world, both[i], NULL, NULL);
	}
	world_work(world);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, owner, id), 1);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, other, id), 1);
	assert_int_equal(world_count(world, ACTION_PUSH_EVENT, other, 0), 1);
}

static void test_subscriber_is_told_of_what_it_may_see(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *stranger = world_open(world, 101),
		       *root = world_open(world, 0);
	subscribe(world, stranger, NULL, NULL);
	subscribe(world, root, NULL, NULL);
	uint64_t id = world_submit(world, owner, APPLY_ASYNC, NULL);
	world_work(world);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, root, id), 1);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, stranger, 0), 0);
	assert_int_equal(world_count(world, ACTION_PUSH_EVENT, stranger, 0), 0);
	/* A worker's end is no secret. */
	fake_die(world, world_worker(world, 0), 9);
	assert_int_not_equal(world_count(world, ACTION_PUSH_EVENT, stranger, 0), 0);
}

static void test_subscribing_to_an_ended_job_pushes_its_result(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *other = world_open(world, 100);
	uint64_t id = world_submit(world, owner, APPLY_ASYNC, NULL);
	world_work(world);
	subscribe(world, other, world_job(world, other, id), NULL);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, other, id), 1);
}

static void test_unsubscribed_session_is_told_nothing(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *other = world_open(world, 100);
	assert_false(core_unsubscribe(&world->core, other, NULL, NULL));
	subscribe(world, other, NULL, NULL);
	assert_true(core_unsubscribe(&world->core, other, NULL, NULL));
	submit(world, owner, APPLY);
	world_work(world);
	assert_int_equal(world_count(world, ACTION_PUSH_EVENT, other, 0), 0);
}

static void test_slow_subscriber_is_told_how_many_it_lost(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *slow = world_open(world, 100);
	uint64_t own = world_submit(world, slow, APPLY_ASYNC, NULL);
	subscribe(world, slow, NULL, NULL);
	slow->lossy = true;
	submit(world, owner, APPLY_ASYNC);
	world_work(world);
	/* Waiting, running, done and the result of one; running and done of its own. */
	assert_int_equal(world_count(world, ACTION_PUSH_EVENT, slow, 0), 0);
	assert_int_equal(slow->lost, world->core.stats.lost);
	assert_in_range(slow->lost, 4, 6);
	/* Its own result is not lost. */
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, slow, own), 1);
	int64_t lost = (int64_t)slow->lost;
	slow->lossy = false;
	size_t before = world->record_count;
	submit(world, owner, APPLY);
	assert_int_equal(record_int(&world->records[before], "lost"), lost);
	assert_int_equal(slow->lost, 0);
}

/* ---- the end of a session ---- */

static void test_jobs_end_with_their_session_but_detached_ones(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100), *root = world_open(world, 0);
	uint64_t running = world_submit(world, session, APPLY_ASYNC, NULL);
	assert_true(fake_begin(world, world_worker(world, 0)));
	uint64_t waiting = world_submit(world, session, APPLY, NULL);
	uint64_t detached = world_submit(world, session, DETACHED, NULL);
	subscribe(world, root, NULL, NULL);
	world_close(world, session);
	assert_int_equal(world_push(world, ACTION_PUSH_RESULT, root, running)->code, ERR_CANCELLED);
	assert_int_equal(world_push(world, ACTION_PUSH_RESULT, root, waiting)->code, ERR_CANCELLED);
	assert_null(world_push(world, ACTION_PUSH_RESULT, root, detached));
	world_work(world);
	assert_int_equal(world_push(world, ACTION_PUSH_RESULT, root, detached)->code, ERR_NONE);
	session = world_open(world, 100);
	uint32_t msgid = world_wait(world, session, detached, 0);
	assert_int_equal(world_reply(world, msgid)->code, ERR_NONE);
}

static void test_many_jobs_end_with_their_session_a_part_at_a_time(void **state)
{
	struct world *world = *state;
	struct core *core = &world->core;
	const unsigned jobs = 2500;
	struct session *session = world_open(world, 100);
	for (unsigned i = 0; i < jobs; i++)
		world_submit(world, session, APPLY, NULL);
	uint64_t detached = world_submit(world, session, DETACHED, NULL);
	world_close(world, session);
	assert_in_range(core->stats.ended[JOB_CANCELLED], 1, jobs / 2);
	/* The rest needs no event, only turns; and nothing of it begins meanwhile. */
	unsigned turns = 0;
	for (; core->stats.ended[JOB_CANCELLED] < jobs; turns++) {
		uint64_t before = core->stats.ended[JOB_CANCELLED];
		assert_true(core_next_timer(core) <= world->now_us + 1);
		world_advance(world, 1);
		assert_in_range(core->stats.ended[JOB_CANCELLED] - before, 1, jobs / 2);
	}
	assert_int_equal(turns, 2);
	struct session *other = world_open(world, 100);
	world_work(world);
	uint32_t msgid = world_wait(world, other, detached, 0);
	assert_int_equal(world_reply(world, msgid)->code, ERR_NONE);
	assert_int_equal(core->stats.ended[JOB_DONE], 1);
}

static void test_waits_and_subscriptions_end_with_their_session(void **state)
{
	struct world *world = *state;
	struct session *owner = world_open(world, 100), *other = world_open(world, 100);
	uint64_t id = world_submit(world, owner, APPLY_ASYNC, NULL);
	world_wait(world, other, id, world->now_us + 1000);
	subscribe(world, other, world_job(world, other, id), NULL);
	subscribe(world, other, NULL, NULL);
	world_close(world, other);
	assert_int_equal(world->core.subscription_count, 0);
	/* But for health, which has nothing to do with them. */
	assert_true(core_next_timer(&world->core) >= world->now_us + HEALTH_QUIET_US);
	world_work(world);
	assert_int_equal(world_count(world, ACTION_PUSH_RESULT, owner, id), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_wait_ends_with_the_job_for_everyone),
		TEST(test_wait_is_not_ready_at_its_time),
		cmocka_unit_test(test_waits_and_subscriptions_are_limited),
		TEST(test_job_is_seen_by_its_user_and_by_those_who_see_all),
		TEST(test_apply_that_has_not_begun_is_cancelled),
		TEST(test_apply_that_runs_is_cancelled_at_once),
		TEST(test_map_is_cancelled_but_for_what_runs),
		TEST(test_job_that_has_ended_is_not_cancelled),
		TEST(test_cancelled_request_is_the_newest_of_its_msgid),
		TEST(test_cancel_without_memory_ends_the_map),
		TEST(test_blocked_sessions_tasks_do_not_begin),
		TEST(test_detached_job_of_a_blocked_session_runs_when_it_has_left),
		TEST(test_subscriber_with_several_reasons_is_told_once),
		TEST(test_subscriber_is_told_of_what_it_may_see),
		TEST(test_subscribing_to_an_ended_job_pushes_its_result),
		TEST(test_unsubscribed_session_is_told_nothing),
		TEST(test_slow_subscriber_is_told_how_many_it_lost),
		TEST(test_jobs_end_with_their_session_but_detached_ones),
		TEST(test_many_jobs_end_with_their_session_a_part_at_a_time),
		TEST(test_waits_and_subscriptions_end_with_their_session),
	};
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
