/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

static const char *const listed[] = {"work:inc", "*", NULL};
static const char *const closed[] = {"work:inc", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->world = world_create(NULL);
	f->pool = world_add_pool(f->world, "any", 1, FAKE_FORK_PAGE, listed);
	world_add_pool(f->world, "closed", 1, FAKE_FORK_PAGE, closed);
	f->session = world_open(f->world, 100);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	world_check(f->world);
	world_destroy(f->world);
	free(f);
	return 0;
}

static enum error_code try(struct fixture *f, const char *function, const char *pool)
{
	enum error_code code;
	world_submit(f->world, f->session, (struct call){.function = function, .pool = pool},
		     &code);
	return code;
}

static void test_any_name_will_do_where_the_call_names_the_pool(void **state)
{
	struct fixture *f = *state;
	struct call call = {.function = "math:sqrt", .pool = "any", .async = true};
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	struct job *job = world_job(f->world, f->session, id);
	assert_string_equal(job->function->name, "math:sqrt");
	assert_ptr_equal(job->function->pool, f->pool);
	world_work(f->world);
	assert_int_equal(job->state, JOB_DONE);
}

static void test_no_name_will_do_without_the_pool(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(try(f, "math:sqrt", NULL), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(try(f, "math:sqrt", "closed"), ERR_UNKNOWN_FUNCTION);
	/* What is on the list is found as ever. */
	assert_int_equal(try(f, "work:inc", NULL), ERR_AMBIGUOUS);
	assert_int_equal(try(f, "work:inc", "any"), ERR_NONE);
	world_work(f->world);
	assert_null(f->pool->functions.named);
}

static void test_star_is_no_function(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(try(f, "*", NULL), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(try(f, "*", "any"), ERR_UNKNOWN_FUNCTION);
	/* Nor is it what somebody meant who has mistyped a short name. */
	struct outcome error = {0};
	struct call call = {.function = "a"};
	assert_int_equal(world_try(f->world, f->session, call, &error), 0);
	struct procpool_value suggestions =
		procpool_value_get(span_value(error.value), "suggestions");
	assert_int_equal(procpool_value_count(suggestions), 0);
	outcome_fini(&error);
}

static void test_name_that_cannot_be_shown_is_unknown(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"", "a\nb", "\x1b[2J", "a\xff", "\xc3", "\x80"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(try(f, names[i], "any"), ERR_UNKNOWN_FUNCTION);
	assert_null(f->pool->functions.named);
	assert_int_equal(try(f, "modul\xc3\xa9:f", "any"), ERR_NONE);
	world_work(f->world);
}

static void test_what_was_measured_of_a_name_is_kept(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(try(f, "m:f", "any"), ERR_NONE);
	world_work(f->world);
	assert_int_equal(try(f, "m:f", "any"), ERR_NONE);
	struct function *function = function_table_find_named(&f->pool->functions, "m:f", 3);
	assert_int_equal(function->samples, 1);
	assert_int_equal(function->jobs, 1);
	assert_int_equal(f->world->core.names.unused_count, 0);
	world_work(f->world);
	assert_int_equal(function->jobs, 0);
	assert_int_equal(f->world->core.names.unused_count, 1);
}

static void test_unused_names_do_not_pile_up(void **state)
{
	struct fixture *f = *state;
	char name[32];
	for (unsigned i = 0; i < 3 * NAMES_UNUSED_MAX; i++) {
		snprintf(name, sizeof(name), "m:f%u", i);
		assert_int_equal(try(f, name, "any"), ERR_NONE);
		world_work(f->world);
	}
	assert_int_equal(f->world->core.names.unused_count, NAMES_UNUSED_MAX);
	assert_int_equal(HASH_COUNT(f->pool->functions.named), NAMES_UNUSED_MAX);
	/* The oldest have gone. */
	assert_null(function_table_find_named(&f->pool->functions, "m:f0", 4));
	assert_non_null(function_table_find_named(&f->pool->functions, name, strlen(name)));
}

static void test_names_of_jobs_are_charged_with_them(void **state)
{
	struct fixture *f = *state;
	const uint64_t *used = f->session->account.used;
	struct call call = {.function = "work:inc", .pool = "any", .async = true};
	world_submit(f->world, f->session, call, NULL);
	uint64_t plain = used[RESOURCE_QUEUED_BYTES];
	world_work(f->world);
	uint64_t plain_kept = used[RESOURCE_RETAINED_BYTES];
	call.function = "m:a_rather_long_name";
	world_submit(f->world, f->session, call, NULL);
	assert_true(used[RESOURCE_QUEUED_BYTES] >= plain + strlen(call.function));
	world_work(f->world);
	assert_int_equal(used[RESOURCE_QUEUED_BYTES], 0);
	assert_true(used[RESOURCE_RETAINED_BYTES] >= 2 * plain_kept + strlen(call.function));
	world_advance(f->world, 400 * UINT64_C(1000000));
	assert_int_equal(used[RESOURCE_RETAINED_BYTES], 0);
}

static void test_waiting_jobs_of_names_survive_a_recycle(void **state)
{
	struct fixture *f = *state;
	struct call call = {.function = "m:f", .pool = "any", .async = true};
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	uint64_t other = world_submit(f->world, f->session, call, NULL);
	world_runtime(f->world, f->pool)->functions = closed;
	world_recycle(f->world, f->session, f->pool);
	assert_int_equal(f->pool->generation, 2);
	/* The new code looks nothing up. */
	assert_int_equal(try(f, "m:f", "any"), ERR_UNKNOWN_FUNCTION);
	world_work(f->world);
	assert_int_equal(world_job(f->world, f->session, id)->state, JOB_DONE);
	assert_int_equal(world_job(f->world, f->session, other)->state, JOB_DONE);
	/* And code after it does again. */
	world_runtime(f->world, f->pool)->functions = listed;
	world_recycle(f->world, f->session, f->pool);
	assert_int_equal(try(f, "m:f", "any"), ERR_NONE);
	world_work(f->world);
}

static void test_names_go_with_their_pool(void **state)
{
	struct fixture *f = *state;
	struct pool *own = world_open_pool(f->world, f->session, 1, FAKE_EXEC, listed);
	char *name = strdup(own->spec->name);
	struct call call = {.function = "m:f", .pool = name, .async = true};
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	call.function = "m:g";
	call.async = false;
	world_submit(f->world, f->session, call, NULL);
	world_work(f->world);
	assert_int_equal(f->world->core.names.unused_count, 1);
	struct outcome error;
	assert_true(core_close_pool(&f->world->core, f->session, (struct slice){name, strlen(name)},
				    f->world->now_us, &error));
	world_settle(f->world);
	/* The job that is kept still has its function's name. */
	assert_string_equal(world_job(f->world, f->session, id)->function->name, "m:f");
	world_advance(f->world, 400 * UINT64_C(1000000));
	assert_int_equal(f->world->core.names.unused_count, 0);
	free(name);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_any_name_will_do_where_the_call_names_the_pool),
		TEST(test_no_name_will_do_without_the_pool),
		TEST(test_star_is_no_function),
		TEST(test_name_that_cannot_be_shown_is_unknown),
		TEST(test_what_was_measured_of_a_name_is_kept),
		TEST(test_unused_names_do_not_pile_up),
		TEST(test_names_of_jobs_are_charged_with_them),
		TEST(test_waiting_jobs_of_names_survive_a_recycle),
		TEST(test_names_go_with_their_pool),
	};
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
