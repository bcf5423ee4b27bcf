/* SPDX-License-Identifier: MIT */
#include "core/update.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "core/control.h"
#include "core/policy.h"
#include "core/recycle.h"
#include "core/string_list.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", NULL};
static const char *const other_functions[] = {"t.g", NULL};

struct fixture {
	struct world *world;
	struct session *session;
	struct session *watcher; /* subscribed to everything */
};

/* A pool whose processes are those of this code. */
static struct pool_spec *spec_of(const char *name, const char *code, unsigned workers)
{
	struct pool_spec *spec = pool_spec_create(name);
	assert_non_null(spec);
	assert_int_equal(string_list_append(&spec->modules, strdup(code)), 0);
	spec->workers = workers;
	pool_spec_settle(spec, 1);
	return spec;
}

#define UPDATE(f, ...)                                                                             \
	world_update((f)->world, (f)->session, (struct pool_spec *[]){__VA_ARGS__},                \
		     sizeof((struct pool_spec *[]){__VA_ARGS__}) / sizeof(struct pool_spec *),     \
		     FAKE_FORK_PAGE, functions)

static struct pool *find(struct fixture *f, const char *name)
{
	struct pool *pool = core_find_pool(&f->world->core, f->session, name, strlen(name));
	assert_non_null(pool);
	return pool;
}

static void settle_alone(struct fixture *f)
{
	f->world->manual = false;
	world_settle(f->world);
	f->world->manual = true;
	world_check(f->world);
}

/* Pools a and b of code x with two workers each; from then on no process does anything by itself.
 */
static struct fixture begin(void)
{
	struct fixture f = {.world = world_create(NULL)};
	struct outcome error;
	f.session = world_open(f.world, 0);
	f.watcher = world_open(f.world, 0);
	assert_true(core_subscribe(&f.world->core, f.watcher, NULL, NULL, &error));
	UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	settle_alone(&f);
	assert_int_equal(find(&f, "a")->ready_count, 2);
	assert_int_equal(find(&f, "b")->ready_count, 2);
	return f;
}

static void end(struct fixture *f)
{
	settle_alone(f);
	assert_int_equal(f->world->core.updating_count, 0);
	assert_true(TAILQ_EMPTY(&f->world->core.updates));
	assert_int_equal(f->session->account.used[RESOURCE_WAITS], 0);
	f->world->manual = false;
	world_destroy(f->world);
}

/* The names under a key, joined by spaces. */
static const char *names(const struct record *record, const char *key)
{
	static char text[200];
	struct procpool_value name;
	struct procpool_iter it = procpool_iter(procpool_value_get(record_value(record), key));
	text[0] = '\0';
	while (procpool_iter_next(&it, &name)) {
		struct slice slice = {"", 0};
		assert_true(slice_of(name, &slice));
		sprintf(text + strlen(text), "%s%.*s", text[0] ? " " : "", (int)slice.size,
			slice.data);
	}
	return text;
}

static void check_done(struct fixture *f, uint32_t msgid, const char *changed, const char *added,
		       const char *removed)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_NONE);
	assert_string_equal(names(reply, "changed"), changed);
	assert_string_equal(names(reply, "added"), added);
	assert_string_equal(names(reply, "removed"), removed);
	assert_string_equal(names(reply, "restart"), "socket");
}

static void check_failed(struct fixture *f, uint32_t msgid, const char *message)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_INITIALIZER_FAILED);
	struct procpool_value said = procpool_value_get(record_value(reply), "message");
	if (!procpool_value_is(said, message)) {
		struct slice text = {"", 0};
		slice_of(said, &text);
		fail_msg("%.*s", (int)text.size, text.data);
	}
	assert_string_equal(names(reply, "restart"), "socket");
}

static void check_code(const struct pool *pool, const char *code)
{
	assert_string_equal(pool->code->modules[0], code);
	assert_non_null(pool->serving);
	assert_string_equal(pool->serving->spec->modules[0], code);
	assert_null(pool->successor);
	assert_string_equal(pool_state_name(pool), "ready");
	assert_int_equal(pool->ready_count, pool->target);
}

static enum error_code submit(struct fixture *f, const char *pool, const char *function)
{
	enum error_code code;
	struct call call = {.pool = pool, .function = function};
	world_submit(f->world, f->session, call, &code);
	return code;
}

static struct fake_worker *starting_worker(struct fixture *f, const struct runtime *runtime)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		if (fake->worker->runtime == runtime && fake->worker->state == WORKER_STARTING)
			return fake;
	fail_msg("no worker is starting");
	return NULL;
}

/* ---- what changes ---- */

static void test_only_pools_that_differ_change(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct runtime *a = find(&f, "a")->serving, *b = find(&f, "b")->serving;
	uint32_t same = UPDATE(&f, spec_of("b", "x", 2), spec_of("a", "x", 2));
	check_done(&f, same, "", "", "");
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	assert_null(world_reply(f.world, msgid));
	settle_alone(&f);
	check_done(&f, msgid, "a", "", "");
	assert_ptr_not_equal(find(&f, "a")->serving, a);
	check_code(find(&f, "a"), "y");
	assert_ptr_equal(find(&f, "b")->serving, b);
	assert_int_equal(find(&f, "b")->generation, 1);
	end(&f);
}

static void test_policies_are_in_force_at_once_with_the_same_processes(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct runtime *serving = find(&f, "a")->serving;
	struct pool_spec *spec = spec_of("a", "x", 3);
	spec->max_tasks = 2;
	spec->stop_us = 5 * SECOND;
	uint32_t msgid = UPDATE(&f, spec, spec_of("b", "x", 2));
	check_done(&f, msgid, "a", "", "");
	struct pool *pool = find(&f, "a");
	assert_ptr_equal(pool->serving, serving);
	assert_null(pool->successor);
	assert_int_equal(pool->target, 3);
	assert_int_equal(pool->spec->stop_us, 5 * SECOND);
	settle_alone(&f);
	assert_int_equal(pool->ready_count, 3);
	assert_int_equal(world_worker(f.world, 0)->worker->tasks_max, 2);
	/* And back again: fewer, at once. */
	UPDATE(&f, spec_of("a", "x", 1), spec_of("b", "x", 2));
	assert_int_equal(pool->ready_count, 1);
	assert_true(world_worker(f.world, 0)->worker->tasks_max > 1000);
	end(&f);
}

static void test_worker_that_has_done_enough_by_a_new_limit_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(submit(&f, "a", "t.f"), ERR_NONE);
		world_work(f.world);
	}
	struct pool_spec *spec = spec_of("a", "x", 2);
	spec->max_tasks = 2;
	UPDATE(&f, spec, spec_of("b", "x", 2));
	assert_int_equal(find(&f, "a")->due_count, 1);
	assert_int_equal(find(&f, "a")->worker_count, 3);
	settle_alone(&f);
	assert_int_equal(find(&f, "a")->due_count, 0);
	end(&f);
}

static void test_what_was_scaled_stays_unless_its_keys_change(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct outcome error;
	assert_true(control_scale(find(&f, "a"), 4, 4, f.world->now_us, &error));
	struct pool_spec *spec = spec_of("a", "y", 2);
	spec->max_tasks = 1000;
	UPDATE(&f, spec, spec_of("b", "x", 2));
	settle_alone(&f);
	check_code(find(&f, "a"), "y");
	assert_int_equal(find(&f, "a")->target, 4);
	UPDATE(&f, spec_of("a", "y", 3), spec_of("b", "x", 2));
	assert_int_equal(find(&f, "a")->target, 3);
	end(&f);
}

static void test_fewer_extra_workers_are_fewer_at_once(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool_spec *spec = spec_of("a", "x", 2);
	spec->extra_workers = 3;
	UPDATE(&f, spec, spec_of("b", "x", 2));
	struct pool *pool = find(&f, "a");
	while (policy_add_extra(pool, f.world->now_us))
		;
	world_settle(f.world);
	settle_alone(&f);
	assert_int_equal(pool->ready_count, 5);
	spec = spec_of("a", "x", 2);
	spec->extra_workers = 4;
	UPDATE(&f, spec, spec_of("b", "x", 2));
	assert_int_equal(pool->ready_count, 5);
	UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	assert_int_equal(pool->ready_count, 2);
	end(&f);
}

static void test_workers_that_idle_for_longer_than_now_allowed_go(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool_spec *spec = spec_of("a", "x", 0);
	spec->workers = 0;
	spec->workers_min = 1;
	spec->workers_max = 2;
	pool_spec_settle(spec, 1);
	spec->idle_us = 1000 * SECOND;
	UPDATE(&f, pool_spec_ref(spec), spec_of("b", "x", 2));
	world_advance(f.world, 10 * SECOND);
	assert_int_equal(find(&f, "a")->ready_count, 2);
	pool_spec_unref(spec);
	spec = spec_of("a", "x", 0);
	spec->workers = 0;
	spec->workers_min = 1;
	spec->workers_max = 2;
	pool_spec_settle(spec, 1);
	spec->idle_us = 5 * SECOND;
	UPDATE(&f, spec, spec_of("b", "x", 2));
	world_advance(f.world, 1000);
	assert_int_equal(find(&f, "a")->ready_count, 1);
	end(&f);
}

/* ---- successors ---- */

static void test_calls_are_served_by_old_code_until_the_new_is_ready(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	world_runtime(f.world, pool)->functions = other_functions;
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	assert_string_equal(pool->code->modules[0], "x");
	assert_string_equal(pool->successor->spec->modules[0], "y");
	fake_loaded(f.world, world_successor(pool));
	assert_int_equal(submit(&f, "a", "t.f"), ERR_NONE);
	fake_ready(f.world, starting_worker(&f, pool->successor));
	assert_null(world_reply(f.world, msgid));
	fake_ready(f.world, starting_worker(&f, pool->successor));
	/* What only the new code has can be called as soon as that is told. */
	check_done(&f, msgid, "a", "", "");
	assert_int_equal(submit(&f, "a", "t.g"), ERR_NONE);
	assert_int_equal(submit(&f, "a", "t.f"), ERR_UNKNOWN_FUNCTION);
	settle_alone(&f);
	check_code(pool, "y");
	world_work(f.world);
	assert_int_equal(f.world->updates_done, 2);
	end(&f);
}

static void test_last_configuration_wins_while_the_one_before_loads(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	uint32_t one = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	struct fake_runtime *first = world_successor(pool);
	/* With a worker that serves already. */
	fake_loaded(f.world, first);
	fake_ready(f.world, starting_worker(&f, pool->successor));
	uint32_t two = UPDATE(&f, spec_of("a", "z", 2), spec_of("b", "y", 2));
	assert_ptr_not_equal(world_successor(pool), first);
	assert_int_equal(pool->ready_count, 2);
	assert_null(world_reply(f.world, one));
	settle_alone(&f);
	check_done(&f, one, "a", "", "");
	check_done(&f, two, "a b", "", "");
	check_code(pool, "z");
	check_code(find(&f, "b"), "y");
	end(&f);
}

static void test_policy_that_changes_while_code_loads_leaves_that_loading(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	struct fake_runtime *successor = world_successor(pool);
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 3), spec_of("b", "x", 2));
	assert_ptr_equal(world_successor(pool), successor);
	assert_null(world_reply(f.world, msgid));
	settle_alone(&f);
	check_done(&f, msgid, "a", "", "");
	check_code(pool, "y");
	assert_int_equal(pool->ready_count, 3);
	/* Who asks for the same again meanwhile is told of it, too. */
	UPDATE(&f, spec_of("a", "z", 3), spec_of("b", "x", 2));
	msgid = UPDATE(&f, spec_of("a", "z", 3), spec_of("b", "x", 2));
	assert_null(world_reply(f.world, msgid));
	settle_alone(&f);
	check_done(&f, msgid, "a", "", "");
	end(&f);
}

static void test_going_back_while_code_loads_keeps_what_serves(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	struct runtime *serving = pool->serving;
	uint32_t one = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	fake_loaded(f.world, world_successor(pool));
	fake_ready(f.world, starting_worker(&f, pool->successor));
	uint32_t two = UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	assert_null(pool->successor);
	settle_alone(&f);
	check_done(&f, one, "a", "", "");
	check_done(&f, two, "a", "", "");
	assert_ptr_equal(pool->serving, serving);
	check_code(pool, "x");
	end(&f);
}

static void test_recycle_under_way_is_one_of_the_new_code(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	uint32_t recycled = world_recycle(f.world, f.session, pool);
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	assert_null(world_reply(f.world, recycled));
	/* Back to what serves: fresh code is wanted all the same. */
	UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	assert_non_null(pool->successor);
	settle_alone(&f);
	assert_int_equal(world_reply(f.world, recycled)->code, ERR_NONE);
	assert_int_equal(pool->generation, 2);
	check_done(&f, msgid, "a", "", "");
	end(&f);
}

/* ---- failing ---- */

static void test_code_that_does_not_load_leaves_the_old_and_tells_why(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 3), spec_of("b", "y", 2));
	fake_exit(f.world, world_successor(pool), "pool a: no module named y", RUNTIME_END_FAILED);
	assert_null(world_reply(f.world, msgid));
	settle_alone(&f);
	check_failed(&f, msgid, "pool a keeps its old code: no module named y");
	const struct record *reply = world_reply(f.world, msgid);
	assert_string_equal(names(reply, "changed"), "a b");
	struct procpool_value failed = procpool_value_get(record_value(reply), "failed");
	assert_int_equal(procpool_value_count(failed), 1);
	failed = procpool_value_at(failed, 0);
	assert_true(procpool_value_is(procpool_value_get(failed, "pool"), "a"));
	/* The rest has been applied. */
	check_code(pool, "x");
	check_code(find(&f, "b"), "y");
	assert_int_equal(pool->target, 3);
	assert_true(pool_is_stale(pool));
	assert_int_equal(pool->refusal.code, ERR_INITIALIZER_FAILED);
	/* Its own processes are replaced by such of the same code. */
	fake_exit(f.world, world_runtime(f.world, pool), NULL, RUNTIME_END_FAILED);
	settle_alone(&f);
	check_code(pool, "x");
	assert_true(pool_is_stale(pool));
	/* The same again tries again. */
	msgid = UPDATE(&f, spec_of("a", "y", 3), spec_of("b", "y", 2));
	settle_alone(&f);
	check_done(&f, msgid, "a", "", "");
	check_code(pool, "y");
	assert_false(pool_is_stale(pool));
	end(&f);
}

static void test_failure_that_is_repaired_before_all_have_settled_is_none(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t one = UPDATE(&f, spec_of("a", "y", 1), spec_of("b", "y", 1));
	fake_exit(f.world, world_successor(find(&f, "a")), "no", RUNTIME_END_FAILED);
	assert_null(world_reply(f.world, one));
	uint32_t two = UPDATE(&f, spec_of("a", "z", 1), spec_of("b", "y", 1));
	settle_alone(&f);
	check_done(&f, one, "a b", "", "");
	check_done(&f, two, "a b", "", "");
	check_code(find(&f, "a"), "z");
	/* One that is removed meanwhile has not failed either. */
	one = UPDATE(&f, spec_of("a", "x", 1), spec_of("b", "x", 1));
	fake_exit(f.world, world_successor(find(&f, "a")), "no", RUNTIME_END_FAILED);
	two = UPDATE(&f, spec_of("b", "x", 1));
	settle_alone(&f);
	check_done(&f, one, "a b", "", "");
	check_done(&f, two, "b", "", "a");
	end(&f);
}

static void test_recycle_tries_again_what_did_not_load(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	fake_exit(f.world, world_successor(pool), "no", RUNTIME_END_FAILED);
	settle_alone(&f);
	check_code(pool, "x");
	uint32_t msgid = world_recycle(f.world, f.session, pool);
	settle_alone(&f);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	check_code(pool, "y");
	assert_false(pool_is_stale(pool));
	end(&f);
}

static void test_configuring_the_old_code_again_forgets_the_failure(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	struct runtime *serving = pool->serving;
	UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	fake_exit(f.world, world_successor(pool), "no", RUNTIME_END_FAILED);
	settle_alone(&f);
	uint32_t msgid = UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	check_done(&f, msgid, "a", "", "");
	assert_ptr_equal(pool->serving, serving);
	assert_false(pool_is_stale(pool));
	end(&f);
}

static void test_several_failures_are_told_together(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 1), spec_of("b", "y", 1));
	fake_exit(f.world, world_successor(find(&f, "b")), "of b", RUNTIME_END_FAILED);
	fake_exit(f.world, world_successor(find(&f, "a")), "of a", RUNTIME_END_FAILED);
	check_failed(&f, msgid, "pool a keeps its old code: of a");
	const struct record *reply = world_reply(f.world, msgid);
	struct procpool_value failed = procpool_value_get(record_value(reply), "failed");
	assert_int_equal(procpool_value_count(failed), 2);
	end(&f);
}

static void test_old_spawner_that_dies_meanwhile_is_back_if_the_new_code_does_not_load(void **state)
{
	(void)state;
	for (int forked = 0; forked < 2; forked++) {
		struct fixture f = begin();
		struct pool *pool = find(&f, "a");
		uint32_t msgid = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
		struct fake_runtime *successor = world_successor(pool);
		assert_int_equal(submit(&f, "a", "t.f"), ERR_NONE);
		uint32_t called = f.world->last_msgid;
		fake_exit(f.world, world_runtime(f.world, pool), NULL, RUNTIME_END_FAILED);
		assert_ptr_equal(pool->serving, successor->runtime);
		assert_null(world_reply(f.world, msgid));
		if (forked) {
			fake_loaded(f.world, successor);
			fake_not_ready(f.world, starting_worker(&f, pool->serving), "no", false);
		} else {
			fake_exit(f.world, successor, "no", RUNTIME_END_FAILED);
		}
		check_failed(&f, msgid, "pool a keeps its old code: no");
		settle_alone(&f);
		check_code(pool, "x");
		world_work(f.world);
		assert_int_equal(world_reply(f.world, called)->code, ERR_NONE);
		end(&f);
	}
}

static void test_pool_that_never_worked_gets_the_new_code_at_once(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t one = UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2), spec_of("c", "?", 1));
	struct pool *pool = find(&f, "c");
	fake_exit(f.world, world_runtime(f.world, pool), "pool c: no ?", RUNTIME_END_FAILED);
	check_failed(&f, one, "pool c does not serve: no ?");
	assert_string_equal(names(world_reply(f.world, one), "added"), "c");
	assert_string_equal(pool_state_name(pool), "failing");
	uint32_t two = UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2), spec_of("c", "!", 1));
	assert_string_equal(pool->code->modules[0], "!");
	assert_null(world_reply(f.world, two));
	fake_exit(f.world, world_runtime(f.world, pool), "no !", RUNTIME_END_FAILED);
	check_failed(&f, two, "pool c does not serve: no !");
	assert_string_equal(pool->code->modules[0], "!");
	/* While it loads again, yet another. */
	uint32_t three =
		UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2), spec_of("c", "y", 1));
	uint32_t four =
		UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2), spec_of("c", "z", 1));
	settle_alone(&f);
	check_done(&f, three, "c", "", "");
	check_done(&f, four, "c", "", "");
	check_code(pool, "z");
	end(&f);
}

static void test_daemon_that_ends_meanwhile_tells_so(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "y", 2));
	core_stop(&f.world->core, SECOND, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_SHUTTING_DOWN);
	msgid = UPDATE(&f, spec_of("a", "z", 2));
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_SHUTTING_DOWN);
	end(&f);
}

/* ---- added and removed ---- */

static void test_added_pool_serves_when_it_is_told(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t msgid =
		UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2), spec_of("c", "x", 1));
	assert_null(world_reply(f.world, msgid));
	settle_alone(&f);
	check_done(&f, msgid, "", "c", "");
	assert_int_equal(submit(&f, "c", "t.f"), ERR_NONE);
	world_work(f.world);
	end(&f);
}

static void test_removed_pool_finishes_what_it_has(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *pool = find(&f, "a");
	struct call map = {.pool = "a", .function = "t.f", .map = true, .count = 5};
	struct outcome error;
	assert_true(control_pause(pool, f.world->now_us, &error));
	world_submit(f.world, f.session, map, NULL);
	uint32_t called = f.world->last_msgid;
	uint32_t recycled = world_recycle(f.world, f.session, pool);
	uint32_t msgid = UPDATE(&f, spec_of("b", "x", 2));
	check_done(&f, msgid, "", "", "a");
	assert_int_equal(world_reply(f.world, recycled)->code, ERR_POOL_CLOSED);
	assert_int_equal(submit(&f, "a", "t.f"), ERR_POOL_CLOSED);
	/* Another of the same function is not ambiguous with it. */
	assert_int_equal(submit(&f, NULL, "t.f"), ERR_NONE);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, called)->code, ERR_NONE);
	settle_alone(&f);
	assert_int_equal(submit(&f, "a", "t.f"), ERR_NO_SUCH_POOL);
	end(&f);
}

static void test_removed_while_it_changes_is_not_waited_for(void **state)
{
	(void)state;
	struct fixture f = begin();
	uint32_t one = UPDATE(&f, spec_of("a", "y", 2), spec_of("b", "x", 2));
	uint32_t two = UPDATE(&f, spec_of("b", "x", 2));
	check_done(&f, one, "a", "", "");
	check_done(&f, two, "", "", "a");
	end(&f);
}

static void test_pool_is_added_again_while_its_namesake_winds_up(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct pool *old = find(&f, "a");
	struct outcome error;
	struct session *follower = world_open(f.world, 0);
	assert_true(core_subscribe(&f.world->core, follower, NULL, old, &error));
	uint64_t id =
		world_submit(f.world, f.session,
			     (struct call){.pool = "a", .function = "t.f", .async = true}, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)) ||
		    fake_begin(f.world, world_worker(f.world, 1)));
	UPDATE(&f, spec_of("b", "x", 2));
	uint32_t msgid = UPDATE(&f, spec_of("b", "x", 2), spec_of("a", "y", 1));
	struct pool *new = find(&f, "a");
	assert_ptr_not_equal(new, old);
	settle_alone(&f);
	check_done(&f, msgid, "", "a", "");
	assert_int_equal(old->state, POOL_CLOSING);
	/* It is found by its name, and is not ambiguous. */
	uint64_t other =
		world_submit(f.world, f.session,
			     (struct call){.pool = "a", .function = "t.f", .async = true}, NULL);
	assert_ptr_equal(world_job(f.world, f.session, other)->function->pool, new);
	UPDATE(&f, spec_of("a", "y", 1));
	assert_int_equal(submit(&f, NULL, "t.f"), ERR_NONE);
	world_work(f.world);
	/* Who has subscribed to the name is told of both. */
	assert_int_equal(world_count(f.world, ACTION_PUSH_RESULT, follower, id), 1);
	assert_int_equal(world_count(f.world, ACTION_PUSH_RESULT, follower, other), 1);
	settle_alone(&f);
	assert_int_equal(find(&f, "a")->state, POOL_OPEN);
	assert_true(core_unsubscribe(&f.world->core, follower, NULL, find(&f, "a")));
	/* And that of its state which it has now. */
	for (size_t i = 0; i < f.world->record_count; i++)
		if (f.world->records[i].session == follower &&
		    f.world->records[i].type == ACTION_PUSH_EVENT)
			assert_false(procpool_value_is(
				procpool_value_get(record_value(&f.world->records[i]), "state"),
				"ended"));
	end(&f);
}

static void test_pools_of_sessions_are_left_alone(void **state)
{
	(void)state;
	struct fixture f = begin();
	f.world->manual = false;
	struct pool *own = world_open_pool(f.world, f.session, 1, FAKE_FORK, functions);
	f.world->manual = true;
	uint32_t msgid = UPDATE(&f, spec_of("b", "x", 2));
	check_done(&f, msgid, "", "", "a");
	settle_alone(&f);
	assert_int_equal(own->state, POOL_OPEN);
	end(&f);
}

/* ---- who asks ---- */

static void test_update_goes_on_without_who_asked_for_it(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct session *session = f.session;
	f.session = world_open(f.world, 0);
	struct fixture other = {.world = f.world, .session = session};
	UPDATE(&other, spec_of("a", "y", 2), spec_of("b", "x", 2));
	assert_int_equal(session->account.used[RESOURCE_WAITS], 1);
	world_close(f.world, session);
	other.session = NULL;
	UPDATE(&other, spec_of("a", "y", 2), spec_of("b", "y", 2));
	settle_alone(&f);
	check_code(find(&f, "a"), "y");
	check_code(find(&f, "b"), "y");
	end(&f);
}

static void test_who_asks_too_often_at_once_is_refused_and_nothing_changes(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.waits_session = 1;
	struct fixture f = {.world = world_create(&limits)};
	f.session = world_open(f.world, 0);
	f.world->manual = true;
	UPDATE(&f, spec_of("a", "x", 1));
	uint32_t msgid = UPDATE(&f, spec_of("a", "y", 1));
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_BUSY);
	settle_alone(&f);
	check_code(find(&f, "a"), "x");
	end(&f);
}

static void test_changed_lists_count_at_once(void **state)
{
	(void)state;
	struct fixture f = begin();
	struct session *user = world_open(f.world, 100);
	struct pool_spec *spec = spec_of("a", "x", 2);
	access_list_add_user(&spec->access.observe, 100);
	assert_int_equal(pool_rights(find(&f, "a"), user), 0);
	uint32_t msgid = UPDATE(&f, spec, spec_of("b", "x", 2));
	check_done(&f, msgid, "a", "", "");
	assert_int_equal(pool_rights(find(&f, "a"), user), ACCESS_OBSERVE);
	assert_int_equal(pool_rights(find(&f, "b"), user), 0);
	msgid = UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	check_done(&f, msgid, "a", "", "");
	assert_int_equal(pool_rights(find(&f, "a"), user), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_pools_that_differ_change),
		cmocka_unit_test(test_policies_are_in_force_at_once_with_the_same_processes),
		cmocka_unit_test(test_worker_that_has_done_enough_by_a_new_limit_is_replaced),
		cmocka_unit_test(test_what_was_scaled_stays_unless_its_keys_change),
		cmocka_unit_test(test_fewer_extra_workers_are_fewer_at_once),
		cmocka_unit_test(test_workers_that_idle_for_longer_than_now_allowed_go),
		cmocka_unit_test(test_calls_are_served_by_old_code_until_the_new_is_ready),
		cmocka_unit_test(test_last_configuration_wins_while_the_one_before_loads),
		cmocka_unit_test(test_policy_that_changes_while_code_loads_leaves_that_loading),
		cmocka_unit_test(test_going_back_while_code_loads_keeps_what_serves),
		cmocka_unit_test(test_recycle_under_way_is_one_of_the_new_code),
		cmocka_unit_test(test_code_that_does_not_load_leaves_the_old_and_tells_why),
		cmocka_unit_test(test_failure_that_is_repaired_before_all_have_settled_is_none),
		cmocka_unit_test(test_recycle_tries_again_what_did_not_load),
		cmocka_unit_test(test_configuring_the_old_code_again_forgets_the_failure),
		cmocka_unit_test(test_several_failures_are_told_together),
		cmocka_unit_test(
			test_old_spawner_that_dies_meanwhile_is_back_if_the_new_code_does_not_load),
		cmocka_unit_test(test_pool_that_never_worked_gets_the_new_code_at_once),
		cmocka_unit_test(test_daemon_that_ends_meanwhile_tells_so),
		cmocka_unit_test(test_added_pool_serves_when_it_is_told),
		cmocka_unit_test(test_removed_pool_finishes_what_it_has),
		cmocka_unit_test(test_removed_while_it_changes_is_not_waited_for),
		cmocka_unit_test(test_pool_is_added_again_while_its_namesake_winds_up),
		cmocka_unit_test(test_pools_of_sessions_are_left_alone),
		cmocka_unit_test(test_update_goes_on_without_who_asked_for_it),
		cmocka_unit_test(test_who_asks_too_often_at_once_is_refused_and_nothing_changes),
		cmocka_unit_test(test_changed_lists_count_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
