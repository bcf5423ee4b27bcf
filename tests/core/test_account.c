/* SPDX-License-Identifier: MIT */
#include "core/account.h"

#include "../unit/test.h"

static const struct account_limit none[RESOURCE_COUNT];
static const struct account_limit user_limits[RESOURCE_COUNT] = {
	[RESOURCE_JOBS] = {10, "jobs_user"},
};
static const struct account_limit session_limits[RESOURCE_COUNT] = {
	[RESOURCE_JOBS] = {7, "jobs_session"},
	[RESOURCE_QUEUED_BYTES] = {UINT64_MAX, "queued_bytes_session"},
};

struct accounts {
	struct account root, user, a, b;
};

static struct accounts *begin(struct accounts *all)
{
	account_init(&all->root, NULL, none);
	account_init(&all->user, &all->root, user_limits);
	account_init(&all->a, &all->user, session_limits);
	account_init(&all->b, &all->user, session_limits);
	return all;
}

static void end(struct accounts *all)
{
	account_fini(&all->a);
	account_fini(&all->b);
	account_fini(&all->user);
	account_fini(&all->root);
}

static void test_charge_is_taken_at_every_level_and_given_back(void **state)
{
	(void)state;
	struct accounts all;
	begin(&all);
	assert_null(account_charge(&all.a, RESOURCE_JOBS, 7));
	assert_null(account_charge(&all.b, RESOURCE_JOBS, 3));
	assert_int_equal(all.user.used[RESOURCE_JOBS], 10);
	assert_int_equal(all.root.used[RESOURCE_JOBS], 10);
	account_release(&all.a, RESOURCE_JOBS, 7);
	assert_int_equal(all.root.used[RESOURCE_JOBS], 3);
	account_release(&all.b, RESOURCE_JOBS, 3);
	end(&all);
}

static void test_refused_charge_takes_nothing_and_names_the_outermost_limit(void **state)
{
	(void)state;
	struct accounts all;
	begin(&all);
	assert_string_equal(account_charge(&all.a, RESOURCE_JOBS, 8), "jobs_session");
	assert_string_equal(account_charge(&all.a, RESOURCE_JOBS, 11), "jobs_user");
	assert_null(account_charge(&all.a, RESOURCE_JOBS, 6));
	assert_string_equal(account_charge(&all.b, RESOURCE_JOBS, 5), "jobs_user");
	assert_int_equal(all.b.used[RESOURCE_JOBS], 0);
	assert_int_equal(all.root.used[RESOURCE_JOBS], 6);
	account_release(&all.a, RESOURCE_JOBS, 6);
	end(&all);
}

static void test_huge_amounts_do_not_wrap_around(void **state)
{
	(void)state;
	struct accounts all;
	begin(&all);
	assert_null(account_charge(&all.a, RESOURCE_JOBS, 1));
	assert_string_equal(account_charge(&all.a, RESOURCE_JOBS, UINT64_MAX), "jobs_user");
	assert_null(account_charge(&all.a, RESOURCE_QUEUED_BYTES, 2));
	assert_string_equal(account_charge(&all.a, RESOURCE_QUEUED_BYTES, UINT64_MAX - 1),
			    "queued_bytes_session");
	account_release(&all.a, RESOURCE_JOBS, 1);
	account_release(&all.a, RESOURCE_QUEUED_BYTES, 2);
	end(&all);
}

static void test_forced_charge_exceeds_and_forbids_more(void **state)
{
	(void)state;
	struct accounts all;
	begin(&all);
	account_force(&all.a, RESOURCE_JOBS, 7);
	assert_false(account_exceeded(&all.a, RESOURCE_JOBS));
	account_force(&all.a, RESOURCE_JOBS, 1);
	assert_true(account_exceeded(&all.a, RESOURCE_JOBS));
	assert_false(account_exceeded(&all.b, RESOURCE_JOBS));
	account_force(&all.a, RESOURCE_JOBS, 3);
	assert_true(account_exceeded(&all.b, RESOURCE_JOBS));
	assert_string_equal(account_charge(&all.b, RESOURCE_JOBS, 0), "jobs_user");
	account_release(&all.a, RESOURCE_JOBS, 11);
	end(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_charge_is_taken_at_every_level_and_given_back),
		cmocka_unit_test(test_refused_charge_takes_nothing_and_names_the_outermost_limit),
		cmocka_unit_test(test_huge_amounts_do_not_wrap_around),
		cmocka_unit_test(test_forced_charge_exceeds_and_forbids_more),
	};
	return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
