/* SPDX-License-Identifier: MIT */
/* Users and groups in the configuration. Those of these tests are on every system: root, daemon,
 * bin. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "io/account.h"

static unsigned rights(const struct access *access, uid_t uid, gid_t gid)
{
	struct identity identity = {uid, &gid, 1};
	return access_rights(access, &identity);
}

static void test_lists_name_users_and_groups(void **state)
{
	struct fixture *f = *state;
	load(f,
	     "access {\n call = {daemon, \"4242\", \"@bin\", \"@4243\"}\n observe = {\"*\"}\n}\n");
	const struct access *access = &f->config.access;
	uid_t uid;
	gid_t gid, bin;
	assert_int_equal(account_find_user("daemon", &uid, &gid, NULL), ACCOUNT_FOUND);
	assert_int_equal(account_find_group("bin", &bin, NULL), ACCOUNT_FOUND);
	assert_int_equal(rights(access, 7777, 7777), ACCESS_OBSERVE);
	assert_int_equal(rights(access, uid, 7777), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(rights(access, 4242, 7777), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(rights(access, 7777, bin), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(rights(access, 7777, 4243), ACCESS_CALL | ACCESS_OBSERVE);
	assert_int_equal(rights(access, 4243, 4242), ACCESS_OBSERVE);
	assert_false(access->administer.given);
}

static void test_a_pool_replaces_the_lists_that_it_gives(void **state)
{
	struct fixture *f = *state;
	load(f, "pool a { modules = {x} access { call = {} administer = {\"2\"} } }\n"
		"pool b { modules = {x} }\n"
		"access { call = {\"1\"} observe = {\"*\"} }\n");
	const struct access *a = &config_find_pool(&f->config, "a")->access;
	const struct access *b = &config_find_pool(&f->config, "b")->access;
	assert_true(a->call.given);
	assert_int_equal(rights(a, 1, 1), ACCESS_OBSERVE);
	assert_int_equal(rights(a, 2, 2), ACCESS_OBSERVE | ACCESS_ADMINISTER);
	assert_true(access_equal(b, &f->config.access));
	assert_int_equal(rights(b, 1, 1), ACCESS_OBSERVE | ACCESS_CALL);
}

static void test_nobody_has_rights_that_nothing_grants(void **state)
{
	struct fixture *f = *state;
	gid_t group;
	load(f, "pool a { modules = {x} }\n");
	assert_int_equal(rights(&f->config.access, 1, 1), 0);
	f->source.is_system = true;
	load(f, "");
	bool there = account_find_group("procpool", &group, NULL) == ACCOUNT_FOUND;
	assert_true(f->config.access.call.given);
	assert_int_equal(f->config.access.call.group_count, there);
	assert_int_equal(f->config.access.call.user_count, 0);
	assert_false(f->config.access.call.everyone);
	load(f, "access { call = {} }");
	assert_int_equal(f->config.access.call.group_count, 0);
}

static void test_who_is_not_there_is_refused(void **state)
{
	struct fixture *f = *state;
	refuse(f, "access {\n call = {\"no.such.user\"}\n}\n", 2,
	       "call has 'no.such.user', and the system has no such user: name another, or");
	refuse(f, "access {\n observe = {root,\n\"@no.such.group\"}\n}\n", 3,
	       "observe has 'no.such.group', and the system has no such group");
	refuse(f, "access {\n call = {\"shadow\"}\n}\n", 2, "write \"@shadow\" for the group");
	refuse(f, "access { call = {\"\"} }\n", 1, "must have users (\"alice\"), groups");
	refuse(f, "access { call = {\"@\"} }\n", 1, "must have users (\"alice\"), groups");
	refuse(f, "access { call = {\"4294967295\"} }\n", 1, "no such user");
	refuse(f, "access { call = \"-1\" }\n", 1, "no such user");
	refuse(f, "access { shout = {root} }\n", 1, "known here are call, observe, administer");
	refuse(f, "pool x {\n modules = {a}\n access { call = {\"no.such.user\"} }\n}\n", 3,
	       "no such user");
	refuse(f, "pool x {\n modules = {a}\n user = \"no.such.user\"\n}\n", 3, "no such user");
	refuse(f, "pool x {\n modules = {a}\n user = root\n group = \"no.such\"\n}\n", 4,
	       "no such group");
}

static void test_a_pool_runs_as_the_daemon_without_a_launcher(void **state)
{
	struct fixture *f = *state;
	char text[128];
	load(f, "pool x { modules = {a} }\n");
	assert_null(f->config.pools[0]->user);
	assert_int_equal(f->config.pools[0]->uid, geteuid());
	refuse(f, "pool x {\n modules = {a}\n group = bin\n}\n", 3, "has a group and no user");
	refuse(f, "pool x {\n modules = {a}\n user = root\n}\n", 3, "is to run as root");
	if (geteuid() == 0) {
		refuse(f, "pool x {\n modules = {a}\n user = daemon\n}\n", 3,
		       "is to run as daemon, and only the system's service starts");
		return;
	}
	snprintf(text, sizeof(text), "pool x { modules = {a} user = \"%u\" }", geteuid());
	load(f, text);
	assert_int_equal(f->config.pools[0]->uid, geteuid());
}

static void test_a_launcher_starts_pools_as_users_that_are_for_it(void **state)
{
	struct fixture *f = *state;
	uid_t uid;
	gid_t gid;
	f->source.is_system = f->source.has_launcher = true;
	refuse(f, "pool x {\n modules = {a}\n user = daemon\n}\n", 3,
	       "who is not in the group procpool-worker, as users of pools must be: usermod -aG");
	refuse(f, "pool x {\n modules = {a}\n user = \"0\"\n}\n", 3, "is to run as root");
	if (account_find_user("procpool-worker", &uid, &gid, NULL) != ACCOUNT_FOUND) {
		refuse(f, "\npool x {\n modules = {a}\n}\n", 2,
		       "the system has no user 'procpool-worker'");
		return;
	}
	load(f, "pool x { modules = {a} }\n");
	assert_string_equal(f->config.pools[0]->user, "procpool-worker");
	assert_int_equal(f->config.pools[0]->uid, uid);
	refuse(f, "pool x {\n modules = {a}\n group = bin\n}\n", 3,
	       "as procpool-worker in the group bin, in which this user is not");
	refuse(f, "pool x {\n modules = {a}\n group = root\n}\n", 3, "which no pool may have");
}

static void test_slow_tasks_are_those_of_the_daemon_where_a_pool_says_nothing(void **state)
{
	struct fixture *f = *state;
	load(f, "pool a { modules = {x} slow_seconds = 0 }\npool b { modules = {x} }\n"
		"slow_seconds = 1.5\npool c { modules = {x} slow_seconds = 0.000003 }\n");
	assert_int_equal(f->config.slow_us, 1500000);
	assert_int_equal(f->config.pools[0]->slow_us, 0);
	assert_int_equal(f->config.pools[1]->slow_us, 1500000);
	assert_int_equal(f->config.pools[2]->slow_us, 3);
}

static void test_numbers_of_accounts(void **state)
{
	(void)state;
	id_t id;
	assert_true(account_number("0", &id));
	assert_int_equal(id, 0);
	assert_true(account_number("4294967294", &id));
	assert_int_equal(id, 4294967294);
	static const char *const others[] = {"",           "-1",         "+1",
					     "1x",         "x1",         " 1",
					     "4294967295", "4294967296", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(account_number(others[i], &id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_source, teardown)
		TEST(test_lists_name_users_and_groups),
		TEST(test_a_pool_replaces_the_lists_that_it_gives),
		TEST(test_nobody_has_rights_that_nothing_grants),
		TEST(test_who_is_not_there_is_refused),
		TEST(test_a_pool_runs_as_the_daemon_without_a_launcher),
		TEST(test_a_launcher_starts_pools_as_users_that_are_for_it),
		TEST(test_slow_tasks_are_those_of_the_daemon_where_a_pool_says_nothing),
		TEST(test_numbers_of_accounts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
