/* SPDX-License-Identifier: MIT */
#include "core/pool.h"

#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", "t.g", NULL};

/* A pool of two workers, none of whose processes does anything by itself. */
struct fixture {
	struct world *world;
	struct pool *pool;
	struct fake_runtime *runtime;
	struct session *session;
};

static struct fixture begin(enum fake_kind kind)
{
	struct fixture f = {.world = world_create(NULL)};
	f.world->manual = true;
	f.pool = world_add_pool(f.world, "p", 2, kind, functions);
	f.runtime = world_runtime(f.world, f.pool);
	f.session = world_open(f.world, 100);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_destroy(f->world);
}

static unsigned worker_count(struct fixture *f)
{
	struct fake_worker *fake;
	unsigned count = 0;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		count++;
	return count;
}

static enum error_code submit(struct fixture *f)
{
	enum error_code code;
	world_submit(f->world, f->session, (struct call){.function = "t.f"}, &code);
	return code;
}

static void test_every_runtime_state_and_event(void **state)
{
	(void)state;
	enum {
		STARTING = RUNTIME_STARTING,
		READY = RUNTIME_READY,
		EXEC = RUNTIME_EXEC,
		STOPPING = RUNTIME_STOPPING,
		GONE = RUNTIME_GONE,
		NO = RUNTIME_STATE_COUNT,
	};
	static const int expected[RUNTIME_STATE_COUNT][RUNTIME_EVENT_COUNT] = {
		{READY, EXEC, STOPPING, GONE},        {NO, NO, STOPPING, GONE}, {NO, NO, EXEC, NO},
		{STOPPING, STOPPING, STOPPING, GONE}, {NO, NO, NO, NO},
	};
	for (int s = 0; s < RUNTIME_STATE_COUNT; s++)
		for (int e = 0; e < RUNTIME_EVENT_COUNT; e++)
			assert_int_equal(
				runtime_next_state((enum runtime_state)s, (enum runtime_event)e),
				expected[s][e]);
}

/* ---- starting ---- */

static void test_spawner_loads_and_then_forks_all_workers(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	assert_true(f.runtime->present);
	assert_int_equal(worker_count(&f), 0);
	assert_int_equal(submit(&f), ERR_NOT_READY);
	fake_loaded(f.world, f.runtime);
	assert_int_equal(worker_count(&f), 2);
	assert_int_equal(world_worker(f.world, 0)->worker->number, 1);
	assert_int_equal(world_worker(f.world, 1)->worker->number, 2);
	assert_string_equal(pool_state_name(f.pool), "starting");
	assert_int_equal(submit(&f), ERR_NONE);
	fake_ready(f.world, world_worker(f.world, 0));
	assert_string_equal(pool_state_name(f.pool), "ready");
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	end(&f);
}

static void test_runtime_that_does_not_fork_is_the_first_worker(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_EXEC);
	fake_hello(f.world, f.runtime);
	assert_false(runtime_has_process(f.pool->serving));
	assert_int_equal(worker_count(&f), 2);
	fake_ready(f.world, world_worker(f.world, 0));
	assert_int_equal(submit(&f), ERR_NONE);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	end(&f);
}

static void test_worker_that_was_ready_is_replaced_at_once(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	for (int i = 0; i < 2; i++)
		fake_ready(f.world, world_worker(f.world, (unsigned)i));
	for (int i = 0; i < 20; i++) {
		world_advance(f.world, SECOND);
		fake_die(f.world, world_worker(f.world, 0), SIGKILL);
		assert_int_equal(worker_count(&f), 2);
		/* The number that was free. */
		assert_int_equal(world_worker(f.world, 0)->worker->number +
					 world_worker(f.world, 1)->worker->number,
				 3);
		fake_ready(f.world, world_worker(f.world, 1));
	}
	assert_int_equal(f.pool->restarts, 20);
	end(&f);
}

/* ---- failing ---- */

static void test_nobody_is_told_to_give_up_for_want_of_resources(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	for (int i = 0; i < 12; i++) {
		assert_true(f.runtime->present);
		fake_exit(f.world, f.runtime, NULL, RUNTIME_END_TRANSIENT);
		world_advance(f.world, 30 * SECOND);
	}
	assert_int_equal(f.pool->failure.value.size, 0);
	end(&f);
}

static void test_runtime_that_cannot_load_fails_what_waits_until_it_can(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_exit(f.world, f.runtime, "no module named t", RUNTIME_END_FAILED);
	assert_string_equal(pool_state_name(f.pool), "failing");
	assert_int_equal(submit(&f), ERR_INITIALIZER_FAILED);
	world_advance(f.world, SECOND);
	fake_loaded(f.world, f.runtime);
	assert_int_equal(submit(&f), ERR_INITIALIZER_FAILED);
	fake_ready(f.world, world_worker(f.world, 0));
	assert_string_equal(pool_state_name(f.pool), "ready");
	assert_int_equal(submit(&f), ERR_NONE);
	end(&f);
}

static void test_initializer_that_fails_fails_what_waits(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	assert_int_equal(submit(&f), ERR_NONE);
	fake_not_ready(f.world, world_worker(f.world, 0), "no database", false);
	const struct record *reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(reply->code, ERR_INITIALIZER_FAILED);
	assert_true(procpool_value_is(procpool_value_get(record_value(reply), "message"),
				      "no database"));
	end(&f);
}

static void test_initializer_that_fails_in_one_of_the_workers_fails_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	fake_ready(f.world, world_worker(f.world, 0));
	fake_not_ready(f.world, world_worker(f.world, 1), "no database", false);
	assert_int_equal(submit(&f), ERR_NONE);
	assert_int_equal(worker_count(&f), 1);
	world_advance(f.world, SECOND);
	assert_int_equal(worker_count(&f), 2);
	end(&f);
}

static void test_silent_failures_are_given_up_after_three(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	submit(&f);
	uint32_t msgid = f.world->last_msgid;
	for (int i = 0; i < 3; i++) {
		assert_null(world_reply(f.world, msgid));
		fake_not_ready(f.world, world_worker(f.world, 0), NULL, false);
		world_advance(f.world, SECOND);
	}
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_INITIALIZER_FAILED);
	end(&f);
}

static void test_spawner_that_dies_of_every_fork_is_given_up(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	submit(&f);
	uint32_t msgid = f.world->last_msgid;
	for (int i = 0; i < 3; i++) {
		assert_null(world_reply(f.world, msgid));
		fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
		assert_int_equal(worker_count(&f), 0);
		world_advance(f.world, SECOND);
		fake_loaded(f.world, f.runtime);
	}
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_INITIALIZER_FAILED);
	end(&f);
}

static void test_start_that_takes_too_long_is_ended(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	world_advance(f.world, 60 * SECOND);
	assert_true(f.runtime->told_to_die);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	world_advance(f.world, SECOND);
	fake_loaded(f.world, f.runtime);
	for (unsigned i = 0; i < 2; i++)
		fake_forked(f.world, world_worker(f.world, i));
	world_advance(f.world, 60 * SECOND);
	assert_true(world_worker(f.world, 0)->told_to_die);
	assert_true(world_worker(f.world, 1)->told_to_die);
	fake_die(f.world, world_worker(f.world, 0), SIGKILL);
	end(&f);
}

/* ---- the end of a spawner ---- */

static void test_spawner_that_does_not_tell_of_an_end_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	for (int i = 0; i < 2; i++)
		fake_ready(f.world, world_worker(f.world, (unsigned)i));
	pool_kill_worker(world_worker(f.world, 0)->worker, f.world->now_us);
	world_advance(f.world, 4 * SECOND);
	assert_false(f.runtime->told_to_die);
	world_advance(f.world, SECOND);
	assert_true(f.runtime->told_to_die);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	world_advance(f.world, SECOND);
	fake_loaded(f.world, f.runtime);
	assert_int_equal(worker_count(&f), 2);
	end(&f);
}

static void test_spawner_that_ends_takes_its_workers_and_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	fake_loaded(f.world, f.runtime);
	fake_ready(f.world, world_worker(f.world, 0));
	struct call map = {
		.function = "t.f", .map = true, .count = 4, .chunksize = 2, .collect = true};
	world_submit(f.world, f.session, map, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	assert_true(f.runtime->present);
	assert_int_equal(f.pool->waiting, 3);
	f.world->manual = false;
	world_settle(f.world);
	world_work(f.world);
	struct procpool_value value = record_value(world_reply(f.world, f.world->last_msgid));
	struct procpool_value lost = procpool_value_at(procpool_value_at(value, 0), 0);
	assert_true(procpool_value_is(procpool_value_get(lost, "code"), "worker-lost"));
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(
			procpool_value_type(procpool_value_at(procpool_value_at(value, i), 0)),
			PROCPOOL_NIL);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_runtime_state_and_event),
		cmocka_unit_test(test_spawner_loads_and_then_forks_all_workers),
		cmocka_unit_test(test_runtime_that_does_not_fork_is_the_first_worker),
		cmocka_unit_test(test_worker_that_was_ready_is_replaced_at_once),
		cmocka_unit_test(test_nobody_is_told_to_give_up_for_want_of_resources),
		cmocka_unit_test(test_runtime_that_cannot_load_fails_what_waits_until_it_can),
		cmocka_unit_test(test_initializer_that_fails_fails_what_waits),
		cmocka_unit_test(test_initializer_that_fails_in_one_of_the_workers_fails_nothing),
		cmocka_unit_test(test_silent_failures_are_given_up_after_three),
		cmocka_unit_test(test_spawner_that_dies_of_every_fork_is_given_up),
		cmocka_unit_test(test_spawner_that_does_not_tell_of_an_end_is_replaced),
		cmocka_unit_test(test_start_that_takes_too_long_is_ended),
		cmocka_unit_test(test_spawner_that_ends_takes_its_workers_and_is_replaced),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
