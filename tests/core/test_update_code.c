/* SPDX-License-Identifier: MIT */
/* Code that is changed by a new configuration: what serves meanwhile, and where it does not load.
 */
#include "core/recycle.h"
#include "update_fixture.h"

#define SECOND UINT64_C(1000000)

static const char *const other_functions[] = {"t.g", NULL};

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

static struct fake_worker *starting_worker(struct fixture *f, const struct runtime *runtime)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &f->world->workers, next)
		if (fake->worker->runtime == runtime && fake->worker->state == WORKER_STARTING)
			return fake;
	fail_msg("no worker is starting");
	return NULL;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
