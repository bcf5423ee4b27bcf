/* SPDX-License-Identifier: MIT */
#include "core/expiry.h"

#include <signal.h>

#include "../unit/test.h"
#include "core/scheduler.h"
#include "world.h"

#define EXPIRES_US 500000

static const char *const functions[] = {"t.f", NULL};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static struct fixture begin(unsigned workers, enum fake_kind kind)
{
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "one", workers, kind, functions);
	return (struct fixture){world, pool, world_open(world, 100)};
}

static void end(struct fixture *f)
{
	world_check(f->world);
	assert_int_equal(f->pool->waiting + f->pool->running, 0);
	world_destroy(f->world);
}

/* Submits; returns the msgid. */
static uint32_t submit(struct fixture *f, struct call call)
{
	call.function = "t.f";
	world_submit(f->world, f->session, call, NULL);
	return f->world->last_msgid;
}

/* The first worker runs a task, until it answers. */
static struct fake_worker *hold(struct fixture *f)
{
	submit(f, (struct call){.first_item = 0});
	struct fake_worker *fake = world_worker(f->world, 0);
	assert_true(fake_begin(f->world, fake));
	return fake;
}

static void test_apply_that_waits_too_long_expires(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	hold(&f);
	uint32_t msgid = submit(&f, (struct call){.expires = true, .expires_us = EXPIRES_US});
	world_advance(f.world, EXPIRES_US - 1);
	assert_null(world_reply(f.world, msgid));
	world_advance(f.world, 1);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_EXPIRED);
	double seconds;
	struct procpool_value error = record_value(world_reply(f.world, msgid));
	assert_true(procpool_value_double(procpool_value_get(error, "expires"), &seconds));
	assert_true(seconds == 0.5);
	assert_true(procpool_value_double(procpool_value_get(error, "waited"), &seconds));
	assert_true(seconds == 0.5);
	world_work(f.world);
	end(&f);
}

static void test_apply_that_has_begun_does_not_expire(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK);
	uint32_t msgid = submit(&f, (struct call){.expires = true, .expires_us = EXPIRES_US});
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	world_advance(f.world, 2 * EXPIRES_US);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	end(&f);
}

static void test_with_zero_what_can_begin_at_once_begins(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t first = submit(&f, (struct call){.expires = true});
	uint32_t second = submit(&f, (struct call){.expires = true});
	/* The worker wakes up only after the deadline. */
	world_advance(f.world, 10);
	assert_int_equal(world_reply(f.world, second)->code, ERR_EXPIRED);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, first)->code, ERR_NONE);
	end(&f);
}

static void test_what_was_not_scheduled_yet_gets_to_the_end_of_its_turn(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct outcome error = {0};
	world_try(f.world, f.session, (struct call){.function = "t.f", .expires = true}, &error);
	uint32_t msgid = f.world->last_msgid;
	/* As where a timer and a request are due in the same turn. */
	core_timers(&f.world->core, f.world->now_us);
	world_settle(f.world);
	world_advance(f.world, 10);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	end(&f);
}

static void test_what_was_sent_ahead_expires_too(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	/* A function known to be short. */
	submit(&f, (struct call){.map = true, .count = 10});
	world_work(f.world);
	struct fake_worker *fake = hold(&f);
	uint32_t msgid = submit(&f, (struct call){.expires = true, .expires_us = 300});
	assert_int_equal(fake->worker->pending, 2);
	world_advance(f.world, 300);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_EXPIRED);
	assert_int_equal(fake->worker->pending, 1);
	assert_false(fake_begin(f.world, fake));
	world_work(f.world);
	end(&f);
}

static void test_map_expires_with_its_first_element_that_has_not_begun(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = submit(&f, (struct call){.map = true,
						  .count = 9,
						  .chunksize = 4,
						  .expires = true,
						  .expires_us = EXPIRES_US});
	struct fake_worker *fake = world_worker(f.world, 0);
	fake_begin(f.world, fake);
	fake_begin(f.world, fake);
	world_advance(f.world, EXPIRES_US);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_EXPIRED);
	assert_int_equal(record_int(world_reply(f.world, msgid), "index"), 2);
	world_work(f.world);
	end(&f);
}

static void test_collecting_map_goes_on_with_what_has_begun(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = submit(&f, (struct call){.first_item = 50,
						  .map = true,
						  .count = 9,
						  .chunksize = 4,
						  .collect = true,
						  .expires = true,
						  .expires_us = EXPIRES_US});
	struct fake_worker *fake = world_worker(f.world, 0);
	fake_begin(f.world, fake);
	fake_begin(f.world, fake);
	world_advance(f.world, EXPIRES_US);
	world_check(f.world);
	assert_null(world_reply(f.world, msgid));
	assert_int_equal(f.pool->waiting, 0);
	fake_answer(f.world, fake, 2, 1);
	struct procpool_value pairs = record_value(world_reply(f.world, msgid));
	assert_int_equal(procpool_value_count(pairs), 9);
	for (uint32_t i = 0; i < 9; i++) {
		struct procpool_value error = procpool_value_at(procpool_value_at(pairs, i), 0);
		int64_t index;
		assert_int_equal(procpool_value_type(error), i < 2 ? PROCPOOL_NIL : PROCPOOL_MAP);
		if (i >= 2) {
			assert_true(procpool_value_int(procpool_value_get(error, "index"), &index));
			assert_int_equal(index, i);
		}
	}
	end(&f);
}

/* It is done in parts, and what is left does not begin meanwhile. */
static void test_large_map_that_expires_delays_nobody(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *fake = hold(&f);
	uint32_t msgid = submit(&f, (struct call){.map = true,
						  .count = 10000,
						  .collect = true,
						  .expires = true,
						  .expires_us = EXPIRES_US});
	f.world->now_us += EXPIRES_US;
	core_timers(&f.world->core, f.world->now_us);
	world_check(f.world);
	assert_true(core_next_timer(&f.world->core) == f.world->now_us + 1);
	assert_int_equal(f.pool->waiting, 0);
	fake_answer(f.world, fake, 1, 1);
	assert_false(fake_begin(f.world, fake));
	world_advance(f.world, 1000);
	assert_int_equal(procpool_value_count(record_value(world_reply(f.world, msgid))), 10000);
	end(&f);
}

static void test_task_given_back_after_its_time_expires(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	/* Given to a worker just then, who dies without beginning it. */
	submit(&f, (struct call){.expires = true});
	uint32_t msgid = f.world->last_msgid;
	world_advance(f.world, 1);
	assert_null(world_reply(f.world, msgid));
	fake_die(f.world, world_worker(f.world, 0), SIGKILL);
	world_advance(f.world, 1);
	world_check(f.world);
	world_advance(f.world, SCHEDULER_STALE_US);
	world_work(f.world);
	/* By the replacement, at once, or never. */
	assert_non_null(world_reply(f.world, msgid));
	end(&f);
}

static void test_retries_do_not_expire(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid =
		submit(&f, (struct call){.retries = 2, .expires = true, .expires_us = EXPIRES_US});
	for (int i = 0; i < 2; i++) {
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		fake_fail(f.world, world_worker(f.world, 0), 1);
		world_advance(f.world, EXPIRES_US);
	}
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	end(&f);
}

static unsigned count_expiries(const struct fixture *f)
{
	const struct timer_heap *timers = &f->world->core.timers;
	unsigned count = 0;
	for (size_t i = 1; i <= timers->count; i++)
		count += timers->timers[i]->kind == TIMER_EXPIRY;
	return count;
}

static void test_ended_job_leaves_no_timer(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	submit(&f, (struct call){.expires = true, .expires_us = EXPIRES_US});
	assert_int_equal(count_expiries(&f), 1);
	world_work(f.world);
	assert_int_equal(count_expiries(&f), 0);
	hold(&f);
	submit(&f, (struct call){.expires = true, .expires_us = EXPIRES_US, .async = true});
	assert_int_equal(count_expiries(&f), 1);
	world_close(f.world, f.session);
	world_work(f.world);
	assert_int_equal(count_expiries(&f), 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_that_waits_too_long_expires),
		cmocka_unit_test(test_apply_that_has_begun_does_not_expire),
		cmocka_unit_test(test_with_zero_what_can_begin_at_once_begins),
		cmocka_unit_test(test_what_was_not_scheduled_yet_gets_to_the_end_of_its_turn),
		cmocka_unit_test(test_what_was_sent_ahead_expires_too),
		cmocka_unit_test(test_map_expires_with_its_first_element_that_has_not_begun),
		cmocka_unit_test(test_collecting_map_goes_on_with_what_has_begun),
		cmocka_unit_test(test_large_map_that_expires_delays_nobody),
		cmocka_unit_test(test_task_given_back_after_its_time_expires),
		cmocka_unit_test(test_retries_do_not_expire),
		cmocka_unit_test(test_ended_job_leaves_no_timer),
	};
	return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
