/* SPDX-License-Identifier: MIT */
/*
 * Random lives: sessions of several users submit, wait, cancel and leave, workers answer and die,
 * tasks run past their timeouts and obey or do not, spawners die, workers look stopped or wedged,
 * pools are scaled, recycled, paused, drained, reconfigured, removed and added again, time passes,
 * the daemon stops, all at any moment.
 * Whatever happens:
 *
 * - every accepted job has one outcome, and every request that waits for it gets one reply;
 * - what has expired has never begun;
 * - no task begins twice, or more often than its retries allow, and what a map returns is what its
 *   tasks answered;
 * - the core's counters and accounts agree with what can be counted (world_check), no limit is
 *   exceeded, no worker idles while a task waits, and in the end all is given back.
 *
 * PROPERTY_SEED=n repeats one life, a failure says which it was; PROPERTY_SEEDS=n lives n.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/test.h"
#include "core/control.h"
#include "core/policy.h"
#include "core/string_list.h"
#include "world.h"

#define SEEDS        400
#define STEPS        500
#define JOBS_MAX     (STEPS + 1)
#define SESSIONS_MAX 6
#define ITEMS_MAX    (STEPS * 40)

static const char *const functions[] = {"t.f", "t.g", "*", NULL};
static const uid_t uids[] = {100, 100, 200, 300};
static uint64_t seed_now; /* 0: none */

/* What an item's task has come to. */
enum fate {
	FATE_UNKNOWN, /* not begun, or lost with its worker */
	FATE_VALUE,
	FATE_ERROR,
};

struct expected_job {
	struct call call;
	uint64_t session_id;
	uint32_t msgid;
	unsigned replies;
	unsigned results;  /* as the one who watches everything saw */
	unsigned own;      /* pushed to the submitter */
	uint32_t streamed; /* elements */
	bool orphaned;     /* its session has ended */
};

struct life {
	struct world *world;
	uint64_t random;
	struct session *watcher; /* root, subscribed to everything */
	struct session *sessions[SESSIONS_MAX];
	struct expected_job jobs[JOBS_MAX];
	uint64_t first_id;
	uint32_t job_count;
	unsigned wait_count, waits_answered;
	uint64_t next_item;
	uint8_t retries[ITEMS_MAX]; /* allowed */
	uint8_t begun[ITEMS_MAX];
	uint8_t fates[ITEMS_MAX];
};

static uint64_t below(struct life *life, uint64_t n)
{
	return test_random(&life->random) % n;
}

static bool chance(struct life *life, unsigned percent)
{
	return below(life, 100) < percent;
}

static enum runtime_end any_end(struct life *life)
{
	return (enum runtime_end)below(life, RUNTIME_END_TRANSIENT + 1);
}

static struct expected_job *expected(struct life *life, uint64_t id)
{
	assert_true(id >= life->first_id && id < life->first_id + life->job_count);
	return &life->jobs[id - life->first_id];
}

/* ---- what the world reports ---- */

static void on_begin(struct world *world, struct fake_message *message, uint32_t index)
{
	struct life *life = world->data;
	uint64_t item = message->items[index];
	/* Where a worker's end left it open, more may count as begun than did. */
	assert_in_range(++life->begun[item], 1, message->attempt);
	assert_in_range(message->attempt, 1, 1 + life->retries[item]);
	life->fates[item] = FATE_UNKNOWN;
}

static void on_answer(struct world *world, struct fake_message *message, uint32_t count,
		      bool failed)
{
	struct life *life = world->data;
	for (uint32_t i = 0; i < count; i++)
		life->fates[message->items[message->answered + i]] =
			failed ? FATE_ERROR : FATE_VALUE;
}

/* Where an error says so, the task has not begun. */
static void check_expired(const struct life *life, uint64_t item, struct procpool_value error)
{
	if (procpool_value_is(procpool_value_get(error, "code"), "expired"))
		assert_int_equal(life->begun[item], 0);
}

static void check_element(struct life *life, const struct expected_job *job, uint32_t index,
			  struct procpool_value value, bool pair)
{
	uint64_t item = job->call.first_item + index, number;
	if (pair) {
		struct procpool_value error = procpool_value_at(value, 0);
		int64_t place;
		assert_int_equal(procpool_value_count(value), 2);
		if (procpool_value_type(error) != PROCPOOL_NIL) {
			/* A value that comes after the timeout is dropped. */
			if (!procpool_value_is(procpool_value_get(error, "code"), "timeout"))
				assert_int_not_equal(life->fates[item], FATE_VALUE);
			else
				assert_true(job->call.timeout_us > 0);
			check_expired(life, item, error);
			assert_true(procpool_value_int(procpool_value_get(error, "index"), &place));
			assert_int_equal(place, index);
			return;
		}
		value = procpool_value_at(value, 1);
	}
	assert_true(procpool_value_uint(value, &number));
	assert_true(number == item);
	assert_int_equal(life->fates[item], FATE_VALUE);
}

static void check_value(struct life *life, const struct expected_job *job,
			struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element;
	uint64_t number;
	if (!job->call.map) {
		assert_true(procpool_value_uint(value, &number));
		assert_true(number == job->call.first_item);
		assert_int_equal(life->fates[number], FATE_VALUE);
	} else if (job->call.stream) {
		assert_true(procpool_value_uint(value, &number));
		assert_int_equal(number, job->call.count);
		assert_true(job->orphaned || job->streamed == job->call.count);
	} else {
		assert_int_equal(procpool_value_count(value), job->call.count);
		for (uint32_t i = 0; procpool_iter_next(&it, &element); i++)
			check_element(life, job, i, element, job->call.collect);
	}
}

static void check_error(struct life *life, uint64_t id, const struct record *record)
{
	const struct expected_job *job = expected(life, id);
	assert_true((uint64_t)record_int(record, "job") == id);
	if (record->code != ERR_EXPIRED)
		return;
	int64_t index = job->call.map ? record_int(record, "index") : 0;
	check_expired(life, job->call.first_item + (uint64_t)index, record_value(record));
}

static void check_outcome(struct life *life, uint64_t id, const struct record *record)
{
	if (record->code == ERR_NONE)
		check_value(life, expected(life, id), record_value(record));
	else
		check_error(life, id, record);
	if (record->code == ERR_TIMEOUT)
		assert_true(expected(life, id)->call.timeout_us > 0);
}

static void on_items(struct life *life, const struct record *record)
{
	struct expected_job *job = expected(life, record->job_id);
	struct procpool_iter it = procpool_iter(record_value(record));
	struct procpool_value element;
	bool bare = record->type == ACTION_PUSH_VALUES;
	assert_true(job->call.stream && job->results == 0);
	assert_true(!bare || job->call.values);
	for (uint32_t i = record->first; procpool_iter_next(&it, &element); i++, job->streamed++) {
		check_element(life, job, i, element, !bare);
		if (!bare && job->call.values)
			assert_int_equal(procpool_value_type(procpool_value_at(element, 0)),
					 PROCPOOL_MAP);
	}
}

static void on_result(struct life *life, const struct record *record)
{
	struct expected_job *job = expected(life, record->job_id);
	if (record->session == life->watcher)
		assert_int_equal(++job->results, 1);
	else if (record->session->id == job->session_id)
		job->own++;
	check_outcome(life, record->job_id, record);
}

static void on_record(struct world *world, const struct record *record)
{
	struct life *life = world->data;
	if (record->type == ACTION_PUSH_RESULT)
		on_result(life, record);
	if (record->type == ACTION_PUSH_ITEMS || record->type == ACTION_PUSH_VALUES)
		on_items(life, record);
	if (record->type != ACTION_REPLY)
		return;
	for (uint32_t i = 0; i < life->job_count; i++) {
		struct expected_job *job = &life->jobs[i];
		if (job->call.async || job->msgid != record->msgid)
			continue;
		assert_int_equal(++job->replies, 1);
		check_outcome(life, life->first_id + i, record);
		return;
	}
	life->waits_answered++;
}

/* ---- what happens ---- */

static struct session *any_session(struct life *life)
{
	struct session **place = &life->sessions[below(life, SESSIONS_MAX)];
	if (!*place)
		*place = world_open(life->world, uids[below(life, 4)]);
	return *place;
}

static struct job *any_job(struct life *life, struct session *session, uint64_t *ret_id)
{
	if (life->job_count == 0)
		return NULL;
	uint64_t newest = life->first_id + life->job_count - 1;
	uint64_t back = below(life, life->job_count < 20 ? life->job_count : 20);
	struct outcome error = {0};
	struct job *job = core_find_job(&life->world->core, session, newest - back,
					ACCESS_ADMINISTER, &error);
	outcome_fini(&error);
	*ret_id = newest - back;
	return job;
}

/* One that is listed, or one that is not. */
static const char *any_function(struct life *life)
{
	static const char *const others[] = {"n:a", "n:b", "n:c"};
	return chance(life, 20) ? others[below(life, 3)] : functions[below(life, 2)];
}

static void submit(struct life *life)
{
	struct session *session = any_session(life);
	struct call call = {
		.function = any_function(life),
		.pool = chance(life, 50) ? "one" : "two",
		.first_item = life->next_item,
		.map = chance(life, 50),
		.count = (uint32_t)below(life, chance(life, 20) ? 40 : 8),
		.chunksize = chance(life, 30) ? (uint32_t)below(life, 12) : 0,
		.async = chance(life, 60),
		.shared = chance(life, 50),
		.retries = chance(life, 30) ? (uint32_t)below(life, 5) : 0,
		.expires = chance(life, 20),
		.expires_us = below(life, 2) * below(life, 100000),
		.carried = chance(life, 10) ? 1 + (uint32_t)below(life, 20000) : 0,
		.priority = (int8_t)(chance(life, 30) ? (int)below(life, 5) - 2 : 0),
	};
	if (chance(life, 30))
		call.timeout_us = 1 + below(life, chance(life, 50) ? 1000 : 2000000);
	if (call.map)
		call.collect = chance(life, 50);
	if (call.async)
		call.detach = chance(life, 30);
	if (call.async && call.map && !call.detach)
		call.stream = chance(life, 40);
	call.values = call.stream && chance(life, 50);
	for (uint32_t items = call.map ? call.count : 1; items > 0; items--)
		life->retries[life->next_item++] = (uint8_t)call.retries;

	/* A worker of some job calls, or so it says. */
	uint64_t parent;
	if (chance(life, 20) && any_job(life, session, &parent))
		call.parent = parent;

	/* Entered before, because it may be answered at once. */
	struct expected_job *job = &life->jobs[life->job_count++];
	*job = (struct expected_job){.call = call, .session_id = session->id};
	job->msgid = life->world->last_msgid + 1;
	enum error_code code;
	uint64_t id = world_submit(life->world, session, call, &code);
	if (id == 0) {
		life->job_count--;
		assert_true(code == ERR_BUSY || code == ERR_SHUTTING_DOWN ||
			    (call.parent != 0 && code == ERR_NO_SUCH_JOB) ||
			    code == ERR_INITIALIZER_FAILED || code == ERR_UNKNOWN_FUNCTION ||
			    code == ERR_POOL_CLOSED || code == ERR_NO_SUCH_POOL);
		return;
	}
	assert_true(id == life->first_id + life->job_count - 1);
}

static void wait_for_job(struct life *life)
{
	struct session *session = any_session(life);
	uint64_t id;
	if (!any_job(life, session, &id))
		return;
	static const uint64_t times_us[] = {0, 500, 1000000, TIME_NEVER / 2};
	world_wait(life->world, session, id, life->world->now_us + times_us[below(life, 4)]);
	life->wait_count++;
}

static void cancel(struct life *life)
{
	uint64_t id;
	struct session *session = any_session(life);
	struct job *job = any_job(life, session, &id);
	struct outcome error = {0};
	if (!job)
		return;
	if (!job->async && job->session == session)
		assert_ptr_equal(core_find_request(session, job->msgid, &error), job);
	bool was_over = job_ended(job);
	struct cancellation done = core_cancel(&life->world->core, job, life->world->now_us);
	assert_true(done.job_id == id);
	assert_false(was_over && done.cancelled);
	assert_int_equal(done.cancelled, done.state == JOB_CANCELLED && !was_over);
	world_settle(life->world);
}

static void subscribe(struct life *life)
{
	struct session *session = any_session(life);
	uint64_t id;
	struct job *job = any_job(life, session, &id);
	struct pool *pool = TAILQ_FIRST(&life->world->core.pools);
	struct outcome error = {0};
	bool on_job = job && chance(life, 60);
	if (chance(life, 70))
		core_subscribe(&life->world->core, session, on_job ? job : NULL,
			       on_job || chance(life, 50) ? NULL : pool, &error);
	else
		core_unsubscribe(&life->world->core, session, on_job ? job : NULL,
				 on_job ? NULL : pool);
	session->lossy = chance(life, 20);
	assert_true(error.code == ERR_NONE || error.code == ERR_BUSY);
	outcome_fini(&error);
	world_settle(life->world);
}

static void leave(struct life *life)
{
	struct session **place = &life->sessions[below(life, SESSIONS_MAX)];
	if (!*place)
		return;
	for (uint32_t i = 0; i < life->job_count; i++)
		if (life->jobs[i].session_id == (*place)->id)
			life->jobs[i].orphaned = true;
	/* Those that wait there are not told any more. */
	struct wait *wait;
	LIST_FOREACH (wait, &(*place)->waits, of_session)
		life->wait_count--;
	struct pool_wait *pool_wait;
	LIST_FOREACH (pool_wait, &(*place)->pool_waits, of_session)
		life->wait_count--;
	world_close(life->world, *place);
	*place = NULL;
}

static void block(struct life *life)
{
	world_block(life->world, any_session(life), chance(life, 40));
}

static struct fake_worker *any_worker(struct life *life)
{
	struct fake_worker *fake;
	unsigned count = 0;
	TAILQ_FOREACH (fake, &life->world->workers, next)
		count++;
	return count == 0 ? NULL : world_worker(life->world, (unsigned)below(life, count));
}

static void work(struct life *life)
{
	struct fake_worker *fake = any_worker(life);
	if (!fake)
		return;
	for (uint64_t tasks = below(life, 6); tasks > 0; tasks--)
		fake_begin(life->world, fake);
	uint32_t begun = fake_begun(fake);
	if (begun == 0)
		return;
	life->world->now_us += below(life, 400);
	if (chance(life, 15)) {
		fake_fail(life->world, fake, below(life, 3000));
	} else {
		uint32_t count = 1 + (uint32_t)below(life, begun);
		fake_answer(life->world, fake, count, below(life, 300));
	}
}

/* A process of a runtime that is there and is no worker. NULL: there is none. */
static struct fake_runtime *any_runtime(struct life *life)
{
	struct fake_runtime *runtime, *found = NULL;
	unsigned count = 0;
	TAILQ_FOREACH (runtime, &life->world->runtimes, next)
		if (runtime->present && below(life, ++count) == 0)
			found = runtime;
	return found;
}

static struct pool *any_pool(struct life *life)
{
	struct pool *pool, *found = NULL;
	unsigned count = 0;
	TAILQ_FOREACH (pool, &life->world->core.pools, in_core)
		if (below(life, ++count) == 0)
			found = pool;
	return found;
}

static void recycle(struct life *life)
{
	struct pool *pool = any_pool(life);
	world_recycle(life->world, any_session(life), pool);
	life->wait_count++;
}

/* Whoever drains is always there to be told. */
static void hold_pool(struct life *life)
{
	struct world *world = life->world;
	struct pool *pool = any_pool(life);
	struct outcome error = {0};
	if (chance(life, 30)) {
		control_pause(pool, world->now_us, &error);
	} else if (chance(life, 50)) {
		control_resume(pool, &error);
	} else {
		uint64_t until_us = chance(life, 50) ? TIME_NEVER : world->now_us + 1000000;
		if (control_drain(life->watcher, ++world->last_msgid, pool, until_us, world->now_us,
				  &error))
			life->wait_count++;
	}
	outcome_fini(&error);
	world_settle(world);
}

static void start_or_fail(struct life *life)
{
	struct fake_worker *fake = any_worker(life);
	struct fake_runtime *runtime = any_runtime(life);
	const char *said = chance(life, 40) ? "no module named t" : NULL;
	if (fake && fake->worker->state == WORKER_STARTING) {
		if (chance(life, 70))
			fake_ready(life->world, fake);
		else
			fake_not_ready(life->world, fake, said, chance(life, 30));
	}
	/* It may have ended as a consequence. */
	if (!runtime || !runtime->present || runtime->runtime->state != RUNTIME_STARTING)
		return;
	if (chance(life, 20))
		fake_exit(life->world, runtime, said, any_end(life));
	else if (runtime->abilities.forks)
		fake_loaded(life->world, runtime);
	else
		fake_hello(life->world, runtime);
}

static void die(struct life *life)
{
	struct fake_worker *fake = any_worker(life);
	struct fake_runtime *runtime = any_runtime(life);
	if (chance(life, 15) && runtime) {
		fake_exit(life->world, runtime, NULL, any_end(life));
		return;
	}
	if (!fake)
		return;
	/* As its last deed it may scribble over the words of its tasks. */
	bool scribbles = fake->page && chance(life, 20);
	for (uint32_t i = 0; scribbles && i < 20; i++)
		atomic_store(&fake->page->slots[i], test_random(&life->random));
	if (!scribbles && chance(life, 30))
		pool_kill_worker(fake->worker, life->world->now_us);
	else
		fake_die(life->world, fake, chance(life, 50) ? SIGSEGV : 0);
	world_settle(life->world);
}

/* It goes on all the same where it is told to: what it is taken for is not what it is. */
static void change_health(struct life *life)
{
	static const char states[] = {'R', 'S', 'T', 't', 0};
	struct fake_worker *fake = any_worker(life);
	if (fake)
		fake->report = (struct health_report){states[below(life, 5)], chance(life, 50),
						      below(life, 2000)};
}

static void scale(struct life *life)
{
	struct pool *pool = any_pool(life);
	unsigned min = 1 + (unsigned)below(life, 5);
	if (!life->world->core.stopping)
		policy_scale(pool, min, min + (unsigned)below(life, 4), life->world->now_us);
	world_settle(life->world);
}

/* Always the same number of workers or not, replaced now and then or not, of any of three codes. */
static struct pool_spec *any_spec(struct life *life, const char *name)
{
	static const char *const codes[] = {"x", "y", "z"};
	struct pool_spec *spec = pool_spec_create(name);
	assert_non_null(spec);
	assert_int_equal(string_list_append(&spec->modules, strdup(codes[below(life, 3)])), 0);
	if (chance(life, 30)) {
		spec->workers_min = 1 + (unsigned)below(life, 3);
		spec->workers_max = spec->workers_min + (unsigned)below(life, 4);
		spec->idle_us = below(life, 3000000);
	}
	if (chance(life, 30))
		spec->max_tasks = 1 + below(life, 30);
	if (chance(life, 20))
		spec->max_rss_bytes = 1000;
	if (chance(life, 20))
		spec->memory_bytes = 1500;
	if (chance(life, 20))
		spec->extra_workers = 1 + (unsigned)below(life, 2);
	pool_spec_settle(spec, 1 + (unsigned)below(life, 4));
	if (chance(life, 20))
		spec->stop_us = 0;
	return spec;
}

/* One pool or two. Whoever asks is always there to be told. */
static void update(struct life *life)
{
	struct pool_spec *specs[] = {any_spec(life, "one"), any_spec(life, "two")};
	size_t first = 0, count = 2;
	if (chance(life, 40)) {
		first = below(life, 2);
		count = 1;
		pool_spec_unref(specs[1 - first]);
	}
	world_update(life->world, life->watcher, &specs[first], count,
		     (enum fake_kind)below(life, 4), functions);
	life->wait_count++;
}

static void pass_time(struct life *life)
{
	static const uint64_t times_us[] = {100, 1000, 3000, 200000, 2000000, 40000000};
	world_advance(life->world, below(life, times_us[below(life, 6)]));
}

static void step(struct life *life)
{
	uint64_t dice = below(life, 100);
	if (dice < 25)
		submit(life);
	else if (dice < 60)
		work(life);
	else if (dice < 66)
		wait_for_job(life);
	else if (dice < 70)
		cancel(life);
	else if (dice < 74)
		subscribe(life);
	else if (dice < 76)
		leave(life);
	else if (dice < 79)
		block(life);
	else if (dice < 83)
		die(life);
	else if (dice < 92)
		start_or_fail(life);
	else if (dice < 94)
		change_health(life);
	else if (dice < 95)
		scale(life);
	else if (dice < 96)
		recycle(life);
	else if (dice < 97)
		hold_pool(life);
	else if (dice < 98)
		update(life);
	else
		pass_time(life);
	world_check(life->world);
}

/* ---- a life ---- */

static void set_limits(struct life *life, struct limits *limits)
{
	*limits = LIMITS_DEFAULT;
	if (chance(life, 50))
		return;
	limits->jobs_user = 5 + below(life, 30);
	limits->jobs_session = 3 + below(life, 20);
	limits->queued_bytes_user = 100 + below(life, 400);
	limits->queued_bytes_session = 50 + below(life, 200);
	limits->retained_bytes_user = below(life, 10000);
	limits->retained_bytes_session = below(life, 5000);
	limits->retained_seconds = 1 + below(life, 30);
	limits->waits_session = 1 + below(life, 5);
	limits->subscriptions_session = 1 + below(life, 3);
	/* Some results of maps are too large. */
	limits->message_bytes = 512 + 5 + below(life, 200);
}

/* Everything that goes on comes to an end: processes start and answer as they should. */
static void calm_down(struct life *life)
{
	struct world *world = life->world;
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (life->sessions[i])
			world_block(world, life->sessions[i], false);
	world->manual = false;
	struct pool *pool;
	TAILQ_FOREACH (pool, &world->core.pools, in_core) {
		struct outcome error = {0};
		control_resume(pool, &error);
		outcome_fini(&error);
	}
	world_settle(world);
	for (int i = 0; i < 20; i++) {
		world_work(world);
		world_advance(world, 10000000);
		world_check(world);
	}
}

static void check_all_told(const struct life *life)
{
	for (uint32_t i = 0; i < life->job_count; i++) {
		const struct expected_job *job = &life->jobs[i];
		assert_int_equal(job->results, 1);
		if (!job->call.async && !job->orphaned)
			assert_int_equal(job->replies, 1);
		if (job->call.async && !job->orphaned)
			assert_in_range(job->own, 1, 1 + STEPS);
	}
	assert_int_equal(life->waits_answered, life->wait_count);
}

static void check_all_given_back(const struct life *life)
{
	const struct core *core = &life->world->core;
	const struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		assert_int_equal(pool->waiting, 0);
		assert_int_equal(pool->running, 0);
	}
	assert_int_equal(core->running_jobs, 0);
	assert_int_equal(core->updating_count, 0);
	assert_int_equal(core->root.used[RESOURCE_JOBS], 0);
	assert_int_equal(core->root.used[RESOURCE_QUEUED_BYTES], 0);
	assert_int_equal(core->root.used[RESOURCE_WAITS], 0);
	assert_int_equal(core->jobs.count, core->kept_count);
	assert_int_equal(core->stats.accepted, core->stats.ended[JOB_DONE] +
						       core->stats.ended[JOB_FAILED] +
						       core->stats.ended[JOB_CANCELLED]);
}

/* Of any kind. */
static void add_pool(struct life *life, const char *name)
{
	struct pool_spec *spec = any_spec(life, name);
	struct pool *pool =
		world_add_pool_of(life->world, spec, (enum fake_kind)below(life, 4), functions);
	struct runtime_abilities *abilities = &world_runtime(life->world, pool)->abilities;
	abilities->stops = chance(life, 80);
	abilities->stop_signal = chance(life, 40) ? SIGUSR1 : 0;
	pool->serving->abilities = *abilities;
}

static void live(uint64_t seed)
{
	struct life *life = calloc(1, sizeof(*life));
	struct limits limits;
	struct outcome error;
	assert_non_null(life);
	life->random = seed * 0x9e3779b97f4a7c15;
	set_limits(life, &limits);
	struct world *world = life->world = world_create(&limits);
	world->data = life;
	world->on_begin = on_begin;
	world->on_answer = on_answer;
	world->on_record = on_record;
	life->first_id = world->core.jobs.last_id + 1;
	add_pool(life, "one");
	add_pool(life, "two");
	life->watcher = world_open(world, 0);
	assert_true(core_subscribe(&world->core, life->watcher, NULL, NULL, &error));
	world->manual = chance(life, 70);

	bool stops = chance(life, 30);
	for (unsigned steps = 0, end = (unsigned)below(life, STEPS); steps < end; steps++) {
		step(life);
		if (stops && steps == end / 2)
			core_stop(&world->core, 1000000, world->now_us);
		world_settle(world);
	}
	calm_down(life);
	check_all_told(life);
	check_all_given_back(life);
	if (chance(life, 50))
		world_advance(world, 400 * UINT64_C(1000000));
	world_destroy(world);
	free(life);
}

static void test_random_lives(void **state)
{
	(void)state;
	const char *one = getenv("PROPERTY_SEED"), *many = getenv("PROPERTY_SEEDS");
	uint64_t last = many ? strtoull(many, NULL, 10) : SEEDS;
	if (one) {
		live(strtoull(one, NULL, 10));
		return;
	}
	for (seed_now = 1; seed_now <= last; seed_now++)
		live(seed_now);
	seed_now = 0;
}

/* However it ended, by a failure, an assertion or a sanitizer. */
static void name_seed(void)
{
	if (seed_now > 0)
		dprintf(STDERR_FILENO, "# PROPERTY_SEED=%llu\n", (unsigned long long)seed_now);
}

static void on_abort(int signal)
{
	name_seed();
	raise(signal);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lives)};
	sigaction(SIGABRT, &action, NULL);
	atexit(name_seed);
	return cmocka_run_group_tests_name("property", tests, NULL, NULL);
}
