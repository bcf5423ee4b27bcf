/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include <signal.h>
#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", "t.g", NULL};

/* A user's finished jobs stay for their time, also when nobody of the user is connected. */
static void test_finished_job_outlives_its_session_for_its_time(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.retained_seconds = 10;
	struct world *world = world_create(&limits);
	world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	uint64_t id =
		world_submit(world, session,
			     (struct call){.function = "t.f", .async = true, .detach = true}, NULL);
	world_close(world, session);
	world_work(world);
	world_advance(world, 9000000);
	session = world_open(world, 100);
	uint32_t msgid = world_wait(world, session, id, 0);
	assert_int_equal(world_reply(world, msgid)->code, ERR_NONE);
	world_close(world, session);
	assert_int_equal(world->core.kept_count, 1);
	world_advance(world, 2000000);
	assert_int_equal(world->core.kept_count, 0);
	world_check(world);
	world_destroy(world);
}

/* ---- hostile workers ---- */

static void test_hostile_microseconds_are_no_longer_than_the_task_was_there(void **state)
{
	(void)state;
	static const uint64_t hostile_us[] = {UINT64_MAX, INT64_MAX, UINT64_C(1) << 63};
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	for (size_t i = 0; i < 3; i++) {
		world_submit(world, session,
			     (struct call){.function = "t.f", .map = true, .count = 50}, NULL);
		world->now_us += 700;
		assert_true(fake_begin(world, world_worker(world, 0)));
		fake_answer(world, world_worker(world, 0), 1, hostile_us[i]);
		assert_true(function_table_find(&pool->functions, "t.f", 3)->mean_us <= 700);
		world_work(world);
	}
	assert_true(world->core.stats.running.sum_us < 10000);
	world_destroy(world);
}

/* Sends three messages of four tasks to the first of two workers, begins five tasks, and has it die
 * after it has put a word into the slot of its message number `place`. */
static void die_with_a_word(struct world *world, unsigned place, uint64_t begun)
{
	struct session *session = world_open(world, 100);
	struct pool *pool = world_add_pool(world, "p", 2, FAKE_FORK_PAGE, functions);
	struct fake_worker *fake = world_worker(world, 0);
	struct call call = {
		.function = "t.f", .map = true, .count = 12, .chunksize = 4, .collect = true};
	/* Measured, so that more is sent ahead; the other worker has something else to do. */
	world_submit(world, session, (struct call){.function = "t.f"}, NULL);
	world_work(world);
	pool_kill_worker(world_worker(world, 1)->worker, world->now_us);
	world->manual = true;
	world_settle(world);
	world_submit(world, session, call, NULL);
	assert_int_equal(fake->worker->pending, 3);
	for (int i = 0; i < 5; i++)
		assert_true(fake_begin(world, fake));
	uint32_t seq = fake->worker->oldest_seq + place;
	atomic_store(page_slot(fake->page, seq), begun);
	fake_die(world, fake, SIGSEGV);
	assert_int_equal(pool->running, 0);
}

/* Of what an honest worker left, that is: a message done, a task of the next begun. */
static void test_what_had_not_begun_runs_elsewhere(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	uint64_t word = page_word(3, 1);
	die_with_a_word(world, 1, word);
	assert_int_equal(TAILQ_FIRST(&world->core.pools)->waiting, 7);
	world->manual = false;
	world_settle(world);
	world_work(world);
	assert_int_equal(world->core.running_jobs, 0);
	world_check(world);
	world_destroy(world);
}

static void check_all_begun(unsigned place, uint64_t word)
{
	struct world *world = world_create(NULL);
	die_with_a_word(world, place, word);
	assert_int_equal(TAILQ_FIRST(&world->core.pools)->waiting, 0);
	assert_int_equal(world->core.running_jobs, 0);
	world->manual = false;
	world_settle(world);
	world_check(world);
	world_destroy(world);
}

static void test_implausible_words_count_everything_as_begun(void **state)
{
	(void)state;
	/* Messages are 2, 3 and 4; of another, of more tasks than there are. */
	check_all_begun(0, 0);
	check_all_begun(0, UINT64_MAX);
	check_all_begun(1, page_word(3, 5));
	check_all_begun(2, page_word(9, 0));
	/* Begun before what was sent earlier is through. */
	check_all_begun(0, page_word(2, 3));
	check_all_begun(2, page_word(4, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finished_job_outlives_its_session_for_its_time),
		cmocka_unit_test(test_hostile_microseconds_are_no_longer_than_the_task_was_there),
		cmocka_unit_test(test_what_had_not_begun_runs_elsewhere),
		cmocka_unit_test(test_implausible_words_count_everything_as_begun),
	};
	return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
