/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", NULL};

struct fixture {
	struct world *world;
	struct session *session;
	uint32_t running, ahead, waiting; /* msgids */
};

/* A worker that runs a task, has another ahead where it has a page, and one waits. */
static struct fixture begin(enum fake_kind kind)
{
	struct fixture f = {.world = world_create(NULL)};
	struct pool *pool = world_add_pool(f.world, "p", 1, kind, functions);
	f.session = world_open(f.world, 100);
	function_measure(function_table_find(&pool->functions, "t.f", 3), 600, 1);
	uint32_t *msgids[] = {&f.running, &f.ahead, &f.waiting};
	for (int i = 0; i < 3; i++) {
		world_submit(f.world, f.session, (struct call){.function = "t.f"}, NULL);
		*msgids[i] = f.world->last_msgid;
	}
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	f.world->manual = true;
	return f;
}

static enum error_code code_of(struct fixture *f, uint32_t msgid)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	return reply->code;
}

static void check_stop_in_grace(enum fake_kind kind)
{
	struct fixture f = begin(kind);
	core_stop(&f.world->core, 5 * SECOND, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(code_of(&f, f.waiting), ERR_SHUTTING_DOWN);
	assert_int_equal(code_of(&f, f.ahead), ERR_SHUTTING_DOWN);
	assert_null(world_reply(f.world, f.running));
	struct fake_worker *fake = world_worker(f.world, 0);
	assert_false(fake->told_to_stop || fake->told_to_die);
	world_check(f.world);
	world_advance(f.world, 4 * SECOND);
	fake_answer(f.world, fake, 1, 4 * SECOND);
	assert_int_equal(code_of(&f, f.running), ERR_NONE);
	assert_true(fake->told_to_stop);
	assert_false(core_stopped(&f.world->core));
	f.world->manual = false;
	world_settle(f.world);
	assert_true(core_stopped(&f.world->core));
	world_destroy(f.world);
}

static void test_running_tasks_finish_and_waiting_ones_are_told(void **state)
{
	(void)state;
	check_stop_in_grace(FAKE_FORK_PAGE);
	check_stop_in_grace(FAKE_FORK);
	check_stop_in_grace(FAKE_EXEC);
	check_stop_in_grace(FAKE_EXEC_PAGE);
}

static void test_what_outlives_the_grace_is_killed(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	core_stop(&f.world->core, 5 * SECOND, f.world->now_us);
	world_settle(f.world);
	world_advance(f.world, 5 * SECOND);
	struct fake_worker *fake = world_worker(f.world, 0);
	assert_true(fake->told_to_die);
	/* The spawner sees its worker's end through. */
	assert_false(TAILQ_FIRST(&f.world->runtimes)->told_to_die);
	fake_die(f.world, fake, SIGKILL);
	assert_int_equal(code_of(&f, f.running), ERR_WORKER_LOST);
	assert_true(TAILQ_FIRST(&f.world->runtimes)->told_to_stop);
	world_destroy(f.world);
}

static void test_the_grace_can_be_shortened_and_not_prolonged(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	core_stop(&f.world->core, 5 * SECOND, f.world->now_us);
	core_stop(&f.world->core, SECOND, f.world->now_us);
	core_stop(&f.world->core, 3 * SECOND, f.world->now_us);
	world_settle(f.world);
	assert_false(fake->told_to_die);
	world_advance(f.world, SECOND);
	assert_true(fake->told_to_die);
	core_stop(&f.world->core, SECOND, f.world->now_us);
	fake_die(f.world, fake, SIGKILL);
	f.world->manual = false;
	world_settle(f.world);
	assert_true(core_stopped(&f.world->core));
	world_destroy(f.world);
}

static void test_spawner_is_told_after_its_workers_have_gone(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 2, FAKE_FORK, functions);
	world->manual = true;
	core_stop(&world->core, SECOND, world->now_us);
	world_settle(world);
	struct fake_runtime *runtime = world_runtime(world, pool);
	for (int i = 0; i < 2; i++) {
		assert_false(runtime->told_to_stop);
		assert_true(world_worker(world, 0)->told_to_stop);
		fake_die(world, world_worker(world, 0), 0);
	}
	assert_true(runtime->told_to_stop);
	assert_false(core_stopped(&world->core));
	fake_exit(world, runtime, NULL, RUNTIME_END_FAILED);
	assert_true(core_stopped(&world->core));
	assert_true(TAILQ_EMPTY(&world->workers));
	world_destroy(world);
}

static void test_stop_while_a_pool_starts(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	world->manual = true;
	struct pool *pool = world_add_pool(world, "p", 2, FAKE_FORK, functions);
	struct pool *failed = world_add_pool(world, "q", 2, FAKE_FORK, functions);
	fake_exit(world, world_runtime(world, failed), "no module", RUNTIME_END_FAILED);
	core_stop(&world->core, SECOND, world->now_us);
	world_settle(world);
	struct fake_runtime *runtime = world_runtime(world, pool);
	/* It would not listen before it has loaded. */
	assert_true(runtime->told_to_die);
	/* It had been about to say so. */
	fake_loaded(world, runtime);
	assert_true(TAILQ_EMPTY(&world->workers));
	fake_exit(world, runtime, NULL, RUNTIME_END_FAILED);
	assert_true(core_stopped(&world->core));
	/* Nothing starts any more. */
	world_advance(world, 100 * SECOND);
	assert_true(core_stopped(&world->core));
	world_destroy(world);
}

static void test_stop_without_pools_is_at_once(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	assert_false(core_stopped(&world->core));
	core_stop(&world->core, SECOND, world->now_us);
	core_stop(&world->core, SECOND, world->now_us);
	assert_true(core_stopped(&world->core));
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running_tasks_finish_and_waiting_ones_are_told),
		cmocka_unit_test(test_what_outlives_the_grace_is_killed),
		cmocka_unit_test(test_spawner_is_told_after_its_workers_have_gone),
		cmocka_unit_test(test_the_grace_can_be_shortened_and_not_prolonged),
		cmocka_unit_test(test_stop_while_a_pool_starts),
		cmocka_unit_test(test_stop_without_pools_is_at_once),
	};
	return cmocka_run_group_tests_name("core_stop", tests, NULL, NULL);
}
