/* SPDX-License-Identifier: MIT */
#include "../unit/test.h"
#include "core/core.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

static int setup(void **state)
{
	*state = world_create(NULL);
	world_add_pool(*state, "p", 1, FAKE_FORK_PAGE, functions);
	return 0;
}

static int teardown(void **state)
{
	world_check(*state);
	world_destroy(*state);
	return 0;
}

static void tell(struct world *world, uint32_t seq, uint32_t index, uint8_t number)
{
	struct procpool_value value = {&number, 1};
	core_worker_progress(&world->core, world_worker(world, 0)->worker, seq, index, value,
			     world->now_us);
	world_settle(world);
}

/* Of progress: the events that the session was pushed, and the value of the last. */
static unsigned told(struct world *world, struct session *session, int64_t *ret_last)
{
	unsigned count = 0;
	for (size_t i = 0; i < world->record_count; i++) {
		struct procpool_value event = record_value(&world->records[i]);
		if (world->records[i].type != ACTION_PUSH_EVENT ||
		    world->records[i].session != session ||
		    !procpool_value_is(procpool_value_get(event, "event"), "progress"))
			continue;
		count++;
		*ret_last = record_int(&world->records[i], "value");
	}
	return count;
}

static struct session *subscribe(struct world *world, uid_t uid)
{
	struct session *session = world_open(world, uid);
	struct outcome error;
	assert_true(core_subscribe(&world->core, session, NULL, NULL, &error));
	return session;
}

static void test_progress_of_what_runs_is_told_and_kept(void **state)
{
	struct world *world = *state;
	struct session *session = subscribe(world, 100), *stranger = subscribe(world, 101);
	struct call call = {.function = "t.f", .map = true, .count = 3, .chunksize = 3};
	uint64_t id = world_submit(world, session, call, NULL);
	struct fake_worker *fake = world_worker(world, 0);
	int64_t last = 0;
	assert_true(fake_begin(world, fake));
	fake_answer(world, fake, 1, 10);
	assert_true(fake_begin(world, fake));
	tell(world, 1, 1, 7);
	assert_int_equal(told(world, session, &last), 1);
	assert_int_equal(last, 7);
	assert_int_equal(told(world, stranger, &last), 0);
	struct job *job = world_job(world, session, id);
	assert_int_equal(job->extra->progress->data[0], 7);
	tell(world, 1, 1, 8);
	assert_int_equal(job->extra->progress->data[0], 8);
}

static void test_progress_of_what_does_not_run_is_ignored(void **state)
{
	struct world *world = *state;
	struct session *session = subscribe(world, 100);
	struct call call = {.function = "t.f", .map = true, .count = 3, .chunksize = 3};
	struct fake_worker *fake = world_worker(world, 0);
	int64_t last;
	tell(world, 1, 0, 1);
	world_submit(world, session, call, NULL);
	tell(world, 1, 0, 1);
	assert_true(fake_begin(world, fake));
	tell(world, 1, 1, 1);
	tell(world, 2, 0, 1);
	tell(world, 0, 0, 1);
	fake_answer(world, fake, 1, 10);
	tell(world, 1, 0, 1);
	assert_int_equal(told(world, session, &last), 0);
}

static void test_progress_of_an_ended_job_is_dropped(void **state)
{
	struct world *world = *state;
	struct session *session = subscribe(world, 100);
	struct call call = {.function = "t.f", .async = true};
	uint64_t id = world_submit(world, session, call, NULL);
	int64_t last;
	assert_true(fake_begin(world, world_worker(world, 0)));
	tell(world, 1, 0, 1);
	struct job *job = world_job(world, session, id);
	core_cancel(&world->core, job, world->now_us);
	world_settle(world);
	assert_null(job->extra->progress);
	tell(world, 1, 0, 2);
	assert_int_equal(told(world, session, &last), 1);
}

static void test_a_flood_is_thinned_and_its_last_kept(void **state)
{
	struct world *world = *state;
	struct session *session = subscribe(world, 100);
	uint64_t id =
		world_submit(world, session, (struct call){.function = "t.f", .async = true}, NULL);
	int64_t last;
	assert_true(fake_begin(world, world_worker(world, 0)));
	for (uint8_t i = 0; i < 120; i++)
		tell(world, 1, 0, i);
	assert_int_equal(told(world, session, &last), 100);
	assert_int_equal(world_job(world, session, id)->extra->progress->data[0], 119);
	world_advance(world, 100000);
	for (uint8_t i = 0; i < 120; i++)
		tell(world, 1, 0, i);
	assert_in_range(told(world, session, &last), 109, 111);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_progress_of_what_runs_is_told_and_kept),
		TEST(test_progress_of_what_does_not_run_is_ignored),
		TEST(test_progress_of_an_ended_job_is_dropped),
		TEST(test_a_flood_is_thinned_and_its_last_kept),
	};
	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
