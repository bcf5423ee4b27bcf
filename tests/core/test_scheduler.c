/* SPDX-License-Identifier: MIT */
#include "core/scheduler.h"

#include <stdlib.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.short", "t.long", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static struct fixture begin(unsigned workers, enum fake_kind kind)
{
	struct fixture f = {.world = world_create(NULL)};
	f.pool = world_add_pool(f.world, "p", workers, kind, functions);
	f.session = world_open(f.world, 100);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_work(f->world);
	world_check(f->world);
	world_destroy(f->world);
}

static void apply(struct fixture *f, const char *function)
{
	assert_int_not_equal(
		world_submit(f->world, f->session, (struct call){.function = function}, NULL), 0);
}

static void map(struct fixture *f, uint32_t count, uint32_t chunksize)
{
	struct call call = {
		.function = "t.short", .map = true, .count = count, .chunksize = chunksize};
	assert_int_not_equal(world_submit(f->world, f->session, call, NULL), 0);
}

/* The function is known to take so long. */
static void measure(struct fixture *f, const char *function, uint64_t us)
{
	struct function *known =
		function_table_find(&f->pool->functions, function, strlen(function));
	function_measure(known, us, 1);
}

static unsigned pending(struct fixture *f, unsigned place)
{
	return world_worker(f->world, place)->worker->pending;
}

static void test_idle_workers_come_first(void **state)
{
	(void)state;
	struct fixture f = begin(3, FAKE_FORK_PAGE);
	measure(&f, "t.short", 1);
	for (int i = 0; i < 3; i++)
		apply(&f, "t.short");
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pending(&f, i), 1);
	end(&f);
}

static void test_worker_that_was_idle_shortest_is_taken(void **state)
{
	(void)state;
	struct fixture f = begin(3, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 1);
	for (int i = 0; i < 3; i++)
		apply(&f, "t.short");
	for (unsigned i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, world_worker(f.world, i)));
	fake_answer(f.world, world_worker(f.world, 0), 1, 0);
	fake_answer(f.world, world_worker(f.world, 2), 1, 0);
	fake_answer(f.world, fake, 1, 0);
	apply(&f, "t.short");
	assert_int_equal(fake->worker->pending, 1);
	end(&f);
}

static void test_short_tasks_are_sent_ahead_up_to_the_limit_of_time(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	measure(&f, "t.short", 100);
	for (int i = 0; i < 100; i++)
		apply(&f, "t.short");
	assert_in_range(pending(&f, 0), SCHEDULER_AHEAD_US / 110, SCHEDULER_AHEAD_US / 100);
	assert_int_equal(f.pool->waiting + f.pool->running, 100);
	end(&f);
}

static void test_very_short_tasks_are_sent_ahead_up_to_the_slots(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	measure(&f, "t.short", 0);
	for (int i = 0; i < 1000; i++)
		apply(&f, "t.short");
	assert_int_equal(pending(&f, 0), PAGE_SLOTS);
	end(&f);
}

static void test_long_or_unknown_tasks_are_not_sent_ahead(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	apply(&f, "t.short");
	apply(&f, "t.short");
	assert_int_equal(pending(&f, 0), 1);
	measure(&f, "t.long", 5000);
	apply(&f, "t.long");
	assert_int_equal(pending(&f, 0), 1);
	end(&f);
}

static void test_nothing_is_sent_ahead_without_a_page(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK);
	measure(&f, "t.short", 1);
	apply(&f, "t.short");
	apply(&f, "t.short");
	assert_int_equal(pending(&f, 0), 1);
	end(&f);
}

static void test_busy_worker_with_the_least_to_do_is_sent_more(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	measure(&f, "t.short", 10);
	measure(&f, "t.long", 500);
	apply(&f, "t.long");
	apply(&f, "t.short");
	for (int i = 0; i < 10; i++)
		apply(&f, "t.short");
	assert_true(pending(&f, 0) == 1 || pending(&f, 1) == 1);
	end(&f);
}

/* They take long to arrive, whatever the function then does. */
static void test_nothing_is_sent_ahead_behind_large_arguments(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	measure(&f, "t.short", 10);
	struct call call = {.function = "t.short", .padding = 1 << 20};
	assert_int_not_equal(world_submit(f.world, f.session, call, NULL), 0);
	apply(&f, "t.short");
	assert_int_equal(pending(&f, 0), 1);
	end(&f);
}

/* ---- chunks ---- */

static uint32_t first_chunk(struct fixture *f, unsigned place)
{
	return TAILQ_FIRST(&world_worker(f->world, place)->messages)->count;
}

static void test_chunks_are_as_asked(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK);
	map(&f, 10, 4);
	assert_int_equal(first_chunk(&f, 0), 4);
	assert_int_equal(first_chunk(&f, 1), 4);
	end(&f);
}

static void test_chunks_are_larger_where_each_carries_much(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	measure(&f, "t.short", 10);
	struct call call = {.function = "t.short", .map = true, .count = 10000};
	call.carried = 1 << 20;
	assert_int_not_equal(world_submit(f.world, f.session, call, NULL), 0);
	/* About four times as long as it takes to arrive, a millisecond. */
	assert_in_range(first_chunk(&f, 0), 400, 500);
	end(&f);
}

static void test_chunks_are_single_while_nothing_is_known(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	map(&f, 100, 0);
	assert_int_equal(first_chunk(&f, 0), 1);
	end(&f);
}

static void test_chunks_are_single_without_a_page(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK);
	measure(&f, "t.short", 1);
	map(&f, 100, 0);
	assert_int_equal(first_chunk(&f, 0), 1);
	end(&f);
}

static void test_chunks_follow_measured_time(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	measure(&f, "t.short", 50);
	map(&f, 10000, 0);
	/* At least two of them fit into what is sent ahead. */
	assert_in_range(first_chunk(&f, 0) * 50, SCHEDULER_AHEAD_US / 5, SCHEDULER_AHEAD_US / 2);
	assert_true(pending(&f, 0) >= 2);
	end(&f);
}

static void test_chunks_shrink_towards_the_end_so_that_all_end_together(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	measure(&f, "t.short", 1);
	map(&f, 40, 0);
	assert_int_equal(first_chunk(&f, 0), 10);
	assert_true(first_chunk(&f, 1) < 10);
	end(&f);
}

/* ---- promise 7 ---- */

/* Two workers: one runs a task that turns out long and has others behind it, one becomes idle. */
static struct fake_worker *pile_up(struct fixture *f)
{
	*f = begin(2, FAKE_FORK_PAGE);
	measure(f, "t.short", 100);
	for (int i = 0; i < 12; i++)
		apply(f, "t.short");
	assert_int_equal(f->pool->waiting, 0);
	struct fake_worker *slow = world_worker(f->world, 0), *fast = world_worker(f->world, 1);
	assert_true(slow->worker->pending > 1);
	assert_true(fake_begin(f->world, slow));
	while (fake_begin(f->world, fast))
		fake_answer(f->world, fast, 1, 100);
	return slow;
}

static void test_tasks_wait_behind_a_running_one_for_2_ms_at_most(void **state)
{
	(void)state;
	struct fixture f;
	struct fake_worker *slow = pile_up(&f);
	world_advance(f.world, 2000);
	assert_int_equal(slow->worker->pending, 1);
	assert_true(fake_begin(f.world, world_worker(f.world, 1)));
	end(&f);
}

static void test_tasks_of_a_worker_that_has_not_begun_are_left_to_it(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	measure(&f, "t.short", 100);
	for (int i = 0; i < 12; i++)
		apply(&f, "t.short");
	struct fake_worker *slow = world_worker(f.world, 0), *fast = world_worker(f.world, 1);
	unsigned before = slow->worker->pending;
	while (fake_begin(f.world, fast))
		fake_answer(f.world, fast, 1, 100);
	world_advance(f.world, 10000);
	assert_int_equal(slow->worker->pending, before);
	/* But from the moment that it has, the 2 ms count. */
	assert_true(fake_begin(f.world, slow));
	world_advance(f.world, 2000);
	assert_int_equal(slow->worker->pending, 1);
	end(&f);
}

static void test_rest_of_a_chunk_is_taken_from_behind_a_long_element(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	map(&f, 8, 8);
	struct fake_worker *slow = world_worker(f.world, 0);
	if (slow->worker->pending == 0)
		slow = world_worker(f.world, 1);
	assert_true(fake_begin(f.world, slow));
	world_advance(f.world, 2000);
	assert_int_equal(f.pool->waiting, 0);
	assert_int_equal(pending(&f, 0), 1);
	assert_int_equal(pending(&f, 1), 1);
	assert_false(fake_begin(f.world, slow));
	world_work(f.world);
	const struct record *reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(reply->code, ERR_NONE);
	assert_int_equal(procpool_value_count(record_value(reply)), 8);
	end(&f);
}

static void test_only_health_wakes_the_daemon_while_all_that_was_sent_has_begun(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	map(&f, 4, 4);
	struct fake_worker *worker = world_worker(f.world, 0);
	if (worker->worker->pending == 0)
		worker = world_worker(f.world, 1);
	while (fake_begin(f.world, worker))
		;
	world_advance(f.world, 10000);
	assert_true(core_next_timer(&f.world->core) >=
		    worker->worker->progress_us + HEALTH_QUIET_US);
	end(&f);
}

static void test_only_health_wakes_the_daemon_while_nothing_waits(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);
	apply(&f, "t.short");
	assert_true(fake_begin(f.world, world_worker(f.world, 0)) ||
		    fake_begin(f.world, world_worker(f.world, 1)));
	assert_true(core_next_timer(&f.world->core) >= f.world->now_us + HEALTH_QUIET_US);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_workers_come_first),
		cmocka_unit_test(test_worker_that_was_idle_shortest_is_taken),
		cmocka_unit_test(test_short_tasks_are_sent_ahead_up_to_the_limit_of_time),
		cmocka_unit_test(test_very_short_tasks_are_sent_ahead_up_to_the_slots),
		cmocka_unit_test(test_long_or_unknown_tasks_are_not_sent_ahead),
		cmocka_unit_test(test_nothing_is_sent_ahead_without_a_page),
		cmocka_unit_test(test_busy_worker_with_the_least_to_do_is_sent_more),
		cmocka_unit_test(test_nothing_is_sent_ahead_behind_large_arguments),
		cmocka_unit_test(test_chunks_are_as_asked),
		cmocka_unit_test(test_chunks_are_larger_where_each_carries_much),
		cmocka_unit_test(test_chunks_are_single_while_nothing_is_known),
		cmocka_unit_test(test_chunks_are_single_without_a_page),
		cmocka_unit_test(test_chunks_follow_measured_time),
		cmocka_unit_test(test_chunks_shrink_towards_the_end_so_that_all_end_together),
		cmocka_unit_test(test_tasks_wait_behind_a_running_one_for_2_ms_at_most),
		cmocka_unit_test(test_tasks_of_a_worker_that_has_not_begun_are_left_to_it),
		cmocka_unit_test(test_rest_of_a_chunk_is_taken_from_behind_a_long_element),
		cmocka_unit_test(
			test_only_health_wakes_the_daemon_while_all_that_was_sent_has_begun),
		cmocka_unit_test(test_only_health_wakes_the_daemon_while_nothing_waits),
	};
	return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
