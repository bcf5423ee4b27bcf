/* SPDX-License-Identifier: MIT */
#include "core/grants.h"

#include <stdlib.h>

#include "../unit/alloc.h"
#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

static int setup(void **state)
{
	*state = world_create(NULL);
	return 0;
}

static int teardown(void **state)
{
	alloc_fail_after(-1);
	world_destroy(*state);
	return 0;
}

/* A pool in which one user may call, and another observe. */
static struct pool *add_pool(struct world *world, const char *name, uid_t caller, uid_t observer)
{
	struct pool_spec *spec = pool_spec_create(name);
	pool_spec_settle(spec, 1);
	spec->access.call.given = spec->access.observe.given = true;
	access_list_add_user(&spec->access.call, caller);
	access_list_add_user(&spec->access.observe, observer);
	return world_add_pool_of(world, spec, FAKE_FORK, functions);
}

static struct access lists_of(uid_t caller)
{
	struct access access = {.call = {.given = true}};
	access_list_add_user(&access.call, caller);
	return access;
}

static void test_rights_are_those_of_each_pool(void **state)
{
	struct world *world = *state;
	struct pool *a = add_pool(world, "a", 100, 101);
	struct session *early = world_open(world, 101);
	struct pool *b = add_pool(world, "b", 101, 102);
	struct session *late = world_open(world, 101), *other = world_open(world, 103);
	assert_int_equal(pool_rights(a, early), ACCESS_OBSERVE);
	assert_int_equal(pool_rights(b, early), ACCESS_CALL);
	assert_int_equal(pool_rights(a, late), ACCESS_OBSERVE);
	assert_int_equal(pool_rights(b, late), ACCESS_CALL);
	assert_int_equal(session_rights(early), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(session_rights(late), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(session_rights(other), 0);
	assert_int_equal(session_daemon_rights(&world->core, late), 0);
}

static void test_root_and_the_own_user_have_all_rights(void **state)
{
	struct world *world = *state;
	struct pool *pool = add_pool(world, "a", 100, 101);
	struct session *root = world_open(world, 0), *own = world_open(world, world->core.own_uid);
	assert_int_equal(pool_rights(pool, root), ACCESS_ALL);
	assert_int_equal(pool_rights(pool, own), ACCESS_ALL);
	assert_int_equal(session_rights(own), ACCESS_ALL);
	assert_int_equal(session_daemon_rights(&world->core, own), ACCESS_ALL);
}

static void test_pool_of_a_session_grants_all_to_its_user_and_root_alone(void **state)
{
	struct world *world = *state;
	struct access everyone = {.call = {.given = true, .everyone = true}};
	struct session *owner = world_open(world, 100);
	struct pool *pool = world_open_pool(world, owner, 1, FAKE_FORK, functions);
	assert_int_equal(core_set_access(&world->core, &everyone), 0);
	assert_int_equal(pool_rights(pool, owner), ACCESS_ALL);
	assert_int_equal(pool_rights(pool, world_open(world, 100)), ACCESS_ALL);
	assert_int_equal(pool_rights(pool, world_open(world, 0)), ACCESS_ALL);
	assert_int_equal(pool_rights(pool, world_open(world, 101)), 0);
	assert_int_equal(pool_rights(pool, world_open(world, world->core.own_uid)), 0);
}

static void test_lists_that_are_alike_are_kept_once(void **state)
{
	struct world *world = *state;
	struct pool *a = add_pool(world, "a", 100, 101), *b = add_pool(world, "b", 100, 101);
	assert_int_equal(a->grant, b->grant);
	assert_int_equal(world->core.grants.list[a->grant].refs, 2);
	assert_int_equal(world->core.grants.count, 2); /* with the daemon's */
}

static void test_changed_lists_count_at_once(void **state)
{
	struct world *world = *state;
	struct pool *a = add_pool(world, "a", 100, 101), *b = add_pool(world, "b", 100, 101);
	struct session *before = world_open(world, 100), *after = world_open(world, 102);
	struct access lists = lists_of(102);
	assert_int_equal(pool_set_access(a, &lists), 0);
	assert_int_equal(pool_rights(a, before), 0);
	assert_int_equal(pool_rights(b, before), ACCESS_CALL);
	assert_int_equal(session_rights(before), ACCESS_CALL);
	assert_int_equal(pool_rights(a, after), ACCESS_CALL);
	assert_int_equal(session_rights(after), ACCESS_CALL);
	assert_int_equal(pool_set_access(b, &lists), 0);
	assert_int_equal(session_rights(before), 0);
	access_fini(&lists);
}

static void test_numbers_of_lists_are_given_again(void **state)
{
	struct world *world = *state;
	struct pool *pool = add_pool(world, "a", 100, 101);
	struct session *session = world_open(world, 100), *other = world_open(world, 177);
	unsigned count = world->core.grants.count;
	for (uid_t uid = 110; uid < 210; uid++) {
		struct access lists = lists_of(uid);
		assert_int_equal(pool_set_access(pool, &lists), 0);
		assert_int_equal(session_rights(session), 0);
		assert_int_equal(session_rights(other), uid == 177 ? ACCESS_CALL : 0);
		access_fini(&lists);
	}
	/* One more while one takes the place of another. */
	assert_int_equal(world->core.grants.count, count + 1);
}

static void test_daemons_lists_count_without_a_pool(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct access lists = lists_of(100);
	assert_int_equal(session_rights(session), 0);
	assert_int_equal(core_set_access(&world->core, &lists), 0);
	assert_int_equal(session_rights(session), ACCESS_CALL);
	assert_int_equal(session_daemon_rights(&world->core, session), ACCESS_CALL);
	access_fini(&lists);
}

static void test_who_has_a_right_somewhere_is_admitted(void **state)
{
	struct world *world = *state;
	struct identity caller = {.uid = 100}, stranger = {.uid = 102}, root = {.uid = 0},
			own = {.uid = world->core.own_uid};
	assert_false(core_admits(&world->core, &caller));
	struct pool *pool = add_pool(world, "a", 100, 101);
	assert_true(core_admits(&world->core, &caller));
	assert_false(core_admits(&world->core, &stranger));
	assert_true(core_admits(&world->core, &root));
	assert_true(core_admits(&world->core, &own));
	const struct access nobody = {.call = {.given = true}};
	assert_int_equal(pool_set_access(pool, &nobody), 0);
	assert_false(core_admits(&world->core, &caller));
}

static void test_groups_count_as_groups_only(void **state)
{
	struct world *world = *state;
	struct access lists = {.call = {.given = true}, .observe = {.given = true}};
	gid_t *groups = malloc(2 * sizeof(*groups));
	groups[0] = 500;
	groups[1] = 100; /* a user who may call has that number */
	access_list_add_user(&lists.call, 100);
	access_list_add_group(&lists.observe, 500);
	access_list_add_group(&lists.administer, 77); /* the number of the user */
	assert_int_equal(core_set_access(&world->core, &lists), 0);
	struct identity identity;
	identity_init(&identity, 77, groups, 2);
	assert_int_equal(grants_any(&world->core, &identity), ACCESS_OBSERVE);
	identity_fini(&identity);
	access_fini(&lists);
}

static void test_without_memory_nothing_changes(void **state)
{
	struct world *world = *state;
	struct pool *pool = add_pool(world, "a", 100, 101);
	struct session *session = world_open(world, 100), *other = world_open(world, 102);
	struct access lists = lists_of(102);
	int r = -1;
	for (long n = 0; r != 0; n++) {
		assert_int_equal(pool_rights(pool, session), ACCESS_CALL);
		assert_int_equal(session_rights(other), 0);
		alloc_fail_after(n);
		r = pool_set_access(pool, &lists);
		alloc_fail_after(-1);
		assert_true(n < 10);
	}
	assert_int_equal(pool_rights(pool, session), 0);
	assert_int_equal(pool_rights(pool, other), ACCESS_CALL);
	access_fini(&lists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rights_are_those_of_each_pool, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_root_and_the_own_user_have_all_rights, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_pool_of_a_session_grants_all_to_its_user_and_root_alone, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_lists_that_are_alike_are_kept_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_changed_lists_count_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_of_lists_are_given_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_daemons_lists_count_without_a_pool, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_who_has_a_right_somewhere_is_admitted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_groups_count_as_groups_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory_nothing_changes, setup,
						teardown),
	};
	return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
