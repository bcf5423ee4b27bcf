/* SPDX-License-Identifier: MIT */
#include "core/session.h"

#include <stdlib.h>

#include "../unit/alloc.h"
#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", "t.g", NULL};

#define APPLY    ((struct call){.function = "t.f"})
#define DETACHED ((struct call){.function = "t.f", .async = true, .detach = true})

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

/* ---- cancelling ---- */

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cancelled_request_is_the_newest_of_its_msgid),
		TEST(test_cancel_without_memory_ends_the_map),
		TEST(test_blocked_sessions_tasks_do_not_begin),
		TEST(test_detached_job_of_a_blocked_session_runs_when_it_has_left),
	};
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
