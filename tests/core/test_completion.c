/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", "t.g", NULL};

/* A user's finished jobs stay for their time, also when nobody of the user is connected. */
static void test_finished_job_outlives_its_session_for_its_time(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.retained_seconds = 10;
	struct world *world = world_create(&limits);
	world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(
		world, session, (struct call){.function = "t.f", .async = true, .detach = true},
		NULL);
	world_close(world, session);
	world_work(world);
	world_advance(world, 9000000);
	session = world_open(world, 100);
	uint32_t msgid = world_wait(world, session, id, 0);
	assert_int_equal(world_reply(world, msgid)->code, ERR_NONE);
	world_close(world, session);
	assert_int_equal(world->core.kept_count, 1);
	world_advance(world, 2000000);
	assert_int_equal(world->core.kept_count, 0);
	world_check(world);
	world_destroy(world);
}

/* ---- hostile workers ---- */

static void test_hostile_microseconds_are_no_longer_than_the_task_was_there(void **state)
{
	(void)state;
	static const uint64_t hostile_us[] = {UINT64_MAX, INT64_MAX, UINT64_C(1) << 63};
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	for (size_t i = 0; i < 3; i++) {
		world_submit(world, session,
			     (struct call){.function = "t.f", .map = true, .count = 50}, NULL);
		world->now_us += 700;
		assert_true(fake_begin(world, world_worker(world, 0)));
		fake_answer(world, world_worker(world, 0), 1, hostile_us[i]);
		assert_true(function_table_find(&pool->functions, "t.f", 3)->mean_us <= 700);
		world_work(world);
	}
	assert_true(world->core.stats.running.sum_us < 10000);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finished_job_outlives_its_session_for_its_time),
		cmocka_unit_test(test_hostile_microseconds_are_no_longer_than_the_task_was_there),
	};
	return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
