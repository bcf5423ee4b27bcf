/* SPDX-License-Identifier: MIT */
#include "core/policy.h"

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
};

struct wish {
	unsigned min, max;
	uint64_t max_tasks, max_rss_bytes;
};

static struct fixture begin(struct wish wish)
{
	struct fixture f = {.world = world_create(NULL)};
	struct pool_spec *spec = pool_spec_create("p");
	assert_non_null(spec);
	spec->workers_min = wish.min;
	spec->workers_max = wish.max;
	spec->max_tasks = wish.max_tasks;
	spec->max_rss_bytes = wish.max_rss_bytes;
	pool_spec_settle(spec, 1);
	f.pool = world_add_pool_of(f.world, spec, FAKE_FORK_PAGE, functions);
	f.session = world_open(f.world, 100);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_work(f->world);
	world_check(f->world);
	world_destroy(f->world);
}

static void apply(struct fixture *f, unsigned count)
{
	struct call call = {.function = "t.f"};
	for (unsigned i = 0; i < count; i++)
		assert_int_not_equal(world_submit(f->world, f->session, call, NULL), 0);
}

static void measure(struct fixture *f, uint64_t us)
{
	function_measure(function_table_find(&f->pool->functions, "t.f", 3), us, 1);
}

/* All workers begin something. */
static void hold_all(struct fixture *f)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		if (fake_begun(fake) == 0)
			fake_begin(f->world, fake);
}

/* ---- how many ---- */

static void test_a_pool_grows_by_what_waits_up_to_its_most(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 4});
	assert_int_equal(f.pool->ready_count, 1);
	apply(&f, 1);
	assert_int_equal(f.pool->target, 1);
	apply(&f, 2);
	assert_int_equal(f.pool->target, 3);
	assert_int_equal(f.pool->ready_count, 3);
	apply(&f, 10);
	assert_int_equal(f.pool->ready_count, 4);
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

static void test_workers_that_are_being_started_are_counted(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 8});
	f.world->manual = true;
	apply(&f, 3);
	assert_int_equal(f.pool->target, 3);
	apply(&f, 1);
	assert_int_equal(f.pool->target, 4);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->waiting, 0);
	end(&f);
}

static void test_what_is_soon_done_is_no_reason_to_grow(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 4});
	measure(&f, 100);
	apply(&f, 50);
	assert_int_equal(f.pool->target, 1);
	world_work(f.world);
	world_advance(f.world, SECOND);
	assert_int_equal(f.pool->target, 1);
	end(&f);
}

static void test_a_short_task_behind_a_long_one_is_a_reason_to_grow(void **state)
{
	(void)state;
	static const unsigned counts[] = {2, 50};
	for (int i = 0; i < 2; i++) {
		/* Sent ahead, or waiting as well. */
		struct fixture f = begin((struct wish){.min = 1, .max = 4});
		measure(&f, 100);
		apply(&f, counts[i]);
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		world_advance(f.world, 3 * POLICY_PATIENCE_US);
		assert_true(f.pool->target > 1);
		assert_true(f.pool->ready_count > 1);
		end(&f);
	}
}

static void test_what_nobody_needs_for_a_while_goes(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 2, .max = 5});
	apply(&f, 9);
	assert_int_equal(f.pool->ready_count, 5);
	world_work(f.world);
	world_advance(f.world, POOL_IDLE_US / 2);
	measure(&f, 1);
	apply(&f, 1);
	world_work(f.world);
	assert_int_equal(f.pool->ready_count, 5);
	world_advance(f.world, POOL_IDLE_US / 2);
	assert_int_equal(f.pool->ready_count, 2);
	assert_int_equal(f.pool->worker_count, 2);
	assert_int_equal(f.pool->restarts, 0);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);
	end(&f);
}

/* Those that take the place of others have just begun to idle. */
static void test_workers_that_are_replaced_keep_none_that_nobody_needs(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 3, .max_tasks = 2});
	apply(&f, 3);
	assert_int_equal(f.pool->ready_count, 3);
	world_work(f.world);
	for (int i = 0; i < 12; i++) {
		world_advance(f.world, POOL_IDLE_US / 3);
		apply(&f, 1);
		world_work(f.world);
	}
	assert_int_equal(f.pool->ready_count, 1);
	end(&f);
}

/* All of them are busy, so that there is none to give up. */
static void test_a_pool_whose_workers_may_not_idle_is_looked_at_now_and_then(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 3});
	f.pool->spec->idle_us = 0;
	apply(&f, 3);
	hold_all(&f);
	world_advance(f.world, SECOND);
	assert_int_equal(f.pool->ready_count, 3);
	world_work(f.world);
	world_advance(f.world, 2 * POLICY_PATIENCE_US);
	assert_int_equal(f.pool->ready_count, 1);
	end(&f);
}

static void test_a_pool_is_scaled_up_and_down(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 2, .max = 2});
	policy_scale(f.pool, 6, 6, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 6);
	world_check(f.world);
	measure(&f, 100 * SECOND);
	apply(&f, 2);
	policy_scale(f.pool, 3, 3, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 3);
	/* Those that idled went. */
	assert_int_equal(f.pool->running, 2);
	assert_int_equal(f.pool->worker_count, 3);
	policy_scale(f.pool, 1, 1, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 1);
	world_check(f.world);
	world_work(f.world);
	world_settle(f.world);
	assert_int_equal(f.pool->worker_count, 1);
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

static void test_workers_not_ready_yet_are_the_first_to_go(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 2, .max = 2});
	f.world->manual = true;
	policy_scale(f.pool, 6, 6, f.world->now_us);
	world_settle(f.world);
	policy_scale(f.pool, 2, 2, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 2);
	for (unsigned i = 2; i < 6; i++)
		assert_true(world_worker(f.world, i)->told_to_die);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->worker_count, 2);
	assert_int_equal(f.pool->failures, 0);
	end(&f);
}

/* ---- replacing ---- */

static void test_a_worker_is_replaced_after_its_tasks_and_capacity_never_dips(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 3, .max = 3, .max_tasks = 10});
	f.world->manual = true;
	struct worker *old = world_worker(f.world, 0)->worker;
	for (int i = 0; i < 40; i++) {
		apply(&f, 1);
		world_work(f.world);
		assert_int_equal(f.pool->ready_count, 3);
		world_check(f.world);
	}
	/* It goes on until the other is there. */
	assert_int_equal(f.pool->due_count, 1);
	assert_int_equal(f.pool->worker_count, 4);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 3);
	assert_int_equal(f.pool->worker_count, 3);
	assert_int_equal(f.pool->due_count, 0);
	assert_int_equal(f.pool->restarts, 0);
	struct worker *worker;
	TAILQ_FOREACH (worker, &f.pool->workers, in_pool)
		assert_true(worker != old || worker->tasks == 0);
	end(&f);
}

static void test_few_are_replaced_at_a_time(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 8, .max = 8, .max_tasks = 1});
	f.world->manual = true;
	measure(&f, 100 * SECOND);
	for (int i = 0; i < 8; i++) {
		apply(&f, 1);
		hold_all(&f);
	}
	world_work(f.world);
	assert_int_equal(f.pool->due_count, 8);
	assert_int_equal(f.pool->worker_count, 10);
	for (unsigned i = 8; i < 10; i++)
		fake_ready(f.world, world_worker(f.world, i));
	assert_int_equal(f.pool->due_count, 6);
	world_check(f.world);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->due_count, 0);
	assert_int_equal(f.pool->ready_count, 8);
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

static void test_those_that_began_together_do_not_end_together(void **state)
{
	(void)state;
	struct fixture f = begin(
		(struct wish){.min = 30, .max = 30, .max_tasks = 1000, .max_rss_bytes = 1000000});
	uint64_t least = UINT64_MAX, most = 0;
	struct worker *worker;
	TAILQ_FOREACH (worker, &f.pool->workers, in_pool) {
		assert_in_range(worker->tasks_max, 900, 1000);
		assert_in_range(worker->rss_max_bytes, 900000, 1000000);
		least = worker->tasks_max < least ? worker->tasks_max : least;
		most = worker->tasks_max > most ? worker->tasks_max : most;
	}
	assert_true(most - least > 50);
	end(&f);
}

static void test_a_worker_that_has_grown_large_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 1, .max = 1, .max_rss_bytes = 1000});
	apply(&f, 1);
	world_worker(f.world, 0)->report.rss_bytes = 900;
	world_work(f.world);
	world_advance(f.world, SECOND);
	assert_int_equal(world_worker(f.world, 0)->worker->tasks, 1);

	apply(&f, 1);
	world_worker(f.world, 0)->report.rss_bytes = 1001;
	world_work(f.world);
	world_advance(f.world, SECOND);
	assert_int_equal(world_worker(f.world, 0)->worker->tasks, 0);
	assert_int_equal(f.pool->restarts, 0);
	assert_int_equal(f.pool->ready_count, 1);
	end(&f);
}

static void test_a_due_worker_that_dies_is_replaced_once(void **state)
{
	(void)state;
	struct fixture f = begin((struct wish){.min = 2, .max = 2, .max_tasks = 1});
	f.world->manual = true;
	apply(&f, 1);
	world_work(f.world);
	assert_int_equal(f.pool->due_count, 1);
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f.world->workers, next)
		if (fake->worker->due)
			break;
	fake_die(f.world, fake, 11);
	assert_int_equal(f.pool->restarts, 1);
	assert_int_equal(f.pool->worker_count, 2);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->ready_count, 2);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pool_grows_by_what_waits_up_to_its_most),
		cmocka_unit_test(test_workers_that_are_being_started_are_counted),
		cmocka_unit_test(test_what_is_soon_done_is_no_reason_to_grow),
		cmocka_unit_test(test_a_short_task_behind_a_long_one_is_a_reason_to_grow),
		cmocka_unit_test(test_what_nobody_needs_for_a_while_goes),
		cmocka_unit_test(test_workers_that_are_replaced_keep_none_that_nobody_needs),
		cmocka_unit_test(test_a_pool_whose_workers_may_not_idle_is_looked_at_now_and_then),
		cmocka_unit_test(test_a_pool_is_scaled_up_and_down),
		cmocka_unit_test(test_workers_not_ready_yet_are_the_first_to_go),
		cmocka_unit_test(test_a_worker_is_replaced_after_its_tasks_and_capacity_never_dips),
		cmocka_unit_test(test_few_are_replaced_at_a_time),
		cmocka_unit_test(test_those_that_began_together_do_not_end_together),
		cmocka_unit_test(test_a_worker_that_has_grown_large_is_replaced),
		cmocka_unit_test(test_a_due_worker_that_dies_is_replaced_once),
	};
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
