/* SPDX-License-Identifier: MIT */
#include "core/slow.h"

#include <string.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", NULL};

#define MS   UINT64_C(1000)
#define S    UINT64_C(1000000)
#define SLOW (100 * MS)

/* The last note, and how many there were. */
struct notes {
	unsigned count;
	struct action last;
};

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
	struct fake_worker *fake;
	struct notes notes;
};

static void on_note(struct world *world, const struct action *action)
{
	struct notes *notes = world->data;
	notes->count++;
	notes->last = *action;
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	*f = (struct fixture){.world = world_create(NULL)};
	f->world->on_note = on_note;
	f->world->data = &f->notes;
	f->pool = world_add_pool(f->world, "p", 1, FAKE_FORK_PAGE, functions);
	f->pool->spec->slow_us = SLOW;
	f->session = world_open(f->world, 100);
	f->fake = world_worker(f->world, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	world_work(f->world);
	world_check(f->world);
	world_destroy(f->world);
	return 0;
}

static uint64_t submit(struct fixture *f, struct call call)
{
	call.function = "t.f";
	uint64_t id = world_submit(f->world, f->session, call, NULL);
	assert_int_not_equal(id, 0);
	return id;
}

static void run(struct fixture *f, uint64_t us)
{
	assert_true(fake_begin(f->world, f->fake));
	world_advance(f->world, us);
}

static void assert_noted(struct fixture *f, enum action_type type, unsigned count, const char *how)
{
	assert_int_equal(f->notes.count, count);
	assert_int_equal(f->notes.last.type, type);
	assert_string_equal(f->notes.last.how, how);
}

/* ---- slow tasks ---- */

static void test_task_that_took_longer_is_noted_when_it_has_ended(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit(f, (struct call){0});
	run(f, 150 * MS);
	assert_int_equal(f->notes.count, 0);
	fake_answer(f->world, f->fake, 1, 149 * MS);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "done");
	const struct action *note = &f->notes.last;
	assert_int_equal(note->job_id, id);
	assert_int_equal(note->uid, 100);
	assert_int_equal(note->ran_us, 149 * MS);
	assert_int_equal(note->count, 0);
	assert_string_equal(note->function->name, "t.f");
	assert_ptr_equal(note->worker, f->fake->worker);
}

static void test_task_that_was_as_long_is_not_noted(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){0});
	run(f, 150 * MS);
	fake_answer(f->world, f->fake, 1, SLOW);
	assert_int_equal(f->notes.count, 0);
}

static void test_without_a_limit_nothing_is_slow(void **state)
{
	struct fixture *f = *state;
	f->pool->spec->slow_us = 0;
	submit(f, (struct call){0});
	run(f, 5 * S);
	fake_answer(f->world, f->fake, 1, 5 * S);
	assert_int_equal(f->notes.count, 0);
}

/* It says what it likes, but not more than can be. */
static void test_worker_cannot_make_a_quick_task_slow(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){0});
	run(f, 50 * MS);
	fake_answer(f->world, f->fake, 1, 3600 * S);
	assert_int_equal(f->notes.count, 0);
}

static void test_task_that_fails_is_noted_with_its_error(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){0});
	run(f, 150 * MS);
	fake_fail(f->world, f->fake, 150 * MS);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "function-failed");
}

static void test_task_that_is_stopped_in_time_is_noted_as_that(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){.timeout_us = 200 * MS});
	run(f, 210 * MS);
	fake_fail(f->world, f->fake, 210 * MS);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "timeout");
}

static void test_task_that_nobody_waits_for_is_noted_as_cancelled(void **state)
{
	struct fixture *f = *state;
	struct outcome error;
	submit(f, (struct call){0});
	run(f, 150 * MS);
	struct job *job = core_find_request(f->session, f->world->last_msgid, &error);
	assert_non_null(job);
	core_cancel(&f->world->core, job, f->world->now_us);
	world_settle(f->world);
	fake_fail(f->world, f->fake, 150 * MS);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "cancelled");
}

static void test_elements_are_noted_with_those_they_were_answered_with(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){.map = true, .count = 6, .chunksize = 6});
	run(f, 0);
	run(f, 0);
	run(f, 150 * MS);
	fake_answer(f->world, f->fake, 1, 10);
	assert_int_equal(f->notes.count, 0);
	fake_answer(f->world, f->fake, 2, 150 * MS - 10);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "done");
	assert_int_equal(f->notes.last.first, 1);
	assert_int_equal(f->notes.last.count, 2);
}

static void test_task_that_hangs_is_noted_once_while_it_runs(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){0});
	run(f, 1500 * MS);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "running");
	assert_true(f->notes.last.ran_us >= 1 * S);
	world_advance(f->world, 10 * S);
	assert_int_equal(f->notes.count, 1);
	fake_answer(f->world, f->fake, 1, 11 * S);
	assert_noted(f, ACTION_NOTE_SLOW, 2, "done");
}

static void test_element_that_hangs_is_noted_though_one_before_it_did(void **state)
{
	struct fixture *f = *state;
	submit(f, (struct call){.map = true, .count = 3, .chunksize = 3});
	run(f, 3 * S);
	assert_noted(f, ACTION_NOTE_SLOW, 1, "running");
	assert_int_equal(f->notes.last.first, 0);
	fake_answer(f->world, f->fake, 1, 3 * S);
	assert_int_equal(f->notes.count, 2);
	run(f, 3 * S);
	assert_noted(f, ACTION_NOTE_SLOW, 3, "running");
	assert_int_equal(f->notes.last.first, 1);
}

static void test_task_that_runs_for_less_is_not_noted(void **state)
{
	struct fixture *f = *state;
	f->pool->spec->slow_us = 60 * S;
	submit(f, (struct call){0});
	run(f, 10 * S);
	fake_answer(f->world, f->fake, 1, 10 * S);
	assert_int_equal(f->notes.count, 0);
}

/* ---- ends of jobs ---- */

static void test_ends_of_jobs_are_noted_where_wanted(void **state)
{
	struct fixture *f = *state;
	f->pool->spec->slow_us = 0;
	submit(f, (struct call){0});
	run(f, 5 * MS);
	fake_answer(f->world, f->fake, 1, 5 * MS);
	assert_int_equal(f->notes.count, 0);
	f->world->core.notes_ends = true;
	uint64_t id = submit(f, (struct call){0});
	run(f, 5 * MS);
	fake_answer(f->world, f->fake, 1, 5 * MS);
	assert_noted(f, ACTION_NOTE_END, 1, "done");
	assert_int_equal(f->notes.last.job_id, id);
	assert_int_equal(f->notes.last.uid, 100);
	assert_int_equal(f->notes.last.count, 1);
	assert_int_equal(f->notes.last.ran_us, 5 * MS);
	assert_ptr_equal(f->notes.last.session, f->session);
	submit(f, (struct call){0});
	run(f, 5 * MS);
	fake_fail(f->world, f->fake, 5 * MS);
	assert_noted(f, ACTION_NOTE_END, 2, "function-failed");
}

/* Its session may be gone before the note is read. */
static void test_end_of_a_job_whose_connection_has_gone_has_no_session(void **state)
{
	struct fixture *f = *state;
	f->world->core.notes_ends = true;
	struct session *other = world_open(f->world, 200);
	assert_int_not_equal(world_submit(f->world, other, (struct call){.function = "t.f"}, NULL),
			     0);
	world_close(f->world, other);
	assert_noted(f, ACTION_NOTE_END, 1, "cancelled");
	assert_null(f->notes.last.session);
	assert_int_equal(f->notes.last.uid, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_task_that_took_longer_is_noted_when_it_has_ended),
		TEST(test_task_that_was_as_long_is_not_noted),
		TEST(test_without_a_limit_nothing_is_slow),
		TEST(test_worker_cannot_make_a_quick_task_slow),
		TEST(test_task_that_fails_is_noted_with_its_error),
		TEST(test_task_that_is_stopped_in_time_is_noted_as_that),
		TEST(test_task_that_nobody_waits_for_is_noted_as_cancelled),
		TEST(test_elements_are_noted_with_those_they_were_answered_with),
		TEST(test_task_that_hangs_is_noted_once_while_it_runs),
		TEST(test_element_that_hangs_is_noted_though_one_before_it_did),
		TEST(test_task_that_runs_for_less_is_not_noted),
		TEST(test_ends_of_jobs_are_noted_where_wanted),
		TEST(test_end_of_a_job_whose_connection_has_gone_has_no_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
