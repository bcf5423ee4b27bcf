/* SPDX-License-Identifier: MIT */
/* Pools that are changed, added and removed by a new configuration. */
#include "core/control.h"
#include "core/policy.h"
#include "update_fixture.h"

#define SECOND UINT64_C(1000000)

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
