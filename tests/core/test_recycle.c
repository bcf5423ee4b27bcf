/* SPDX-License-Identifier: MIT */
#include "core/recycle.h"

#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "core/control.h"
#include "core/policy.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", "t.g", NULL};
static const char *const other_functions[] = {"t.g", "t.h", NULL};

/* A pool whose workers are ready; from then on no process does anything by itself. */
struct fixture {
	struct world *world;
	struct pool *pool;
	struct fake_runtime *runtime;
	struct session *session;
};

static struct fixture begin(enum fake_kind kind, unsigned workers)
{
	struct fixture f = {.world = world_create(NULL)};
	f.pool = world_add_pool(f.world, "p", workers, kind, functions);
	f.runtime = world_runtime(f.world, f.pool);
	f.session = world_open(f.world, 0);
	f.world->manual = true;
	assert_int_equal(f.pool->ready_count, workers);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	f->world->manual = false;
	world_settle(f->world);
	world_check(f->world);
	world_destroy(f->world);
}

static enum error_code submit(struct fixture *f, const char *function)
{
	enum error_code code;
	world_submit(f->world, f->session, (struct call){.function = function}, &code);
	return code;
}

/* The first process of the successor loads; where it does not fork, it is the first worker then. */
static void load_successor(struct fixture *f)
{
	struct fake_runtime *fake = world_successor(f->pool);
	if (fake->abilities.forks)
		fake_loaded(f->world, fake);
	else
		fake_hello(f->world, fake);
}

/* A worker of that runtime in that state; NULL: there is none. */
static struct fake_worker *find_worker(struct fixture *f, const struct runtime *runtime,
				       enum worker_state state)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		if (fake->worker->runtime == runtime && fake->worker->state == state)
			return fake;
	return NULL;
}

static unsigned count_workers(struct fixture *f, const struct runtime *runtime)
{
	const struct worker *worker;
	unsigned count = 0;
	TAILQ_FOREACH (worker, &f->pool->workers, in_pool)
		count += worker->runtime == runtime;
	return count;
}

/* Another worker of the successor is ready. */
static void ready_one(struct fixture *f)
{
	struct runtime *runtime = f->pool->successor;
	fake_ready(f->world, find_worker(f, runtime, WORKER_STARTING));
}

/* Those that were told to end do. */
static void let_go(struct fixture *f)
{
	struct fake_worker *fake, *next;
	for (fake = TAILQ_FIRST(&f->world->workers); fake; fake = next) {
		next = TAILQ_NEXT(fake, next);
		if (fake->told_to_die || (fake->told_to_stop && TAILQ_EMPTY(&fake->messages)))
			fake_die(f->world, fake, fake->told_to_die ? SIGKILL : 0);
	}
}

/* Serves with the next generation, as who asked is told. */
static void check_recycled(struct fixture *f, uint32_t msgid, int64_t generation)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_NONE);
	assert_int_equal(record_int(reply, "generation"), generation);
	assert_true(procpool_value_is(procpool_value_get(record_value(reply), "pool"), "p"));
	assert_null(f->pool->successor);
	assert_int_equal(f->pool->generation, generation);
	assert_int_equal(f->pool->serving->ready_count, f->pool->target);
}

static void check_failed(struct fixture *f, uint32_t msgid, const char *message)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_INITIALIZER_FAILED);
	assert_true(procpool_value_is(procpool_value_get(record_value(reply), "message"), message));
	assert_null(f->pool->successor);
	assert_string_equal(pool_state_name(f->pool), "ready");
}

/* ---- succeeding ---- */

static void check_one_retires_for_each_that_is_ready(enum fake_kind kind)
{
	struct fixture f = begin(kind, 3);
	struct runtime *old = f.pool->serving;
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	assert_int_equal(count_workers(&f, f.pool->successor), 3);
	for (unsigned ready = 1; ready <= 3; ready++) {
		assert_null(world_reply(f.world, msgid));
		ready_one(&f);
		assert_int_equal(f.pool->ready_count, 3);
		assert_int_equal(old->ready_count, 3 - ready);
		world_check(f.world);
	}
	check_recycled(&f, msgid, 2);
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

static void test_one_retires_for_each_that_is_ready(void **state)
{
	(void)state;
	for (int kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++)
		check_one_retires_for_each_that_is_ready((enum fake_kind)kind);
}

static void test_old_spawner_is_told_to_end_after_its_last_worker(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 2);
	world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	let_go(&f);
	assert_false(f.runtime->told_to_stop);
	ready_one(&f);
	let_go(&f);
	assert_true(f.runtime->told_to_stop);
	assert_int_equal(f.pool->restarts, 0);
	/* It has a moment for that. */
	world_advance(f.world, 2 * SECOND);
	assert_true(f.runtime->told_to_die);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	assert_ptr_equal(TAILQ_FIRST(&f.pool->runtimes), f.pool->serving);
	assert_int_equal(f.pool->ready_count, 2);
	end(&f);
}

static void test_old_worker_finishes_what_runs_and_gives_back_the_rest(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 1);
	struct fake_worker *old = world_worker(f.world, 0);
	struct call map = {.function = "t.f", .map = true, .count = 4, .chunksize = 4};
	world_submit(f.world, f.session, map, NULL);
	uint32_t mapped = f.world->last_msgid;
	assert_true(fake_begin(f.world, old));
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	check_recycled(&f, msgid, 2);
	assert_true(old->told_to_stop);
	assert_int_equal(f.pool->running, 4);
	/* What has not begun is at the new one. */
	struct fake_worker *new = find_worker(&f, f.pool->serving, WORKER_BUSY);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, new));
	fake_answer(f.world, new, 3, 30);
	world_advance(f.world, 3600 * SECOND);
	assert_false(old->told_to_die);
	fake_answer(f.world, old, 1, 3600 * SECOND);
	assert_int_equal(world_reply(f.world, mapped)->code, ERR_NONE);
	assert_true(fake_begun(old) == 0 && !fake_begin(f.world, old));
	/* With nothing left to do it is not to stay. */
	world_advance(f.world, 30 * SECOND);
	assert_true(old->told_to_die);
	end(&f);
}

static void test_functions_are_those_of_the_new_code_once_it_serves(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 1);
	uint64_t id = world_submit(f.world, f.session,
				   (struct call){.function = "t.f", .async = true}, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	assert_int_equal(submit(&f, "t.f"), ERR_NONE);
	f.runtime->functions = other_functions;
	world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	assert_int_equal(submit(&f, "t.f"), ERR_NONE);
	assert_int_equal(submit(&f, "t.h"), ERR_UNKNOWN_FUNCTION);
	ready_one(&f);
	assert_int_equal(submit(&f, "t.f"), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(submit(&f, "t.g"), ERR_NONE);
	assert_int_equal(submit(&f, "t.h"), ERR_NONE);
	/* Jobs still refer to the one that is gone. */
	assert_string_equal(world_job(f.world, f.session, id)->function->name, "t.f");
	f.world->manual = false;
	world_work(f.world);
	world_recycle(f.world, f.session, f.pool);
	assert_string_equal(world_job(f.world, f.session, id)->function->name, "t.f");
	world_advance(f.world, 3600 * SECOND);
	world_recycle(f.world, f.session, f.pool);
	assert_null(f.pool->functions.gone);
	end(&f);
}

static void test_recycles_at_the_same_time_are_one(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK, 1);
	struct session *other = world_open(f.world, 100);
	uint32_t one = world_recycle(f.world, f.session, f.pool);
	uint32_t two = world_recycle(f.world, other, f.pool);
	load_successor(&f);
	uint32_t three = world_recycle(f.world, other, f.pool);
	ready_one(&f);
	check_recycled(&f, one, 2);
	check_recycled(&f, two, 2);
	check_recycled(&f, three, 2);
	assert_int_equal(other->account.used[RESOURCE_WAITS], 0);
	end(&f);
}

static void test_who_waits_is_charged_and_goes_with_its_session(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.waits_session = 1;
	struct fixture f = {.world = world_create(&limits)};
	f.pool = world_add_pool(f.world, "p", 1, FAKE_FORK, functions);
	f.session = world_open(f.world, 0);
	f.world->manual = true;
	world_recycle(f.world, f.session, f.pool);
	uint32_t second = world_recycle(f.world, f.session, f.pool);
	assert_int_equal(world_reply(f.world, second)->code, ERR_BUSY);
	world_close(f.world, f.session);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(f.pool->generation, 2);
	world_destroy(f.world);
}

static void test_killed_worker_is_replaced_meanwhile(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK, 2);
	struct runtime *old = f.pool->serving;
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	fake_die(f.world, find_worker(&f, old, WORKER_IDLE), SIGKILL);
	assert_non_null(find_worker(&f, old, WORKER_STARTING));
	load_successor(&f);
	ready_one(&f);
	assert_int_equal(f.pool->ready_count, 2);
	/* The old one's place is taken, the new one's is not. */
	fake_die(f.world, find_worker(&f, f.pool->successor, WORKER_IDLE), SIGKILL);
	assert_int_equal(count_workers(&f, f.pool->successor), 2);
	ready_one(&f);
	ready_one(&f);
	check_recycled(&f, msgid, 2);
	let_go(&f);
	assert_int_equal(count_workers(&f, old), 0);
	end(&f);
}

/* ---- failing ---- */

static void check_code_that_does_not_load(enum fake_kind kind)
{
	struct fixture f = begin(kind, 2);
	struct runtime *old = f.pool->serving;
	uint32_t one = world_recycle(f.world, f.session, f.pool);
	uint32_t two = world_recycle(f.world, f.session, f.pool);
	fake_exit(f.world, world_successor(f.pool), "no module named t", RUNTIME_END_FAILED);
	check_failed(&f, one, "no module named t");
	check_failed(&f, two, "no module named t");
	assert_ptr_equal(f.pool->serving, old);
	assert_int_equal(old->ready_count, 2);
	assert_int_equal(f.pool->failures, 0);
	assert_int_equal(submit(&f, "t.f"), ERR_NONE);
	/* Repaired. */
	uint32_t three = world_recycle(f.world, f.session, f.pool);
	f.world->manual = false;
	world_settle(f.world);
	check_recycled(&f, three, 2);
	end(&f);
}

static void test_code_that_does_not_load_leaves_the_old_serving(void **state)
{
	(void)state;
	for (int kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++)
		check_code_that_does_not_load((enum fake_kind)kind);
}

static void check_initializer_that_fails(enum fake_kind kind)
{
	struct fixture f = begin(kind, 2);
	struct runtime *old = f.pool->serving;
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	struct fake_worker *new = find_worker(&f, f.pool->successor, WORKER_STARTING);
	fake_not_ready(f.world, new, "no database", false);
	check_failed(&f, msgid, "no database");
	assert_ptr_equal(f.pool->serving, old);
	assert_int_equal(old->ready_count, 2);
	assert_int_equal(f.pool->failures, 0);
	/* The other one is not waited for. */
	let_go(&f);
	assert_int_equal(f.pool->worker_count, 2);
	end(&f);
}

static void test_initializer_that_fails_leaves_the_old_serving(void **state)
{
	(void)state;
	for (int kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++)
		check_initializer_that_fails((enum fake_kind)kind);
}

static void test_initializer_that_fails_late_brings_back_the_old_code(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 2);
	struct runtime *old = f.pool->serving;
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	let_go(&f);
	assert_int_equal(old->ready_count, 1);
	struct runtime *new = f.pool->successor;
	fake_not_ready(f.world, find_worker(&f, new, WORKER_STARTING), "no room", false);
	check_failed(&f, msgid, "no room");
	/* The new one serves on until an old one has its place again. */
	assert_int_equal(f.pool->ready_count, 2);
	assert_int_equal(new->ready_count, 1);
	fake_ready(f.world, find_worker(&f, old, WORKER_STARTING));
	assert_int_equal(f.pool->ready_count, 2);
	assert_int_equal(old->ready_count, 2);
	let_go(&f);
	assert_int_equal(f.pool->worker_count, 2);
	assert_int_equal(submit(&f, "t.f"), ERR_NONE);
	end(&f);
}

static void test_code_that_takes_too_long_to_load_is_dropped(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK, 1);
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	struct fake_runtime *new = world_successor(f.pool);
	world_advance(f.world, 60 * SECOND);
	assert_true(new->told_to_die);
	fake_exit(f.world, new, "it was killed", RUNTIME_END_FAILED);
	check_failed(&f, msgid, "it was killed");
	end(&f);
}

/* ---- the ends of spawners ---- */

static void test_new_spawner_that_dies_leaves_the_old_serving(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 2);
	struct runtime *old = f.pool->serving;
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	fake_exit(f.world, world_successor(f.pool), "it was killed", RUNTIME_END_FAILED);
	check_failed(&f, msgid, "it was killed");
	assert_int_equal(f.pool->ready_count, 1);
	fake_ready(f.world, find_worker(&f, old, WORKER_STARTING));
	assert_int_equal(f.pool->ready_count, 2);
	end(&f);
}

static void test_old_spawner_that_dies_leaves_its_place_to_the_new(void **state)
{
	(void)state;
	for (int loaded = 0; loaded < 2; loaded++) {
		struct fixture f = begin(FAKE_FORK_PAGE, 2);
		uint32_t msgid = world_recycle(f.world, f.session, f.pool);
		struct fake_runtime *new = world_successor(f.pool);
		assert_int_equal(submit(&f, "t.f"), ERR_NONE);
		uint32_t called = f.world->last_msgid;
		if (loaded)
			load_successor(&f);
		fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
		assert_ptr_equal(f.pool->serving, new->runtime);
		assert_int_equal(f.pool->waiting, 1);
		assert_null(world_reply(f.world, msgid));
		f.world->manual = false;
		world_settle(f.world);
		world_work(f.world);
		check_recycled(&f, msgid, 2);
		assert_int_equal(world_reply(f.world, called)->code, ERR_NONE);
		end(&f);
	}
}

static void test_when_both_die_who_asked_is_told(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 2);
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	struct fake_runtime *new = world_successor(f.pool);
	fake_exit(f.world, f.runtime, NULL, RUNTIME_END_FAILED);
	fake_exit(f.world, new, "no module named t", RUNTIME_END_FAILED);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_INITIALIZER_FAILED);
	assert_string_equal(pool_state_name(f.pool), "failing");
	end(&f);
}

/* ---- pools that do not serve, and the daemon's end ---- */

static void test_recycle_of_a_failing_pool_tries_now(void **state)
{
	(void)state;
	struct fixture f = {.world = world_create(NULL)};
	f.world->manual = true;
	f.pool = world_add_pool(f.world, "p", 1, FAKE_FORK, functions);
	f.runtime = world_runtime(f.world, f.pool);
	f.session = world_open(f.world, 0);
	for (int i = 0; i < 8; i++) {
		fake_exit(f.world, f.runtime, "no module named t", RUNTIME_END_FAILED);
		if (i < 7)
			world_advance(f.world, 30 * SECOND);
	}
	assert_false(f.runtime->present);
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	assert_true(f.runtime->present);
	fake_exit(f.world, f.runtime, "still none", RUNTIME_END_FAILED);
	assert_true(procpool_value_is(
		procpool_value_get(record_value(world_reply(f.world, msgid)), "message"),
		"still none"));
	msgid = world_recycle(f.world, f.session, f.pool);
	fake_loaded(f.world, f.runtime);
	fake_ready(f.world, world_worker(f.world, 0));
	check_recycled(&f, msgid, 1);
	assert_string_equal(pool_state_name(f.pool), "ready");
	end(&f);
}

static void test_recycle_of_a_pool_whose_initializer_fails_takes_fresh_code(void **state)
{
	(void)state;
	struct fixture f = {.world = world_create(NULL)};
	f.world->manual = true;
	f.pool = world_add_pool(f.world, "p", 1, FAKE_FORK, functions);
	f.runtime = world_runtime(f.world, f.pool);
	f.session = world_open(f.world, 0);
	fake_loaded(f.world, f.runtime);
	fake_not_ready(f.world, world_worker(f.world, 0), "no database", false);
	assert_string_equal(pool_state_name(f.pool), "failing");
	uint32_t msgid = world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	check_recycled(&f, msgid, 2);
	assert_string_equal(pool_state_name(f.pool), "ready");
	assert_int_equal(submit(&f, "t.f"), ERR_NONE);
	end(&f);
}

static void test_end_of_the_daemon_ends_recycles(void **state)
{
	(void)state;
	for (int kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++) {
		for (int loaded = 0; loaded < 2; loaded++) {
			struct fixture f = begin((enum fake_kind)kind, 2);
			uint32_t msgid = world_recycle(f.world, f.session, f.pool);
			if (loaded)
				load_successor(&f);
			if (loaded)
				ready_one(&f);
			core_stop(&f.world->core, SECOND, f.world->now_us);
			world_settle(f.world);
			assert_int_equal(world_reply(f.world, msgid)->code, ERR_SHUTTING_DOWN);
			msgid = world_recycle(f.world, f.session, f.pool);
			assert_int_equal(world_reply(f.world, msgid)->code, ERR_SHUTTING_DOWN);
			f.world->manual = false;
			world_settle(f.world);
			assert_true(core_stopped(&f.world->core));
			world_destroy(f.world);
		}
	}
}

/* The job ends and is freed, then the pool shrinks so that the successor serves: all before anybody
 * is told of the job. */
static void test_function_that_is_gone_stays_for_what_is_still_to_be_told(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE, 1);
	struct core *core = &f.world->core;
	struct outcome error;
	struct action action;
	bool told = false;
	f.world->manual = false;
	policy_scale(f.pool, 1, 2, f.world->now_us);
	f.pool->target = 2;
	pool_fill(f.pool, f.world->now_us);
	world_settle(f.world);
	f.world->manual = true;
	f.runtime->functions = other_functions;
	world_recycle(f.world, f.session, f.pool);
	load_successor(&f);
	ready_one(&f);
	/* The one of the old code has idled for longer. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(submit(&f, "t.g"), ERR_NONE);
	struct fake_worker *old = find_worker(&f, f.pool->serving, WORKER_BUSY);
	struct fake_worker *new = find_worker(&f, f.pool->successor, WORKER_BUSY);
	assert_true(fake_begin(f.world, old) && fake_begin(f.world, new));
	fake_answer(f.world, old, 1, 1);
	fake_answer(f.world, new, 1, 1);
	assert_true(core_subscribe(core, f.session, NULL, f.pool, &error));
	assert_true(control_pause(f.pool, f.world->now_us, &error));
	struct call call = {.function = "t.f", .expires = true, .expires_us = SECOND};
	assert_int_not_equal(world_submit(f.world, f.session, call, NULL), 0);
	policy_scale(f.pool, 1, 2, f.world->now_us);
	world_settle(f.world);
	assert_non_null(f.pool->successor);
	core_timers(core, f.world->now_us + POOL_IDLE_US);
	assert_null(f.pool->successor);
	while (core_next_action(core, &action)) {
		if (action.type == ACTION_PUSH_RESULT) {
			assert_string_equal(action.function->name, "t.f");
			told = true;
		}
		action_fini(&action);
	}
	assert_true(told);
	f.world->now_us += POOL_IDLE_US;
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_retires_for_each_that_is_ready),
		cmocka_unit_test(test_old_spawner_is_told_to_end_after_its_last_worker),
		cmocka_unit_test(test_old_worker_finishes_what_runs_and_gives_back_the_rest),
		cmocka_unit_test(test_functions_are_those_of_the_new_code_once_it_serves),
		cmocka_unit_test(test_recycles_at_the_same_time_are_one),
		cmocka_unit_test(test_who_waits_is_charged_and_goes_with_its_session),
		cmocka_unit_test(test_killed_worker_is_replaced_meanwhile),
		cmocka_unit_test(test_code_that_does_not_load_leaves_the_old_serving),
		cmocka_unit_test(test_initializer_that_fails_leaves_the_old_serving),
		cmocka_unit_test(test_initializer_that_fails_late_brings_back_the_old_code),
		cmocka_unit_test(test_code_that_takes_too_long_to_load_is_dropped),
		cmocka_unit_test(test_new_spawner_that_dies_leaves_the_old_serving),
		cmocka_unit_test(test_old_spawner_that_dies_leaves_its_place_to_the_new),
		cmocka_unit_test(test_when_both_die_who_asked_is_told),
		cmocka_unit_test(test_recycle_of_a_failing_pool_tries_now),
		cmocka_unit_test(test_recycle_of_a_pool_whose_initializer_fails_takes_fresh_code),
		cmocka_unit_test(test_end_of_the_daemon_ends_recycles),
		cmocka_unit_test(test_function_that_is_gone_stays_for_what_is_still_to_be_told),
	};
	return cmocka_run_group_tests_name("recycle", tests, NULL, NULL);
}
