/* SPDX-License-Identifier: MIT */
#include "core/status.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "core/control.h"
#include "world.h"

#define SECOND UINT64_C(1000000)

static const char *const functions[] = {"t.f", NULL};

static const char *service(struct world *world)
{
	static char text[STATUS_SIZE];
	status_of_service(&world->core, text);
	return text;
}

static const char *start(struct world *world)
{
	static char text[STATUS_SIZE];
	status_of_start(&world->core, text);
	return text;
}

static const char *end(struct world *world)
{
	static char text[STATUS_SIZE];
	status_of_end(&world->core, world->now_us, text);
	return text;
}

static void test_nothing_configured_is_told(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	assert_string_equal(service(world), "No pool is configured: see procpoold.conf(5)");
	world_destroy(world);
}

static void test_what_runs_and_waits_is_counted(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 2, FAKE_FORK_PAGE, functions);
	assert_string_equal(service(world), "1 pool, 2 workers ready, 0 running, 0 waiting");
	struct session *session = world_open(world, 100);
	/* So that some are sent ahead, which do not run yet. */
	function_measure(function_table_find(&pool->functions, "t.f", 3), 100, 1);
	uint64_t marks = world->core.marks;
	for (int i = 0; i < 5; i++)
		world_submit(world, session, (struct call){.function = "t.f"}, NULL);
	assert_int_not_equal(world->core.marks, marks);
	assert_string_equal(service(world), "1 pool, 2 workers ready, 2 running, 3 waiting");
	world_add_pool(world, "q", 1, FAKE_EXEC, functions);
	assert_string_equal(service(world), "2 pools, 3 workers ready, 2 running, 3 waiting");
	world_work(world);
	assert_string_equal(service(world), "2 pools, 3 workers ready, 0 running, 0 waiting");
	world_destroy(world);
}

/* A pool of one worker that fails to start, saying this. */
static void add_failing(struct world *world, const char *name, const char *said)
{
	world->manual = true;
	struct pool *pool = world_add_pool(world, name, 1, FAKE_FORK, functions);
	fake_exit(world, world_runtime(world, pool), said, RUNTIME_END_FAILED);
	world->manual = false;
}

static void test_a_pool_that_fails_is_named_with_the_reason(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	world_add_pool(world, "p", 1, FAKE_EXEC, functions);
	add_failing(world, "fonts", "cannot load libfonts.so");
	assert_string_equal(service(world), "2 pools, 1 worker ready, 0 running, 0 waiting; "
					    "pool fonts fails: cannot load libfonts.so");
	assert_string_equal(start(world), "Starting: 1 of 2 pools ready; "
					  "pool fonts fails: cannot load libfonts.so");
	add_failing(world, "other", "no");
	assert_non_null(strstr(service(world), "cannot load libfonts.so; 1 other fails, too"));
	add_failing(world, "third", "no");
	assert_non_null(strstr(service(world), "cannot load libfonts.so; 2 others fail, too"));
	world_destroy(world);
}

static void test_of_an_exception_only_its_type_is_told(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	add_failing(world, "p", "pool p: its runtime exited");
	assert_non_null(strstr(service(world), "; pool p fails: its runtime exited"));
	struct pool *pool = TAILQ_FIRST(&world->core.pools);
	struct error_builder b;
	error_builder_begin(&b, ERR_INITIALIZER_FAILED, "the password hunter2 is wrong");
	error_builder_add_string(&b, "type", "ValueError");
	outcome_fini(&pool->failure);
	pool->failure = error_builder_end(&b);
	assert_non_null(strstr(service(world), "; pool p fails: ValueError (see ppctl pools)"));
	assert_null(strstr(service(world), "hunter2"));
	world_destroy(world);
}

static void test_what_a_runtime_says_stays_on_the_line(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	add_failing(world, "p", "no\nSTOPPING=1\r\x1b[2J\xff \xe2\x80\xa8 \xc3\xa9");
	assert_non_null(strstr(service(world), "fails: no STOPPING=1  [2J      \xc3\xa9"));
	world_destroy(world);
}

static void test_a_long_reason_is_cut_between_characters(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	char said[1024] = "x";
	for (int i = 0; i < 500; i++)
		strcat(said, "\xc3\xa9");
	add_failing(world, "p", said);
	const char *text = service(world);
	size_t size = strlen(text);
	assert_true(size < STATUS_SIZE);
	assert_string_equal(text + size - 5, "\xc3\xa9...");
	world_destroy(world);
}

static void test_the_start_names_what_is_waited_for(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct pool *ready = world_add_pool(world, "p", 1, FAKE_EXEC, functions);
	world->manual = true;
	struct pool *slow = world_add_pool(world, "models", 1, FAKE_FORK, functions);
	assert_true(status_is_settled(ready));
	assert_false(status_is_settled(slow));
	assert_string_equal(start(world), "Starting: 1 of 2 pools ready, pool models loads");
	world->manual = false;
	world_settle(world);
	assert_true(status_is_settled(slow));
	world_destroy(world);
}

static void test_a_paused_pool_is_named(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 1, FAKE_EXEC, functions);
	struct outcome error;
	assert_true(control_pause(pool, world->now_us, &error));
	assert_string_equal(service(world),
			    "1 pool, 1 worker ready, 0 running, 0 waiting; pool p is paused");
	assert_true(control_resume(pool, &error));
	world_destroy(world);
}

static void test_the_end_tells_how_long_it_may_take(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	world_add_pool(world, "p", 2, FAKE_FORK, functions);
	struct session *session = world_open(world, 100);
	world_submit(world, session, (struct call){.function = "t.f"}, NULL);
	assert_true(fake_begin(world, world_worker(world, 0)));
	world->manual = true;
	core_stop(&world->core, 30 * SECOND, world->now_us);
	world_settle(world);
	assert_string_equal(end(world), "Ending: 1 running, which may take 30 s");
	world_advance(world, SECOND / 2 * 5);
	assert_string_equal(end(world), "Ending: 1 running, which may take 28 s");
	world_advance(world, 30 * SECOND);
	assert_string_equal(end(world), "Ending: killing what still runs");
	world->manual = false;
	world_settle(world);
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_configured_is_told),
		cmocka_unit_test(test_what_runs_and_waits_is_counted),
		cmocka_unit_test(test_a_pool_that_fails_is_named_with_the_reason),
		cmocka_unit_test(test_of_an_exception_only_its_type_is_told),
		cmocka_unit_test(test_what_a_runtime_says_stays_on_the_line),
		cmocka_unit_test(test_a_long_reason_is_cut_between_characters),
		cmocka_unit_test(test_the_start_names_what_is_waited_for),
		cmocka_unit_test(test_a_paused_pool_is_named),
		cmocka_unit_test(test_the_end_tells_how_long_it_may_take),
	};
	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
