/* SPDX-License-Identifier: MIT */
#include "core/stop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "world.h"

static const char *const functions[] = {"t.f", "t.g", NULL};

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

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
	world_advance(f->world, 10 * S);
	world_check(f->world);
	assert_int_equal(f->pool->running, 0);
	world_destroy(f->world);
}

/* Submits and returns the msgid of the reply. */
static uint32_t submit(struct fixture *f, struct call call)
{
	call.function = call.function ? call.function : "t.f";
	assert_int_not_equal(world_submit(f->world, f->session, call, NULL), 0);
	return f->world->last_msgid;
}

static uint32_t apply(struct fixture *f, uint64_t timeout_us)
{
	return submit(f, (struct call){.timeout_us = timeout_us});
}

/* One chunk of all its elements. */
static uint32_t map(struct fixture *f, uint32_t count, uint64_t timeout_us)
{
	return submit(f, (struct call){.map = true,
				       .count = count,
				       .chunksize = count,
				       .collect = true,
				       .timeout_us = timeout_us});
}

static struct fake_worker *fake(struct fixture *f, unsigned place)
{
	return world_worker(f->world, place);
}

static void run(struct fixture *f, struct fake_worker *worker, uint64_t us)
{
	assert_true(fake_begin(f->world, worker));
	world_advance(f->world, us);
}

static struct cancellation cancel(struct fixture *f, uint32_t msgid)
{
	struct outcome error;
	struct job *job = core_find_request(f->session, msgid, &error);
	assert_non_null(job);
	struct cancellation done = core_cancel(&f->world->core, job, f->world->now_us);
	world_settle(f->world);
	return done;
}

/* The code of element `index` of a collected map's result. */
static enum error_code code_of(const struct record *reply, size_t index)
{
	const char *name;
	size_t size;
	struct procpool_value pair = procpool_value_at(record_value(reply), index);
	struct procpool_value error = procpool_value_at(pair, 0);
	if (procpool_value_type(error) == PROCPOOL_NIL)
		return ERR_NONE;
	assert_true(procpool_value_string(procpool_value_get(error, "code"), &name, &size));
	return error_from_name(name, size);
}

static bool says(const struct record *record, const char *text)
{
	const char *message;
	size_t size;
	assert_true(procpool_value_string(procpool_value_get(record_value(record), "message"),
					  &message, &size));
	return memmem(message, size, text, strlen(text));
}

/* ---- timeouts ---- */

static void test_task_past_its_timeout_is_asked_to_stop_and_keeps_its_worker(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, worker, 499 * MS);
	assert_int_equal(worker->halts, 0);
	world_advance(f.world, 1 * MS);
	assert_int_equal(worker->halts, 1);
	assert_true(fake_is_to_stop(worker));
	assert_int_equal(worker->worker->state, WORKER_HALTING);
	assert_null(world_reply(f.world, msgid));

	world_advance(f.world, 20 * MS);
	fake_fail(f.world, worker, 520 * MS);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(reply->code, ERR_TIMEOUT);
	assert_true(record_double(reply, "timeout") == 0.5);
	assert_true(record_double(reply, "ran") > 0.519 && record_double(reply, "ran") < 0.521);
	assert_true(says(reply, "ended when it was asked to"));
	assert_int_equal(worker->worker->state, WORKER_IDLE);
	assert_int_equal(worker->page->stop, 0);
	assert_int_equal(worker->worker->watch.place, 0);
	end(&f);
}

static void test_task_that_ends_in_time_is_left_alone(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, worker, 499 * MS);
	fake_answer(f.world, worker, 1, 499 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	/* The next one has a time of its own. */
	msgid = apply(&f, 500 * MS);
	run(&f, worker, 499 * MS);
	fake_answer(f.world, worker, 1, 499 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	assert_int_equal(worker->halts, 0);
	/* The timer finds nothing, once. */
	world_advance(f.world, 1 * S);
	assert_int_equal(worker->worker->watch.place, 0);
	end(&f);
}

static void test_value_that_comes_after_the_stop_is_dropped(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 600 * MS);
	fake_answer(f.world, fake(&f, 0), 1, 600 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	end(&f);
}

static void test_what_the_stopped_function_said_is_told(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct worker *worker = fake(&f, 0)->worker;
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 600 * MS);
	struct error_builder b;
	error_builder_begin(&b, ERR_FUNCTION_FAILED, "as told");
	error_builder_add_string(&b, "type", "Stopped");
	error_builder_add_string(&b, "traceback", "line 7");
	error_builder_add_int(&b, "data", 3);
	error_builder_add_int(&b, "timeout", 3);
	struct outcome said = error_builder_end(&b);
	assert_true(core_worker_error(&f.world->core, worker, 1, 0, 600 * MS,
				      span_value(said.value), f.world->now_us));
	outcome_fini(&said);
	fake(&f, 0)->halts = 0;
	world_settle(f.world);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(reply->code, ERR_TIMEOUT);
	assert_true(procpool_value_is(procpool_value_get(record_value(reply), "type"), "Stopped"));
	assert_int_equal(record_int(reply, "data"), 3);
	assert_true(record_double(reply, "timeout") == 0.5);
	fake_die(f.world, fake(&f, 0), SIGKILL);
	end(&f);
}

static void test_task_that_does_not_stop_is_killed_with_its_worker(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 1499 * MS);
	assert_null(world_reply(f.world, msgid));
	world_advance(f.world, 1 * MS);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(reply->code, ERR_TIMEOUT);
	assert_int_equal(record_int(reply, "pid"), 4001);
	assert_true(record_double(reply, "ran") == 1.5);
	assert_true(says(reply, "did not stop"));
	end(&f);
}

static void test_pool_without_time_to_stop_kills_at_once(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	f.pool->spec->stop_us = 0;
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 500 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	assert_true(says(world_reply(f.world, msgid), "its worker was killed"));
	end(&f);
}

static void test_runtime_that_cannot_be_asked_is_killed_at_once(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	f.pool->serving->abilities.stops = false;
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 500 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	end(&f);
}

static void test_worker_that_dies_while_its_task_stops_is_a_timeout(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 600 * MS);
	fake_die(f.world, fake(&f, 0), SIGSEGV);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	assert_true(says(world_reply(f.world, msgid), "its worker died"));
	end(&f);
}

static void test_each_element_of_a_chunk_has_its_own_time(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 20, 500 * MS);
	for (int i = 0; i < 20; i++) {
		run(&f, worker, 450 * MS);
		fake_answer(f.world, worker, 1, 450 * MS);
	}
	assert_int_equal(worker->halts, 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(code_of(world_reply(f.world, msgid), i), ERR_NONE);
	end(&f);
}

static void test_what_waits_behind_runs_elsewhere(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	uint32_t msgid = map(&f, 5, 500 * MS);
	struct fake_worker *worker = fake(&f, 0)->worker->pending ? fake(&f, 0) : fake(&f, 1);
	assert_true(fake_begin(f.world, worker));
	fake_answer(f.world, worker, 1, 10);
	/* The scheduler takes back behind a long task after a moment; so does the stop. */
	run(&f, worker, 500 * MS);
	assert_true(fake_is_to_stop(worker));
	assert_false(fake_begin(f.world, worker));
	world_advance(f.world, 1 * S);
	world_work(f.world);
	const struct record *reply = world_reply(f.world, msgid);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(code_of(reply, i), i == 1 ? ERR_TIMEOUT : ERR_NONE);
	end(&f);
}

static void test_what_waits_behind_goes_back_also_where_nobody_idles(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 5, 500 * MS);
	run(&f, worker, 500 * MS);
	assert_int_equal(f.pool->waiting, 4);
	assert_false(fake_begin(f.world, worker));
	fake_fail(f.world, worker, 500 * MS);
	world_work(f.world);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(code_of(world_reply(f.world, msgid), i),
				 i == 0 ? ERR_TIMEOUT : ERR_NONE);
	end(&f);
}

static void test_nothing_is_assigned_until_the_task_has_stopped(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	apply(&f, 500 * MS);
	run(&f, worker, 500 * MS);
	uint32_t msgid = apply(&f, 0);
	assert_int_equal(worker->worker->pending, 1);
	assert_int_equal(f.pool->waiting, 1);
	fake_fail(f.world, worker, 500 * MS);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_NONE);
	end(&f);
}

static void test_values_finished_before_share_a_message_with_the_stopped_one(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 6, 500 * MS);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, worker));
	fake_answer(f.world, worker, 2, 10);
	assert_true(fake_begin(f.world, worker));
	/* The one before has ended and is not answered, so nothing is due yet. */
	world_advance(f.world, 500 * MS);
	assert_int_equal(worker->halts, 0);
	fake_answer(f.world, worker, 1, 10);
	world_advance(f.world, 500 * MS);
	assert_true(fake_is_to_stop(worker));
	fake_answer(f.world, worker, 1, 10);
	world_work(f.world);
	const struct record *reply = world_reply(f.world, msgid);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(code_of(reply, i), i == 3 ? ERR_TIMEOUT : ERR_NONE);
	end(&f);
}

static void test_values_around_the_stopped_one_are_kept(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_EXEC);
	f.pool->serving->abilities.stop_signal = SIGUSR1;
	uint32_t msgid = map(&f, 3, 500 * MS);
	struct fake_worker *worker = fake(&f, 0);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, worker));
	fake_answer(f.world, worker, 2, 10);
	world_advance(f.world, 600 * MS);
	assert_int_equal(worker->halts, 1);
	fake_answer(f.world, worker, 1, 10);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(code_of(reply, 1), ERR_NONE);
	assert_int_equal(code_of(reply, 2), ERR_TIMEOUT);
	end(&f);
}

static void test_time_counts_from_the_beginning_not_from_the_sending(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	world_advance(f.world, 300 * MS);
	run(&f, worker, 499 * MS);
	assert_int_equal(worker->halts, 0);
	world_advance(f.world, 1 * MS);
	assert_int_equal(worker->halts, 1);
	fake_fail(f.world, worker, 500 * MS);
	assert_true(record_double(world_reply(f.world, msgid), "ran") == 0.5);
	end(&f);
}

static void test_shorter_timeout_behind_a_longer_one_is_kept(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	function_measure(function_table_find(&f.pool->functions, "t.f", 3), 10, 1);
	apply(&f, 10 * S);
	apply(&f, 100 * MS);
	assert_int_equal(worker->worker->pending, 2);
	assert_true(fake_begin(f.world, worker));
	fake_answer(f.world, worker, 1, 10);
	run(&f, worker, 99 * MS);
	assert_int_equal(worker->halts, 0);
	world_advance(f.world, 1 * MS);
	assert_int_equal(worker->halts, 1);
	end(&f);
}

/* ---- workers that lie ---- */

static void test_worker_that_lies_about_the_beginning_gains_one_timeout(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	apply(&f, 500 * MS);
	assert_true(fake_begin(f.world, worker));
	atomic_store(&worker->page->began, UINT64_MAX);
	world_advance(f.world, 999 * MS);
	assert_int_equal(worker->halts, 0);
	world_advance(f.world, 1 * MS);
	assert_int_equal(worker->halts, 1);
	end(&f);
}

static void test_worker_that_says_it_began_long_ago_loses_nothing(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	apply(&f, 500 * MS);
	assert_true(fake_begin(f.world, worker));
	atomic_store(&worker->page->began, 1);
	world_advance(f.world, 499 * MS);
	assert_int_equal(worker->halts, 0);
	end(&f);
}

static void test_worker_that_begins_more_and_answers_nothing_is_killed(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 100, 500 * MS);
	for (int i = 0; i < 6; i++)
		run(&f, worker, 300 * MS);
	assert_null(world_reply(f.world, msgid));
	assert_ptr_equal(fake(&f, 0), worker);
	unsigned restarts = (unsigned)f.pool->restarts;
	run(&f, worker, 300 * MS);
	assert_int_equal(f.pool->restarts, restarts + 1);
	world_work(f.world);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(code_of(reply, 0), ERR_TIMEOUT);
	for (size_t i = 1; i < 100; i++)
		assert_int_equal(code_of(reply, i), i < 7 ? ERR_WORKER_LOST : ERR_NONE);
	end(&f);
}

static void test_worker_with_nonsense_in_its_page_is_killed(void **state)
{
	(void)state;
	static const uint64_t words[] = {0, UINT64_MAX, (UINT64_C(1) << 32) + 77};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct fixture f = begin(1, FAKE_FORK_PAGE);
		struct fake_worker *worker = fake(&f, 0);
		uint32_t msgid = map(&f, 3, 500 * MS);
		assert_true(fake_begin(f.world, worker));
		atomic_store(page_slot(worker->page, 1), words[i]);
		atomic_store(&worker->page->stop, UINT64_MAX);
		world_advance(f.world, 4 * S);
		world_work(f.world);
		assert_int_equal(code_of(world_reply(f.world, msgid), 0), ERR_TIMEOUT);
		end(&f);
	}
}

/* ---- without a page ---- */

static void test_without_a_page_the_rest_of_the_message_is_lost(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_EXEC);
	f.pool->serving->abilities.stop_signal = SIGUSR1;
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 3, 500 * MS);
	run(&f, worker, 300 * MS);
	fake_answer(f.world, worker, 1, 300 * MS);
	run(&f, worker, 500 * MS);
	const struct record *reply = world_reply(f.world, msgid);
	assert_int_equal(code_of(reply, 0), ERR_NONE);
	assert_int_equal(code_of(reply, 1), ERR_TIMEOUT);
	assert_int_equal(code_of(reply, 2), ERR_WORKER_LOST);
	end(&f);
}

static void test_without_a_page_only_the_last_of_a_message_gets_a_signal(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_EXEC);
	f.pool->serving->abilities.stop_signal = SIGUSR1;
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, worker, 500 * MS);
	assert_int_equal(worker->halts, 1);
	fake_fail(f.world, worker, 500 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	assert_int_equal(worker->worker->state, WORKER_IDLE);
	end(&f);
}

static void test_forked_worker_without_a_page_gets_no_signal(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK);
	f.pool->serving->abilities.stop_signal = SIGUSR1;
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, fake(&f, 0), 500 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	end(&f);
}

/* ---- what nobody wants any more ---- */

static void test_cancelled_task_stops_and_keeps_its_worker(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 0);
	run(&f, worker, 10 * MS);
	struct cancellation done = cancel(&f, msgid);
	assert_true(done.cancelled && done.running == 1);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_CANCELLED);
	assert_true(fake_is_to_stop(worker));
	fake_fail(f.world, worker, 10 * MS);
	assert_int_equal(worker->worker->state, WORKER_IDLE);
	assert_int_equal(world_count(f.world, ACTION_REPLY, f.session, 0), 1);
	assert_int_equal(f.world->core.jobs.count, 0);
	end(&f);
}

static void test_cancelled_task_that_does_not_stop_is_killed(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	uint32_t msgid = apply(&f, 0);
	run(&f, fake(&f, 0), 10 * MS);
	cancel(&f, msgid);
	world_advance(f.world, 999 * MS);
	assert_int_equal(f.pool->restarts, 0);
	world_advance(f.world, 1 * MS);
	assert_int_equal(f.pool->restarts, 1);
	assert_int_equal(world_count(f.world, ACTION_REPLY, f.session, 0), 1);
	end(&f);
}

static void test_task_cancelled_while_it_stops_for_its_timeout_is_cancelled(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	run(&f, worker, 600 * MS);
	assert_int_equal(cancel(&f, msgid).running, 1);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_CANCELLED);
	fake_fail(f.world, worker, 600 * MS);
	assert_int_equal(world_count(f.world, ACTION_REPLY, f.session, 0), 1);
	end(&f);
}

static void test_cancelling_harms_no_other_task_at_the_worker(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	function_measure(function_table_find(&f.pool->functions, "t.f", 3), 10, 1);
	uint32_t first = apply(&f, 0), second = apply(&f, 0), third = apply(&f, 0);
	assert_int_equal(worker->worker->pending, 3);
	/* The first has ended, and its answer is on its way. */
	assert_true(fake_begin(f.world, worker));
	assert_true(fake_begin(f.world, worker));
	assert_int_equal(cancel(&f, first).running, 0);
	assert_int_equal(worker->halts, 0);
	/* The second runs: the third goes back. */
	assert_int_equal(cancel(&f, second).running, 1);
	assert_true(fake_is_to_stop(worker));
	assert_int_equal(f.pool->waiting, 1);
	fake_answer(f.world, worker, 1, 10);
	fake_answer(f.world, worker, 1, 10);
	world_work(f.world);
	assert_int_equal(world_reply(f.world, third)->code, ERR_NONE);
	end(&f);
}

static void test_answers_before_the_stopped_one_may_come_with_it(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = map(&f, 5, 0);
	for (int i = 0; i < 3; i++)
		assert_true(fake_begin(f.world, worker));
	assert_int_equal(cancel(&f, msgid).running, 1);
	assert_true(fake_is_to_stop(worker));
	fake_answer(f.world, worker, 3, 10);
	assert_int_equal(worker->worker->state, WORKER_IDLE);
	assert_int_equal(f.world->core.jobs.count, 0);
	end(&f);
}

static void test_failed_map_stops_what_runs_of_it_elsewhere(void **state)
{
	(void)state;
	struct fixture f = begin(2, FAKE_FORK_PAGE);
	uint32_t msgid = submit(&f, (struct call){.map = true, .count = 4, .chunksize = 2});
	assert_true(fake_begin(f.world, fake(&f, 0)));
	assert_true(fake_begin(f.world, fake(&f, 1)));
	fake_fail(f.world, fake(&f, 0), 10);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_FUNCTION_FAILED);
	assert_true(fake_is_to_stop(fake(&f, 1)));
	end(&f);
}

static void test_what_runs_for_a_session_stops_with_it(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	struct fake_worker *worker = fake(&f, 0);
	apply(&f, 0);
	run(&f, worker, 10 * MS);
	world_close(f.world, f.session);
	assert_true(fake_is_to_stop(worker));
	world_advance(f.world, 1 * S);
	assert_int_equal(f.pool->restarts, 1);
	end(&f);
}

static void test_worker_that_is_to_end_may_still_be_stopped(void **state)
{
	(void)state;
	struct fixture f = begin(1, FAKE_FORK_PAGE);
	f.world->manual = true;
	struct fake_worker *worker = fake(&f, 0);
	uint32_t msgid = apply(&f, 500 * MS);
	assert_true(fake_begin(f.world, worker));
	pool_stop_worker(worker->worker, f.world->now_us);
	world_advance(f.world, 500 * MS);
	assert_true(fake_is_to_stop(worker));
	assert_int_equal(worker->worker->state, WORKER_STOPPING);
	fake_fail(f.world, worker, 500 * MS);
	assert_int_equal(world_reply(f.world, msgid)->code, ERR_TIMEOUT);
	f.world->manual = false;
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task_past_its_timeout_is_asked_to_stop_and_keeps_its_worker),
		cmocka_unit_test(test_task_that_ends_in_time_is_left_alone),
		cmocka_unit_test(test_value_that_comes_after_the_stop_is_dropped),
		cmocka_unit_test(test_what_the_stopped_function_said_is_told),
		cmocka_unit_test(test_task_that_does_not_stop_is_killed_with_its_worker),
		cmocka_unit_test(test_pool_without_time_to_stop_kills_at_once),
		cmocka_unit_test(test_runtime_that_cannot_be_asked_is_killed_at_once),
		cmocka_unit_test(test_worker_that_dies_while_its_task_stops_is_a_timeout),
		cmocka_unit_test(test_each_element_of_a_chunk_has_its_own_time),
		cmocka_unit_test(test_what_waits_behind_runs_elsewhere),
		cmocka_unit_test(test_what_waits_behind_goes_back_also_where_nobody_idles),
		cmocka_unit_test(test_nothing_is_assigned_until_the_task_has_stopped),
		cmocka_unit_test(test_values_finished_before_share_a_message_with_the_stopped_one),
		cmocka_unit_test(test_values_around_the_stopped_one_are_kept),
		cmocka_unit_test(test_time_counts_from_the_beginning_not_from_the_sending),
		cmocka_unit_test(test_shorter_timeout_behind_a_longer_one_is_kept),
		cmocka_unit_test(test_worker_that_lies_about_the_beginning_gains_one_timeout),
		cmocka_unit_test(test_worker_that_says_it_began_long_ago_loses_nothing),
		cmocka_unit_test(test_worker_that_begins_more_and_answers_nothing_is_killed),
		cmocka_unit_test(test_worker_with_nonsense_in_its_page_is_killed),
		cmocka_unit_test(test_without_a_page_the_rest_of_the_message_is_lost),
		cmocka_unit_test(test_without_a_page_only_the_last_of_a_message_gets_a_signal),
		cmocka_unit_test(test_forked_worker_without_a_page_gets_no_signal),
		cmocka_unit_test(test_cancelled_task_stops_and_keeps_its_worker),
		cmocka_unit_test(test_cancelled_task_that_does_not_stop_is_killed),
		cmocka_unit_test(test_task_cancelled_while_it_stops_for_its_timeout_is_cancelled),
		cmocka_unit_test(test_cancelling_harms_no_other_task_at_the_worker),
		cmocka_unit_test(test_answers_before_the_stopped_one_may_come_with_it),
		cmocka_unit_test(test_failed_map_stops_what_runs_of_it_elsewhere),
		cmocka_unit_test(test_what_runs_for_a_session_stops_with_it),
		cmocka_unit_test(test_worker_that_is_to_end_may_still_be_stopped),
	};
	return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
