/* SPDX-License-Identifier: MIT */
#include "core/restart.h"

#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", NULL};

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

static uint32_t submit(struct fixture *f)
{
	world_submit(f->world, f->session, (struct call){.function = "t.f"}, NULL);
	return f->world->last_msgid;
}

static unsigned worker_count(struct fixture *f)
{
	struct fake_worker *fake;
	unsigned count = 0;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		count++;
	return count;
}

/* All workers that are starting are ready. */
static void ready_all(struct fixture *f)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		if (fake->worker->state == WORKER_STARTING)
			fake_ready(f->world, fake);
}

/* How long until the pool tries again; 0: it has. */
static uint64_t pause_us(const struct fixture *f)
{
	const struct timer *timer = &f->pool->retry_timer;
	return timer->place != 0 ? timer->at_us - f->world->now_us : 0;
}

/* That is the pause after so many failures, a quarter off at most. */
static void check_pause(const struct fixture *f, unsigned failures)
{
	uint64_t full_us = RESTART_FIRST_US << (failures - 1);
	if (full_us > RESTART_MAX_US)
		full_us = RESTART_MAX_US;
	assert_in_range(pause_us(f), full_us * 3 / 4, full_us);
}

static void pass_pause(struct fixture *f)
{
	world_advance(f->world, pause_us(f));
	assert_int_equal(pause_us(f), 0);
}

/* ---- starts that fail ---- */

static void test_pauses_double_up_to_a_limit(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	for (unsigned failures = 1; failures < 14; failures++) {
		fake_exit(f.world, f.runtime, NULL, RUNTIME_END_TRANSIENT);
		check_pause(&f, failures);
		world_advance(f.world, pause_us(&f) - 1);
		assert_false(f.runtime->present);
		world_advance(f.world, 1);
		assert_true(f.runtime->present);
	}
	end(&f);
}

static void test_pauses_are_not_all_alike_but_follow_from_the_seed(void **state)
{
	(void)state;
	uint64_t pauses[2][8];
	for (int run = 0; run < 2; run++) {
		struct fixture f = begin(FAKE_FORK);
		for (int i = 0; i < 8; i++) {
			fake_exit(f.world, f.runtime, NULL, RUNTIME_END_TRANSIENT);
			pauses[run][i] = pause_us(&f) >> i;
			pass_pause(&f);
		}
		end(&f);
	}
	unsigned same = 0;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pauses[0][i], pauses[1][i]);
		same += i > 0 && pauses[0][i] == pauses[0][i - 1];
	}
	assert_int_equal(same, 0);
}

static void test_failures_are_forgotten_when_a_start_was_worth_it(void **state)
{
	(void)state;
	for (int by_task = 0; by_task < 2; by_task++) {
		struct fixture f = begin(FAKE_FORK);
		for (int i = 0; i < 5; i++) {
			fake_exit(f.world, f.runtime, "no module named t", RUNTIME_END_FAILED);
			pass_pause(&f);
		}
		fake_loaded(f.world, f.runtime);
		ready_all(&f);
		assert_string_equal(pool_state_name(f.pool), "ready");
		struct fake_worker *fake = world_worker(f.world, 0);
		if (by_task) {
			submit(&f);
			while (!fake_begin(f.world, fake))
				fake = TAILQ_NEXT(fake, next);
			fake_answer(f.world, fake, 1, 10);
		} else {
			world_advance(f.world, RESTART_PROOF_US);
		}
		fake_die(f.world, fake, SIGKILL);
		fake_not_ready(f.world, world_worker(f.world, 1), "no database", false);
		check_pause(&f, 1);
		end(&f);
	}
}

static void test_failures_of_one_worker_are_not_forgotten_because_of_another(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	fake_ready(f.world, world_worker(f.world, 0));
	for (unsigned failures = 1; failures < 6; failures++) {
		world_advance(f.world, RESTART_PROOF_US);
		submit(&f);
		world_work(f.world);
		fake_not_ready(f.world, world_worker(f.world, 1), "no database", false);
		check_pause(&f, failures);
		pass_pause(&f);
	}
	assert_string_equal(pool_state_name(f.pool), "ready");
	end(&f);
}

/* ---- workers that end ---- */

static void test_what_tasks_do_to_workers_delays_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	fake_loaded(f.world, f.runtime);
	ready_all(&f);
	for (int i = 0; i < 200; i++) {
		submit(&f);
		struct fake_worker *fake = world_worker(f.world, 0);
		while (!fake_begin(f.world, fake))
			fake = TAILQ_NEXT(fake, next);
		fake_die(f.world, fake, SIGSEGV);
		assert_int_equal(worker_count(&f), 2);
		ready_all(&f);
	}
	assert_int_equal(f.pool->failures, 0);
	end(&f);
}

static void check_workers_that_end_at_once(enum fake_kind kind)
{
	struct fixture f = begin(kind);
	if (f.runtime->abilities.forks)
		fake_loaded(f.world, f.runtime);
	else
		fake_hello(f.world, f.runtime);
	for (unsigned deaths = 0; deaths < 2 * RESTART_FUTILE_MAX; deaths++) {
		assert_int_equal(worker_count(&f), 2);
		ready_all(&f);
		fake_die(f.world, world_worker(f.world, 0), 0);
	}
	/* From here on there is a pause before each. */
	for (unsigned failures = 1; failures < 4; failures++) {
		while (worker_count(&f) > 0) {
			ready_all(&f);
			fake_die(f.world, world_worker(f.world, 0), 0);
		}
		check_pause(&f, failures);
		assert_string_equal(pool_state_name(f.pool), failures < 3 ? "starting" : "failing");
		pass_pause(&f);
	}
	/* It goes on trying, and recovers. */
	assert_int_equal(worker_count(&f), 2);
	ready_all(&f);
	assert_string_equal(pool_state_name(f.pool), "ready");
	world_advance(f.world, RESTART_PROOF_US);
	fake_die(f.world, world_worker(f.world, 0), 0);
	assert_int_equal(worker_count(&f), 2);
	assert_int_equal(f.pool->failures, 0);
	end(&f);
}

static void test_workers_that_end_as_soon_as_they_are_ready_are_paused(void **state)
{
	(void)state;
	for (int kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++)
		check_workers_that_end_at_once((enum fake_kind)kind);
}

/* ---- spawners that end ---- */

static void test_spawner_is_replaced_at_once_but_not_again_and_again(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	fake_loaded(f.world, f.runtime);
	uint32_t waiting = submit(&f);
	ready_all(&f);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	assert_true(f.runtime->present);
	for (unsigned failures = 1; failures < 6; failures++) {
		fake_loaded(f.world, f.runtime);
		ready_all(&f);
		fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
		check_pause(&f, failures);
		if (failures < 3)
			assert_null(world_reply(f.world, waiting));
		else
			assert_string_equal(pool_state_name(f.pool), "failing");
		pass_pause(&f);
	}
	assert_int_equal(world_reply(f.world, waiting)->code, ERR_INITIALIZER_FAILED);
	/* A long life puts an end to that. */
	fake_loaded(f.world, f.runtime);
	ready_all(&f);
	world_advance(f.world, RESTART_MOMENT_US);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	assert_true(f.runtime->present);
	fake_loaded(f.world, f.runtime);
	ready_all(&f);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	assert_true(f.runtime->present);
	end(&f);
}

static void test_spawner_killed_while_it_loads_costs_nobody_anything(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	fake_loaded(f.world, f.runtime);
	uint32_t waiting = submit(&f);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_KILLED);
	pass_pause(&f);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_KILLED);
	assert_null(world_reply(f.world, waiting));
	pass_pause(&f);
	/* Who is killed every time has a reason in itself. */
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_KILLED);
	assert_int_equal(world_reply(f.world, waiting)->code, ERR_INITIALIZER_FAILED);
	end(&f);
}

static void test_spawner_that_does_not_fork_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	fake_loaded(f.world, f.runtime);
	uint32_t waiting = submit(&f);
	world_advance(f.world, 9 * SECOND);
	fake_forked(f.world, world_worker(f.world, 0));
	/* It goes on with the next: that is waited for as long. */
	world_advance(f.world, 9 * SECOND);
	assert_false(f.runtime->told_to_die);
	world_advance(f.world, SECOND);
	assert_true(f.runtime->told_to_die);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	world_advance(f.world, SECOND);
	fake_loaded(f.world, f.runtime);
	f.world->manual = false;
	world_settle(f.world);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, waiting)->code, ERR_NONE);
	end(&f);
}

static void test_spawner_that_has_forked_all_is_left_in_peace(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK);
	fake_loaded(f.world, f.runtime);
	fake_forked(f.world, world_worker(f.world, 0));
	/* One that could not be forked is told of, too. */
	fake_not_ready(f.world, world_worker(f.world, 1), NULL, true);
	fake_ready(f.world, world_worker(f.world, 0));
	pass_pause(&f);
	ready_all(&f);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);
	assert_int_equal(f.pool->serving->unforked_count, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pauses_double_up_to_a_limit),
		cmocka_unit_test(test_pauses_are_not_all_alike_but_follow_from_the_seed),
		cmocka_unit_test(test_failures_are_forgotten_when_a_start_was_worth_it),
		cmocka_unit_test(test_failures_of_one_worker_are_not_forgotten_because_of_another),
		cmocka_unit_test(test_what_tasks_do_to_workers_delays_nothing),
		cmocka_unit_test(test_workers_that_end_as_soon_as_they_are_ready_are_paused),
		cmocka_unit_test(test_spawner_is_replaced_at_once_but_not_again_and_again),
		cmocka_unit_test(test_spawner_killed_while_it_loads_costs_nobody_anything),
		cmocka_unit_test(test_spawner_that_does_not_fork_is_replaced),
		cmocka_unit_test(test_spawner_that_has_forked_all_is_left_in_peace),
	};
	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
