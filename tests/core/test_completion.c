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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finished_job_outlives_its_session_for_its_time),
	};
	return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
