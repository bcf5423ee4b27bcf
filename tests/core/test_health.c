/* SPDX-License-Identifier: MIT */
#include "core/health.h"

#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

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
	/* So that some are sent ahead. */
	function_measure(function_table_find(&f.pool->functions, "t.f", 3), 100, 1);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_work(f->world);
	world_check(f->world);
	world_destroy(f->world);
}

/* Returns the msgid of the last. */
static uint32_t apply(struct fixture *f, unsigned count)
{
	struct call call = {.function = "t.f"};
	for (unsigned i = 0; i < count; i++)
		assert_int_not_equal(world_submit(f->world, f->session, call, NULL), 0);
	return f->world->last_msgid;
}

static void expect_answer(struct fixture *f, uint32_t msgid)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_NONE);
}

static void test_a_worker_that_sleeps_before_its_messages_is_replaced(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 5);
	fake->report = (struct health_report){'S', true, 0};
	world_advance(f.world, HEALTH_QUIET_US - 1);
	assert_int_equal(f.pool->restarts, 0);
	world_advance(f.world, 1);
	assert_int_equal(f.pool->restarts, 1);
	world_work(f.world);
	for (uint32_t i = 0; i < 5; i++)
		expect_answer(&f, msgid - i);
	end(&f);
}

static void test_a_worker_that_waits_for_a_processor_is_given_longer(void **state)
{
	(void)state;
	static const struct health_report reports[] = {
		{'R', true, 0}, {'D', true, 0}, {'S', false, 0}, {0, true, 0}};
	for (size_t i = 0; i < sizeof(reports) / sizeof(*reports); i++) {
		struct fixture f = begin(1, FAKE_FORK_PAGE);
		uint32_t msgid = apply(&f, 1);
		world_worker(f.world, 0)->report = reports[i];
		world_advance(f.world, HEALTH_STARVED_US - 1);
		assert_int_equal(f.pool->restarts, 0);
		world_advance(f.world, 1);
		assert_int_equal(f.pool->restarts, 1);
		world_work(f.world);
		expect_answer(&f, msgid);
		end(&f);
	}
}

static void test_what_begins_in_time_is_left_alone(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 3);
	world_advance(f.world, HEALTH_STARVED_US - 1);
	assert_true(fake_begin(f.world, fake));
	fake->report = (struct health_report){'S', true, 0};
	world_advance(f.world, 60 * HEALTH_QUIET_US);
	assert_int_equal(f.pool->restarts, 0);
	fake_answer(f.world, fake, 1, 1000);
	world_work(f.world);
	expect_answer(&f, msgid);
	end(&f);
}

static void test_a_worker_that_is_stopped_in_a_task_costs_only_that(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 4);
	assert_true(fake_begin(f.world, fake));
	fake->report.state = 'T';
	world_advance(f.world, HEALTH_QUIET_US);
	assert_int_equal(f.pool->restarts, 1);
	world_work(f.world);
	const struct record *lost = world_reply(f.world, msgid - 3);
	assert_non_null(lost);
	assert_int_equal(lost->code, ERR_WORKER_LOST);
	assert_int_equal(record_int(lost, "signal"), 9);
	assert_non_null(memmem(lost->data, lost->size, "it was stopped by a signal", 26));
	for (uint32_t i = 0; i < 3; i++)
		expect_answer(&f, msgid - i);
	end(&f);
}

static void test_a_stopped_worker_gives_back_before_its_end_is_told(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	apply(&f, 4);
	assert_true(fake_begin(f.world, fake));
	fake->report.state = 'T';
	f.world->manual = true;
	world_advance(f.world, HEALTH_QUIET_US);
	assert_true(fake->told_to_die);
	assert_int_equal(f.pool->waiting, 3);
	assert_int_equal(f.pool->running, 1);
	/* One that goes on nevertheless begins nothing more. */
	assert_false(fake_begin(f.world, fake));
	f.world->manual = false;
	world_settle(f.world);
	end(&f);
}

static void test_a_stopped_worker_without_a_page_costs_what_it_was_sent(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_EXEC);
	uint32_t msgid = apply(&f, 2);
	world_worker(f.world, 0)->report.state = 'T';
	world_advance(f.world, HEALTH_QUIET_US);
	assert_int_equal(world_reply(f.world, msgid - 1)->code, ERR_WORKER_LOST);
	world_work(f.world);
	expect_answer(&f, msgid);
	end(&f);
}

static void test_what_a_debugger_holds_is_left_to_it(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 1);
	world_worker(f.world, 0)->report = (struct health_report){'t', true, 0};
	world_advance(f.world, 60 * HEALTH_QUIET_US);
	assert_int_equal(f.pool->restarts, 0);
	world_work(f.world);
	expect_answer(&f, msgid);
	end(&f);
}

static void test_a_daemon_that_stood_still_itself_looks_again_first(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 1);
	fake->report = (struct health_report){'S', true, 0};
	f.world->now_us += 30 * HEALTH_QUIET_US;
	core_timers(&f.world->core, f.world->now_us);
	world_settle(f.world);
	assert_int_equal(f.pool->restarts, 0);
	assert_true(fake_begin(f.world, fake));
	fake_answer(f.world, fake, 1, 100);
	expect_answer(&f, msgid);
	end(&f);
}

static void test_nothing_is_looked_at_while_nothing_is_under_way(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	apply(&f, 1);
	world_work(f.world);
	world_advance(f.world, HEALTH_QUIET_US);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);
	/* And never a worker that answers. */
	for (int i = 0; i < 10; i++) {
		apply(&f, 1);
		world_worker(f.world, 0)->report.state = 'T';
		world_worker(f.world, 1)->report.state = 'T';
		world_advance(f.world, HEALTH_QUIET_US / 2);
		world_work(f.world);
	}
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

/* In a pool whose workers may use so much. */
static struct fixture begin_limited(unsigned workers, uint64_t memory_bytes)
{
	struct fixture f = begin(workers, FAKE_FORK_PAGE);
	f.pool->spec->memory_bytes = memory_bytes;
	return f;
}

static void test_a_worker_over_its_memory_is_killed_and_its_task_told_so(void **state)
{
	(void)state;
	struct fixture f = begin_limited(1, 1000);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 2);
	assert_true(fake_begin(f.world, fake));
	fake->report.rss_bytes = 1000;
	world_advance(f.world, 3 * HEALTH_MEMORY_US);
	assert_int_equal(f.pool->restarts, 0);
	fake->report.rss_bytes = 1001;
	world_advance(f.world, HEALTH_MEMORY_US);
	assert_int_equal(f.pool->restarts, 1);
	const struct record *lost = world_reply(f.world, msgid - 1);
	assert_non_null(lost);
	assert_int_equal(lost->code, ERR_OUT_OF_MEMORY);
	assert_int_equal(record_int(lost, "limit"), 1000);
	assert_int_equal(record_int(lost, "rss"), 1001);
	assert_true(record_int(lost, "pid") > 0);
	world_work(f.world);
	expect_answer(&f, msgid);
	end(&f);
}

static void test_what_somebody_else_ended_is_not_told_as_want_of_memory(void **state)
{
	(void)state;
	struct fixture f = begin_limited(1, 1000);
	struct fake_worker *fake = world_worker(f.world, 0);
	uint32_t msgid = apply(&f, 1);
	assert_true(fake_begin(f.world, fake));
	fake_die(f.world, fake, 9);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_WORKER_LOST);

	fake = world_worker(f.world, 0);
	msgid = apply(&f, 1);
	assert_true(fake_begin(f.world, fake));
	f.world->manual = true;
	fake->report.rss_bytes = 2000;
	world_advance(f.world, HEALTH_MEMORY_US);
	assert_true(fake->told_to_die);
	fake_die(f.world, fake, 11);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_WORKER_LOST);
	f.world->manual = false;
	world_settle(f.world);
	end(&f);
}

static void test_memory_that_is_kept_after_a_task_is_found_once(void **state)
{
	(void)state;
	struct fixture f = begin_limited(1, 1000);
	apply(&f, 1);
	world_worker(f.world, 0)->report.rss_bytes = 900;
	world_work(f.world);
	world_advance(f.world, HEALTH_MEMORY_US);
	assert_int_equal(world_worker(f.world, 0)->worker->rss_bytes, 900);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);

	apply(&f, 1);
	world_worker(f.world, 0)->report.rss_bytes = 1100;
	world_work(f.world);
	world_advance(f.world, HEALTH_MEMORY_US);
	assert_int_equal(f.pool->restarts, 1);
	assert_true(core_next_timer(&f.world->core) == TIME_NEVER);
	end(&f);
}

static void test_a_limit_that_the_system_enforces_is_left_to_it(void **state)
{
	(void)state;
	struct fixture f = begin_limited(1, 1000);
	struct fake_worker *fake = world_worker(f.world, 0);
	apply(&f, 1);
	fake->worker->confined = true;
	fake->report.rss_bytes = 5000;
	world_advance(f.world, HEALTH_STARVED_US - 1);
	assert_int_equal(f.pool->restarts, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_worker_that_sleeps_before_its_messages_is_replaced),
		cmocka_unit_test(test_a_worker_that_waits_for_a_processor_is_given_longer),
		cmocka_unit_test(test_what_begins_in_time_is_left_alone),
		cmocka_unit_test(test_a_worker_that_is_stopped_in_a_task_costs_only_that),
		cmocka_unit_test(test_a_stopped_worker_gives_back_before_its_end_is_told),
		cmocka_unit_test(test_a_stopped_worker_without_a_page_costs_what_it_was_sent),
		cmocka_unit_test(test_what_a_debugger_holds_is_left_to_it),
		cmocka_unit_test(test_a_daemon_that_stood_still_itself_looks_again_first),
		cmocka_unit_test(test_nothing_is_looked_at_while_nothing_is_under_way),
		cmocka_unit_test(test_a_worker_over_its_memory_is_killed_and_its_task_told_so),
		cmocka_unit_test(test_what_somebody_else_ended_is_not_told_as_want_of_memory),
		cmocka_unit_test(test_memory_that_is_kept_after_a_task_is_found_once),
		cmocka_unit_test(test_a_limit_that_the_system_enforces_is_left_to_it),
	};
	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
