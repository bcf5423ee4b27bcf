/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

static const char *const first_functions[] = {"demo.inc", "demo.echo", "demo.len", NULL};
static const char *const second_functions[] = {"demo.inc", "math.pow", NULL};

static void add_pools(struct world *world)
{
	world_add_pool(world, "one", 1, FAKE_FORK_PAGE, first_functions);
	world_add_pool(world, "two", 1, FAKE_FORK_PAGE, second_functions);
}

static int setup(void **state)
{
	*state = world_create(NULL);
	add_pools(*state);
	return 0;
}

static int teardown(void **state)
{
	world_work(*state);
	world_check(*state);
	world_destroy(*state);
	return 0;
}

/* The error that a call is refused with; to be ended. */
static struct outcome refusal(struct world *world, struct session *session, struct call call)
{
	struct outcome error = {0};
	assert_int_equal(world_try(world, session, call, &error), 0);
	assert_int_not_equal(error.code, ERR_NONE);
	return error;
}

static void assert_strings(struct outcome error, const char *key, const char *const *expected)
{
	struct procpool_iter it = procpool_iter(procpool_value_get(span_value(error.value), key));
	struct procpool_value element;
	for (; *expected; expected++) {
		assert_true(procpool_iter_next(&it, &element));
		assert_true(procpool_value_is(element, *expected));
	}
	assert_false(procpool_iter_next(&it, &element));
}

static void test_function_is_found_in_the_only_pool_that_has_it(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	uint64_t id = world_submit(world, session, (struct call){.function = "math.pow"}, NULL);
	assert_string_equal(world_job(world, session, id)->function->pool->spec->name, "two");
}

static void test_function_of_several_pools_is_ambiguous_without_a_name(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct outcome error = refusal(world, session, (struct call){.function = "demo.inc"});
	assert_int_equal(error.code, ERR_AMBIGUOUS);
	assert_strings(error, "pools", (const char *const[]){"one", "two", NULL});
	outcome_fini(&error);
	struct call call = {.function = "demo.inc", .pool = "two"};
	uint64_t id = world_submit(world, session, call, NULL);
	assert_string_equal(world_job(world, session, id)->function->pool->spec->name, "two");
}

static void test_unknown_pool_is_no_such_pool(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	static const char *const names[] = {"three", "on", "onee", ""};
	for (size_t i = 0; i < 4; i++) {
		struct outcome error = refusal(
			world, session, (struct call){.function = "demo.inc", .pool = names[i]});
		assert_int_equal(error.code, ERR_NO_SUCH_POOL);
		outcome_fini(&error);
	}
}

static void test_unknown_function_comes_with_the_nearest_names(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct outcome error = refusal(world, session, (struct call){.function = "demo.ecoh"});
	assert_int_equal(error.code, ERR_UNKNOWN_FUNCTION);
	assert_strings(error, "suggestions", (const char *const[]){"demo.echo", NULL});
	outcome_fini(&error);
	/* The right function of another module. */
	error = refusal(world, session, (struct call){.function = "maths.pow"});
	assert_strings(error, "suggestions", (const char *const[]){"math.pow", NULL});
	outcome_fini(&error);
	error = refusal(world, session, (struct call){.function = "nothing.like.it"});
	assert_strings(error, "suggestions", (const char *const[]){NULL});
	outcome_fini(&error);
	error = refusal(world, session, (struct call){.function = "demo.echo", .pool = "two"});
	assert_int_equal(error.code, ERR_UNKNOWN_FUNCTION);
	assert_true(procpool_value_is(procpool_value_get(span_value(error.value), "message"),
				      "pool two has no function demo.echo, but pool one has"));
	outcome_fini(&error);
}

static void test_while_a_pool_loads_its_functions_are_not_said_to_be_unknown(void **state)
{
	static const char *const functions[] = {"fonts.measure", NULL};
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct pool_spec *spec = pool_spec_create("slow");
	pool_spec_settle(spec, 1);
	spec->access.call.everyone = true;
	struct pool *pool = core_add_pool(&world->core, spec, world->now_us);
	pool_spec_unref(spec);
	struct call calls[] = {{.function = "fonts.measure"},
			       {.function = "fonts.measure", .pool = "slow"}};
	for (size_t i = 0; i < 2; i++) {
		struct outcome error = refusal(world, session, calls[i]);
		assert_int_equal(error.code, ERR_NOT_READY);
		outcome_fini(&error);
	}
	world_play(world, pool, FAKE_FORK_PAGE, functions);
	world_settle(world);
	for (size_t i = 0; i < 2; i++)
		assert_int_not_equal(world_submit(world, session, calls[i], NULL), 0);
}

/* ---- limits ---- */

/* One more call like `call` than the limit allows is busy, and names it; after one has ended there
 * is room again. */
static void check_limit(struct limits limits, struct call call, int allowed, bool two_sessions,
			const char *name)
{
	struct world *world = world_create(&limits);
	add_pools(world);
	struct session *sessions[2] = {world_open(world, 100), world_open(world, 100)};
	for (int i = 0; i < allowed; i++)
		world_submit(world, sessions[two_sessions && i % 2], call, NULL);
	struct outcome error = refusal(world, sessions[0], call);
	struct procpool_value limit = procpool_value_get(span_value(error.value), "limit");
	assert_int_equal(error.code, ERR_BUSY);
	assert_true(procpool_value_is(limit, name));
	outcome_fini(&error);
	/* Another user does not notice. */
	assert_int_not_equal(world_submit(world, world_open(world, 101), call, NULL), 0);
	world_check(world);
	world_work(world);
	assert_int_not_equal(world_submit(world, sessions[0], call, NULL), 0);
	world_work(world);
	assert_int_equal(world->core.root.used[RESOURCE_JOBS], 0);
	assert_int_equal(world->core.root.used[RESOURCE_QUEUED_BYTES], 0);
	world_destroy(world);
}

static void test_limits_answer_busy_with_their_name(void **state)
{
	(void)state;
	/* [1, 2, …, 10] are eleven bytes. */
	struct call apply = {.function = "math.pow"},
		    map = {.function = "math.pow", .map = true, .first_item = 1, .count = 10},
		    shared = {.function = "math.pow",
			      .map = true,
			      .first_item = 1,
			      .count = 10,
			      .shared = true};
	struct limits limits = LIMITS_DEFAULT;
	limits.jobs_session = 3;
	check_limit(limits, apply, 3, false, "jobs_session");
	limits.jobs_session = 4;
	limits.jobs_user = 6;
	check_limit(limits, apply, 6, true, "jobs_user");
	limits = LIMITS_DEFAULT;
	limits.queued_bytes_session = 34;
	check_limit(limits, map, 3, false, "queued_bytes_session");
	check_limit(limits, shared, 3, false, "queued_bytes_session");
	limits.queued_bytes_user = 60;
	check_limit(limits, map, 5, true, "queued_bytes_user");
}

static void test_connections_are_limited(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.connections = 3;
	limits.connections_user = 2;
	struct world *world = world_create(&limits);
	const char *limit;
	world_open(world, 100);
	world_open(world, 100);
	struct identity busy = {.uid = 100}, other = {.uid = 102};
	assert_null(core_session_open(&world->core, &busy, NULL, &limit));
	assert_string_equal(limit, "connections_user");
	struct session *last = world_open(world, 101);
	assert_null(core_session_open(&world->core, &other, NULL, &limit));
	assert_string_equal(limit, "connections");
	world_close(world, last);
	world_open(world, 102);
	world_destroy(world);
}

/* ---- what is at once ---- */

static void test_map_over_nothing_ends_at_once(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	struct call call = {.function = "math.pow", .map = true};
	world_submit(world, session, call, NULL);
	const struct record *reply = world_reply(world, world->last_msgid);
	assert_int_equal(reply->code, ERR_NONE);
	assert_int_equal(procpool_value_type(record_value(reply)), PROCPOOL_ARRAY);
	assert_int_equal(procpool_value_count(record_value(reply)), 0);
	call.async = call.stream = true;
	uint64_t id = world_submit(world, session, call, NULL), count;
	const struct record *push = world_push(world, ACTION_PUSH_RESULT, session, id);
	assert_true(procpool_value_uint(record_value(push), &count) && count == 0);
}

static void test_nothing_is_accepted_when_the_daemon_ends(void **state)
{
	struct world *world = *state;
	struct session *session = world_open(world, 100);
	core_stop(&world->core, 1000000, world->now_us);
	struct outcome error = refusal(world, session, (struct call){.function = "math.pow"});
	assert_int_equal(error.code, ERR_SHUTTING_DOWN);
	outcome_fini(&error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_function_is_found_in_the_only_pool_that_has_it),
		TEST(test_function_of_several_pools_is_ambiguous_without_a_name),
		TEST(test_unknown_pool_is_no_such_pool),
		TEST(test_unknown_function_comes_with_the_nearest_names),
		TEST(test_while_a_pool_loads_its_functions_are_not_said_to_be_unknown),
		cmocka_unit_test(test_limits_answer_busy_with_their_name),
		cmocka_unit_test(test_connections_are_limited),
		TEST(test_map_over_nothing_ends_at_once),
		TEST(test_nothing_is_accepted_when_the_daemon_ends),
	};
	return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
