/* SPDX-License-Identifier: MIT */
#include "core/access.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"

static struct identity somebody(uid_t uid, const gid_t *groups, size_t count)
{
	struct identity identity;
	gid_t *copy = calloc(count + 1, sizeof(*copy));
	assert_non_null(copy);
	memcpy(copy, groups, count * sizeof(*copy));
	identity_init(&identity, uid, copy, count);
	return identity;
}

static unsigned rights_of(const struct access *access, uid_t uid, gid_t group)
{
	const gid_t groups[] = {70000, group, 5};
	struct identity identity = somebody(uid, groups, 3);
	unsigned rights = access_rights(access, &identity);
	identity_fini(&identity);
	return rights;
}

static void test_what_no_list_grants_is_denied(void **state)
{
	(void)state;
	struct access access = {0};
	assert_int_equal(rights_of(&access, 1000, 100), 0);
	access_fini(&access);
}

static void test_rights_are_those_of_the_user_and_of_any_of_the_groups(void **state)
{
	(void)state;
	struct access access = {0};
	access_list_add_user(&access.call, 1000);
	access_list_add_group(&access.observe, 100);
	access_list_add_group(&access.observe, 20);
	assert_int_equal(rights_of(&access, 1000, 7), ACCESS_CALL);
	assert_int_equal(rights_of(&access, 1001, 100), ACCESS_OBSERVE);
	assert_int_equal(rights_of(&access, 1000, 20), ACCESS_CALL | ACCESS_OBSERVE);
	/* A user's number is no group's. */
	assert_int_equal(rights_of(&access, 100, 1000), 0);
	access_fini(&access);
}

static void test_to_administer_includes_to_observe_and_not_to_call(void **state)
{
	(void)state;
	struct access access = {0};
	access_list_add_user(&access.administer, 1000);
	assert_int_equal(rights_of(&access, 1000, 7), ACCESS_ADMINISTER | ACCESS_OBSERVE);
	access_fini(&access);
}

static void test_everyone_has_what_everyone_may(void **state)
{
	(void)state;
	struct access access = {.call = {.everyone = true}};
	assert_int_equal(rights_of(&access, 65534, 65534), ACCESS_CALL);
	access_fini(&access);
}

static void test_lists_that_were_not_given_are_completed(void **state)
{
	(void)state;
	struct access daemons = {0}, pools = {0};
	access_list_add_user(&daemons.call, 1000);
	access_list_add_user(&daemons.observe, 1000);
	daemons.call.given = daemons.observe.given = true;
	pools.call.given = true; /* nobody */
	assert_int_equal(access_complete(&pools, &daemons), 0);
	assert_int_equal(rights_of(&pools, 1000, 7), ACCESS_OBSERVE);
	assert_int_equal(rights_of(&daemons, 1000, 7), ACCESS_CALL | ACCESS_OBSERVE);
	access_fini(&daemons);
	access_fini(&pools);
}

static void test_lists_in_another_order_are_equal(void **state)
{
	(void)state;
	struct access a = {0}, b = {0};
	access_list_add_user(&a.call, 1000);
	access_list_add_user(&a.call, 5);
	access_list_add_user(&a.call, 1000);
	access_list_add_user(&b.call, 5);
	assert_false(access_equal(&a, &b));
	access_list_add_user(&b.call, 1000);
	assert_true(access_equal(&a, &b));
	access_list_add_group(&b.administer, 0);
	assert_false(access_equal(&a, &b));
	access_fini(&a);
	access_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_no_list_grants_is_denied),
		cmocka_unit_test(test_rights_are_those_of_the_user_and_of_any_of_the_groups),
		cmocka_unit_test(test_to_administer_includes_to_observe_and_not_to_call),
		cmocka_unit_test(test_everyone_has_what_everyone_may),
		cmocka_unit_test(test_lists_that_were_not_given_are_completed),
		cmocka_unit_test(test_lists_in_another_order_are_equal),
	};
	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
