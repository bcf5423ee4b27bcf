/* SPDX-License-Identifier: MIT */
#include "core/worker_end.h"

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

#define MS UINT64_C(1000)

struct fixture {
	struct world *world;
	struct session *session;
	struct fake_worker *fake;
};

static struct fixture begin(enum fake_kind kind)
{
	struct fixture f = {.world = world_create(NULL)};
	world_add_pool(f.world, "p", 1, kind, functions);
	f.session = world_open(f.world, 100);
	f.fake = world_worker(f.world, 0);
	return f;
}

static void end(struct fixture *f)
{
	fake_die(f->world, f->fake, 9);
	world_work(f->world);
	world_advance(f->world, 1000 * MS);
	world_check(f->world);
	world_destroy(f->world);
}

static uint64_t submit(struct fixture *f, struct call call)
{
	call.function = "t.f";
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	assert_int_not_equal(id, 0);
	return id;
}

static struct worker_loss loss_of(struct fixture *f)
{
	return worker_end_loss(f->fake->worker, f->world->now_us);
}

static void test_idle_worker_loses_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	struct worker_loss loss = loss_of(&f);
	assert_null(loss.job);
	assert_int_equal(loss.lost, 0);
	end(&f);
}

static void test_what_has_not_begun_is_not_lost(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	submit(&f, (struct call){0});
	struct worker_loss loss = loss_of(&f);
	assert_null(loss.job);
	assert_int_equal(loss.lost, 0);
	end(&f);
}

static void test_task_that_may_run_again_is_told_with_how_long_it_ran(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	uint64_t id = submit(&f, (struct call){.retries = 1});
	assert_true(fake_begin(f.world, f.fake));
	world_advance(f.world, 30 * MS);
	struct worker_loss loss = loss_of(&f);
	assert_int_equal(loss.job->id, id);
	assert_int_equal(loss.lost, 0);
	assert_int_equal(loss.again, 1);
	assert_int_equal(loss.ran_us, 30 * MS);
	assert_int_equal(loss.attempt, 1);
	assert_int_equal(loss.stopping, STOP_NONE);
	end(&f);
}

static void test_last_attempt_does_not_run_again(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	submit(&f, (struct call){0});
	assert_true(fake_begin(f.world, f.fake));
	assert_int_equal(loss_of(&f).lost, 1);
	assert_int_equal(loss_of(&f).again, 0);
	end(&f);
}

/* Of five elements one is answered, one has ended and one runs. */
static void test_elements_count_from_the_last_answer_to_the_one_that_runs(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	submit(&f, (struct call){.map = true, .count = 5, .chunksize = 5});
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, f.fake));
	world_advance(f.world, 20 * MS);
	fake_answer(f.world, f.fake, 1, 10 * MS);
	world_advance(f.world, 5 * MS);
	struct worker_loss loss = loss_of(&f);
	assert_int_equal(loss.lost, 2);
	assert_int_equal(loss.task, 2);
	assert_int_equal(loss.ran_us, 5 * MS);
	end(&f);
}

/* Nothing says what of it has begun. */
static void test_without_a_page_all_that_was_sent_is_lost(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_EXEC);
	submit(&f, (struct call){.map = true, .count = 3, .chunksize = 3});
	assert_int_equal(loss_of(&f).lost, 3);
	end(&f);
}

static void test_task_that_nobody_waits_for_is_not_lost(void **state)
{
	(void)state;
	struct outcome error;
	struct fixture f = begin(FAKE_FORK_PAGE);
	uint64_t id = submit(&f, (struct call){0});
	assert_true(fake_begin(f.world, f.fake));
	struct job *job = core_find_request(f.session, f.world->last_msgid, &error);
	assert_non_null(job);
	core_cancel(&f.world->core, job, f.world->now_us);
	world_settle(f.world);
	struct worker_loss loss = loss_of(&f);
	assert_int_equal(loss.job->id, id);
	assert_int_equal(loss.lost, 0);
	assert_int_equal(loss.again, 0);
	assert_int_equal(loss.stopping, STOP_UNWANTED);
	end(&f);
}

static void test_task_past_its_timeout_is_lost_to_that(void **state)
{
	(void)state;
	struct fixture f = begin(FAKE_FORK_PAGE);
	submit(&f, (struct call){.timeout_us = 50 * MS});
	assert_true(fake_begin(f.world, f.fake));
	world_advance(f.world, 60 * MS);
	struct worker_loss loss = loss_of(&f);
	assert_int_equal(loss.stopping, STOP_TIMEOUT);
	assert_int_equal(loss.ran_us, 60 * MS);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_worker_loses_nothing),
		cmocka_unit_test(test_what_has_not_begun_is_not_lost),
		cmocka_unit_test(test_task_that_may_run_again_is_told_with_how_long_it_ran),
		cmocka_unit_test(test_last_attempt_does_not_run_again),
		cmocka_unit_test(test_elements_count_from_the_last_answer_to_the_one_that_runs),
		cmocka_unit_test(test_without_a_page_all_that_was_sent_is_lost),
		cmocka_unit_test(test_task_that_nobody_waits_for_is_not_lost),
		cmocka_unit_test(test_task_past_its_timeout_is_lost_to_that),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
