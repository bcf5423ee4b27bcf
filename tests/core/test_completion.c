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

/* ---- values and errors ---- */

struct fixture {
	struct world *world;
	struct pool *pool;
	struct session *session;
};

static struct fixture begin(unsigned workers, enum fake_kind kind, const struct limits *limits)
{
	struct fixture f = {.world = world_create(limits)};
	f.pool = world_add_pool(f.world, "p", workers, kind, functions);
	f.session = world_open(f.world, 100);
	return f;
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_destroy(f->world);
}

#define MAP ((struct call){.function = "t.f", .map = true, .count = 4, .chunksize = 2})

/* Ends the tasks of the map that is under way: all but the third with their value. */
static void fail_the_third(struct fixture *f)
{
	for (int i = 0; i < 4; i++) {
		struct fake_worker *fake = world_worker(f->world, 0);
		if (!fake_begin(f->world, fake))
			break;
		if (i == 2)
			fake_fail(f->world, fake, 0);
		else
			fake_answer(f->world, fake, 1, 0);
	}
}

static void assert_code(struct procpool_value error, const char *code)
{
	assert_true(procpool_value_is(procpool_value_get(error, "code"), code));
}

static void test_first_error_ends_a_map_with_its_index(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	uint64_t id = world_submit(f.world, f.session, MAP, NULL);
	fail_the_third(&f);
	const struct record *reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(reply->code, ERR_FUNCTION_FAILED);
	assert_int_equal(record_int(reply, "index"), 2);
	assert_true((uint64_t)record_int(reply, "job") == id);
	/* The fourth was taken back from the worker. */
	assert_int_equal(f.pool->running, 0);
	end(&f);
}

static void test_collected_map_runs_all_and_has_pairs(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	struct call call = MAP;
	call.collect = true;
	world_submit(f.world, f.session, call, NULL);
	fail_the_third(&f);
	const struct record *reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(reply->code, ERR_NONE);
	struct procpool_value pair = procpool_value_at(record_value(reply), 2);
	assert_code(procpool_value_at(pair, 0), "function-failed");
	assert_value_bytes(procpool_value_at(record_value(reply), 3), BYTES(0x92, 0xc0, 3));
	end(&f);
}

static void test_streamed_map_pushes_items_before_its_result(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	struct call call = MAP;
	call.stream = call.async = call.collect = true;
	uint64_t id = world_submit(f.world, f.session, call, NULL);
	struct fake_worker *fake = world_worker(f.world, 0);
	assert_true(fake_begin(f.world, fake) && fake_begin(f.world, fake));
	fake_answer(f.world, fake, 2, 0);
	const struct record *items = world_push(f.world, ACTION_PUSH_ITEMS, f.session, id);
	assert_int_equal(items->first, 0);
	assert_value_bytes(record_value(items), BYTES(0x92, 0x92, 0xc0, 0, 0x92, 0xc0, 1));
	assert_true(fake_begin(f.world, fake));
	fake_fail(f.world, fake, 0);
	items = world_push(f.world, ACTION_PUSH_ITEMS, f.session, id);
	assert_int_equal(items->first, 2);
	assert_null(world_push(f.world, ACTION_PUSH_RESULT, f.session, id));
	world_work(f.world);
	const struct record *result = world_push(f.world, ACTION_PUSH_RESULT, f.session, id);
	assert_value_bytes(record_value(result), BYTES(4));
	end(&f);
}

static void test_streamed_map_pushes_bare_values_where_it_is_to(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	struct call call = MAP;
	call.stream = call.values = call.async = call.collect = true;
	uint64_t id = world_submit(f.world, f.session, call, NULL);
	struct fake_worker *fake = world_worker(f.world, 0);
	assert_true(fake_begin(f.world, fake) && fake_begin(f.world, fake));
	fake_answer(f.world, fake, 2, 0);
	const struct record *values = world_push(f.world, ACTION_PUSH_VALUES, f.session, id);
	assert_int_equal(values->first, 0);
	assert_value_bytes(record_value(values), BYTES(0x92, 0, 1));
	assert_null(world_push(f.world, ACTION_PUSH_ITEMS, f.session, id));
	assert_true(fake_begin(f.world, fake));
	fake_fail(f.world, fake, 0);
	const struct record *items = world_push(f.world, ACTION_PUSH_ITEMS, f.session, id);
	assert_int_equal(items->first, 2);
	assert_null(world_push(f.world, ACTION_PUSH_RESULT, f.session, id));
	world_work(f.world);
	values = world_push(f.world, ACTION_PUSH_VALUES, f.session, id);
	assert_int_equal(values->first, 3);
	const struct record *result = world_push(f.world, ACTION_PUSH_RESULT, f.session, id);
	assert_value_bytes(record_value(result), BYTES(4));
	end(&f);
}

static void test_result_that_grows_too_large_ends_the_map(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.message_bytes = 512 + 5 + 3;
	struct fixture f = begin(1, FAKE_FORK_PAGE, &limits);
	world_submit(f.world, f.session, MAP, NULL);
	uint32_t too_large = f.world->last_msgid;
	world_work(f.world);
	assert_int_equal(world_reply(f.world, too_large)->code, ERR_TOO_LARGE);
	struct call call = MAP;
	call.count = 3;
	world_submit(f.world, f.session, call, NULL);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, f.world->last_msgid)->code, ERR_NONE);
	end(&f);
}

static void test_answers_that_nobody_asked_for_are_refused(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	struct worker *worker = world_worker(f.world, 0)->worker;
	struct core *core = &f.world->core;
	struct span one = {NULL, (const uint8_t *)"\x01", 1};
	assert_false(core_worker_values(core, worker, 1, 0, 1, 0, one, f.world->now_us));
	world_submit(f.world, f.session, MAP, NULL);
	assert_false(core_worker_values(core, worker, 1, 1, 1, 0, one, f.world->now_us));
	assert_false(core_worker_values(core, worker, 2, 0, 1, 0, one, f.world->now_us));
	assert_false(core_worker_values(core, worker, 1, 0, 3, 0, one, f.world->now_us));
	assert_false(core_worker_error(core, worker, 1, 1, 0, VALUE(0x80), f.world->now_us));
	assert_false(core_worker_error(core, worker, 0, 0, 0, VALUE(0x80), f.world->now_us));
	world_work(f.world);
	assert_int_equal(world_reply(f.world, f.world->last_msgid)->code, ERR_NONE);
	end(&f);
}

/* ---- workers that are lost ---- */

static void test_task_that_ran_in_a_lost_worker_says_what_happened(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK, NULL);
	int64_t pid = world_worker(f.world, 0)->worker->pid;
	world_submit(f.world, f.session, (struct call){.function = "t.f"}, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	fake_die(f.world, world_worker(f.world, 0), SIGKILL);
	const struct record *reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(reply->code, ERR_WORKER_LOST);
	assert_int_equal(record_int(reply, "signal"), SIGKILL);
	assert_int_equal(record_int(reply, "pid"), pid);
	world_submit(f.world, f.session, (struct call){.function = "t.f"}, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	fake_die(f.world, world_worker(f.world, 0), 0);
	reply = world_reply(f.world, f.world->last_msgid);
	assert_int_equal(record_int(reply, "exit_status"), 1);
	assert_int_equal(f.pool->restarts, 2);
	end(&f);
}

static unsigned runs[4];

static void count_runs(struct world *world, struct fake_message *message, uint32_t index)
{
	(void)world;
	runs[message->items[index]]++;
}

/* Two of the first message were answered, one ran: its error, and all values. */
static void test_lost_worker_costs_a_map_only_the_element_that_ran(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE, NULL);
	struct call call = MAP;
	call.chunksize = 4;
	call.collect = true;
	memset(runs, 0, sizeof(runs));
	f.world->on_begin = count_runs;
	world_submit(f.world, f.session, call, NULL);
	struct fake_worker *fake = world_worker(f.world, 0);
	if (fake->worker->pending == 0)
		fake = world_worker(f.world, 1);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, fake));
	fake_answer(f.world, fake, 2, 0);
	fake_die(f.world, fake, SIGSEGV);
	world_work(f.world);
	struct procpool_value value = record_value(world_reply(f.world, f.world->last_msgid));
	struct procpool_value lost = procpool_value_at(procpool_value_at(value, 2), 0);
	assert_code(lost, "worker-lost");
	int64_t index;
	assert_true(procpool_value_int(procpool_value_get(lost, "index"), &index) && index == 2);
	for (uint8_t i = 0; i < 4; i++) {
		assert_int_equal(runs[i], 1);
		if (i != 2)
			assert_value_bytes(procpool_value_at(value, i), BYTES(0x92, 0xc0, i));
	}
	end(&f);
}

static void test_without_a_page_the_whole_message_has_begun(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK, NULL);
	struct call call = MAP;
	call.collect = true;
	world_submit(f.world, f.session, call, NULL);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	fake_die(f.world, world_worker(f.world, 0), SIGSEGV);
	world_work(f.world);
	struct procpool_value value = record_value(world_reply(f.world, f.world->last_msgid));
	for (size_t i = 0; i < 4; i++) {
		struct procpool_value error = procpool_value_at(procpool_value_at(value, i), 0);
		if (i < 2)
			assert_code(error, "worker-lost");
		else
			assert_int_equal(procpool_value_type(error), PROCPOOL_NIL);
	}
	end(&f);
}

/* ---- keeping ---- */

static bool is_kept(struct fixture *f, uint64_t id)
{
	struct outcome error = {0};
	struct job *job = core_find_job(&f->world->core, f->session, id, ACCESS_ADMINISTER, &error);
	outcome_fini(&error);
	return job;
}

static void test_oldest_finished_jobs_make_room_for_new_ones(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	/* Three jobs of a byte each, and not quite a fourth. */
	limits.retained_bytes_session = 4 * JOB_KEPT_BYTES;
	struct fixture f = begin(1, FAKE_FORK_PAGE, &limits);
	uint64_t ids[5];
	for (int i = 0; i < 5; i++) {
		struct call call = {.function = "t.f", .async = true};
		ids[i] = world_submit(f.world, f.session, call, NULL);
		world_work(f.world);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(is_kept(&f, ids[i]), i >= 2);
	assert_int_equal(f.world->core.kept_count, 3);
	world_check(f.world);
	world_advance(f.world, limits.retained_seconds * 1000000);
	assert_int_equal(f.world->core.kept_count, 0);
	end(&f);
}

static void test_result_larger_than_all_room_is_pushed_and_not_kept(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.retained_bytes_user = 10;
	struct fixture f = begin(1, FAKE_FORK_PAGE, &limits);
	struct call call = {.function = "t.f", .async = true};
	uint64_t id = world_submit(f.world, f.session, call, NULL);
	uint32_t msgid = world_wait(f.world, f.session, id, TIME_NEVER);
	world_work(f.world);
	assert_int_equal(world_count(f.world, ACTION_PUSH_RESULT, f.session, id), 1);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	assert_false(is_kept(&f, id));
	end(&f);
}

static void test_answered_apply_is_not_kept(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE, NULL);
	uint64_t id = world_submit(f.world, f.session, (struct call){.function = "t.f"}, NULL);
	assert_true(is_kept(&f, id));
	world_work(f.world);
	assert_false(is_kept(&f, id));
	assert_int_equal(f.world->core.jobs.count, 0);
	end(&f);
}

/* Values are bounded as they come; errors that are collected no less. */
static void test_collected_errors_are_bounded_by_message_bytes(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	limits.message_bytes = 4096;
	struct world *world = world_create(&limits);
	world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100);
	world_submit(world, session,
		     (struct call){.function = "t.f", .map = true, .count = 200, .collect = true},
		     NULL);
	while (!world_reply(world, world->last_msgid)) {
		assert_true(fake_begin(world, world_worker(world, 0)));
		fake_fail(world, world_worker(world, 0), 10);
	}
	assert_int_equal(world_reply(world, world->last_msgid)->code, ERR_TOO_LARGE);
	world_work(world);
	world_check(world);
	world_destroy(world);
}

/* ---- who pays ---- */

static struct flow *user_flow(struct session *session)
{
	return session->user->flows;
}

/* Else the time of those whose tasks are moved about would count twice. */
static void test_what_is_taken_back_is_not_charged(void **state)
{
	(void)state;
	struct world *world = world_create(NULL);
	struct pool *pool = world_add_pool(world, "p", 1, FAKE_FORK_PAGE, functions);
	struct session *session = world_open(world, 100), *other = world_open(world, 101);
	function_measure(function_table_find(&pool->functions, "t.f", 3), 50, 1);
	world_submit(world, session,
		     (struct call){.function = "t.f", .map = true, .count = 8, .chunksize = 8},
		     NULL);
	/* Both have something waiting, so that charges count. */
	world_submit(world, other, (struct call){.function = "t.g"}, NULL);
	world_submit(world, session, (struct call){.function = "t.g"}, NULL);
	struct worker *worker = world_worker(world, 0)->worker;
	int64_t before_us = user_flow(session)->deficit_us;
	assert_true(fake_begin(world, world_worker(world, 0)));
	double backlog_us = worker->backlog_us;
	core_take_back(&world->core, worker, worker_current(worker), world->now_us);
	assert_in_range(user_flow(session)->deficit_us, before_us + 340, before_us + 360);
	assert_in_range((int64_t)(backlog_us - worker->backlog_us), 340, 360);
	world_settle(world);
	world_work(world);
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
		cmocka_unit_test(test_collected_errors_are_bounded_by_message_bytes),
		cmocka_unit_test(test_what_is_taken_back_is_not_charged),
		cmocka_unit_test(test_hostile_microseconds_are_no_longer_than_the_task_was_there),
		cmocka_unit_test(test_what_had_not_begun_runs_elsewhere),
		cmocka_unit_test(test_implausible_words_count_everything_as_begun),
		cmocka_unit_test(test_first_error_ends_a_map_with_its_index),
		cmocka_unit_test(test_collected_map_runs_all_and_has_pairs),
		cmocka_unit_test(test_streamed_map_pushes_items_before_its_result),
		cmocka_unit_test(test_streamed_map_pushes_bare_values_where_it_is_to),
		cmocka_unit_test(test_result_that_grows_too_large_ends_the_map),
		cmocka_unit_test(test_answers_that_nobody_asked_for_are_refused),
		cmocka_unit_test(test_task_that_ran_in_a_lost_worker_says_what_happened),
		cmocka_unit_test(test_lost_worker_costs_a_map_only_the_element_that_ran),
		cmocka_unit_test(test_without_a_page_the_whole_message_has_begun),
		cmocka_unit_test(test_oldest_finished_jobs_make_room_for_new_ones),
		cmocka_unit_test(test_result_larger_than_all_room_is_pushed_and_not_kept),
		cmocka_unit_test(test_answered_apply_is_not_kept),
	};
	return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
