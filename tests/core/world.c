/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "proto/frame.h"

#define OWN_UID      990
#define FIRST_JOB_ID 71001
#define SEED         4711

/* ---- the world ---- */

struct world *world_create(const struct limits *limits)
{
	struct world *world = calloc(1, sizeof(*world));
	struct limits defaults = LIMITS_DEFAULT;
	assert_non_null(world);
	TAILQ_INIT(&world->runtimes);
	TAILQ_INIT(&world->workers);
	TAILQ_INIT(&world->peers);
	world->now_us = 1000000;
	assert_int_equal(
		core_init(&world->core, limits ? limits : &defaults, OWN_UID, FIRST_JOB_ID, SEED),
		0);
	return world;
}

static void end_processes(struct world *world)
{
	struct fake_worker *fake, *next;
	for (fake = TAILQ_FIRST(&world->workers); fake; fake = next) {
		next = TAILQ_NEXT(fake, next);
		if (fake->told_to_stop || fake->told_to_die)
			fake_die(world, fake, fake->told_to_die ? SIGKILL : 0);
	}
	struct fake_runtime *runtime;
	TAILQ_FOREACH (runtime, &world->runtimes, next)
		if (runtime->present && (runtime->told_to_stop || runtime->told_to_die))
			fake_exit(world, runtime, NULL, RUNTIME_END_FAILED);
}

void world_destroy(struct world *world)
{
	while (!TAILQ_EMPTY(&world->peers))
		world_close(world, TAILQ_FIRST(&world->peers)->session);
	core_stop(&world->core, 0, world->now_us);
	core_timers(&world->core, world->now_us);
	world_settle(world);
	/* A worker may be sent away only after another, and the spawner after all of them. */
	for (int i = 0; i < 3; i++)
		end_processes(world);
	assert_true(core_stopped(&world->core));
	core_fini(&world->core);

	struct fake_runtime *runtime;
	while ((runtime = TAILQ_FIRST(&world->runtimes))) {
		TAILQ_REMOVE(&world->runtimes, runtime, next);
		free(runtime);
	}
	for (size_t i = 0; i < world->record_count; i++)
		free(world->records[i].data);
	free(world->records);
	free(world);
}

static struct pool_spec *make_spec(const char *name, unsigned workers)
{
	struct pool_spec *spec = pool_spec_create(name);
	assert_non_null(spec);
	pool_spec_settle(spec, workers);
	return spec;
}

struct fake_runtime *world_play(struct world *world, struct pool *pool, enum fake_kind kind,
				const char *const *functions)
{
	struct fake_runtime *runtime = calloc(1, sizeof(*runtime)), *other;
	assert_non_null(runtime);
	/* One that has gone may have lain in the same place. */
	TAILQ_FOREACH (other, &world->runtimes, next)
		if (other->pool == pool)
			other->pool = NULL;
	runtime->pool = pool;
	runtime->abilities.forks = kind == FAKE_FORK || kind == FAKE_FORK_PAGE;
	runtime->abilities.page = kind == FAKE_EXEC_PAGE || kind == FAKE_FORK_PAGE;
	runtime->abilities.stops = runtime->abilities.page;
	runtime->functions = functions;
	TAILQ_INSERT_TAIL(&world->runtimes, runtime, next);
	return runtime;
}

struct pool *world_add_pool(struct world *world, const char *name, unsigned workers,
			    enum fake_kind kind, const char *const *functions)
{
	return world_add_pool_of(world, make_spec(name, workers), kind, functions);
}

struct pool *world_add_pool_of(struct world *world, struct pool_spec *spec, enum fake_kind kind,
			       const char *const *functions)
{
	spec->access.call.everyone |= !spec->access.call.given;
	struct pool *pool = core_add_pool(&world->core, spec, world->now_us);
	assert_non_null(pool);
	world_play(world, pool, kind, functions);
	pool_spec_unref(spec);
	world_settle(world);
	return pool;
}

struct pool *world_open_pool(struct world *world, struct session *session, unsigned workers,
			     enum fake_kind kind, const char *const *functions)
{
	struct pool_spec *spec = make_spec("", workers);
	struct outcome error;
	assert_true(core_open_pool(&world->core, session, ++world->last_msgid, spec, world->now_us,
				   &error));
	pool_spec_unref(spec);
	struct pool *pool = LIST_FIRST(&session->pools);
	world_play(world, pool, kind, functions);
	world_settle(world);
	return pool;
}

/* ---- sessions ---- */

static struct fake_peer *peer_of(struct session *session)
{
	return (struct fake_peer *)(void *)session->peer;
}

struct session *world_open(struct world *world, uid_t uid)
{
	struct fake_peer *peer = calloc(1, sizeof(*peer));
	struct identity identity = {.uid = uid};
	const char *limit;
	assert_non_null(peer);
	peer->session =
		core_session_open(&world->core, &identity, (struct peer *)(void *)peer, &limit);
	assert_non_null(peer->session);
	TAILQ_INSERT_TAIL(&world->peers, peer, next);
	return peer->session;
}

void world_close(struct world *world, struct session *session)
{
	struct fake_peer *peer = peer_of(session);
	TAILQ_REMOVE(&world->peers, peer, next);
	free(peer);
	core_session_close(&world->core, session, world->now_us);
	world_settle(world);
}

void world_block(struct world *world, struct session *session, bool blocked)
{
	peer_of(session)->blocked = blocked;
	core_session_block(&world->core, session, blocked);
	world_settle(world);
}

static void write_message(struct procpool_writer *w, const struct call *call)
{
	procpool_writer_init(w);
	uint32_t count = call->map ? call->count : 1;
	procpool_write_array(w, count + (call->padding > 0));
	for (uint32_t i = 0; i < count; i++)
		procpool_write_uint(w, call->first_item + i);
	if (call->padding > 0) {
		void *padding = calloc(call->padding, 1);
		procpool_write_bytes(w, padding, call->padding);
		free(padding);
	}
	assert_int_equal(w->error, 0);
}

static void write_kwargs(struct procpool_writer *w, const struct call *call)
{
	if (call->carried == 0)
		return;
	void *value = calloc(call->carried, 1);
	procpool_write_map(w, 1);
	procpool_write_string(w, "k");
	procpool_write_bytes(w, value, call->carried);
	free(value);
}

uint64_t world_try(struct world *world, struct session *session, struct call call,
		   struct outcome *ret_error)
{
	struct procpool_writer w;
	write_message(&w, &call);
	size_t args_size = w.size;
	write_kwargs(&w, &call);
	struct blob *blob = call.shared ? blob_copy(w.data, w.size) : NULL;
	struct span message = {blob, blob ? blob->data : w.data, w.size};
	struct submission submission = {
		.is_map = call.map,
		.async = call.async,
		.msgid = ++world->last_msgid,
		.function = call.function,
		.function_size = strlen(call.function),
		.pool = call.pool,
		.pool_size = call.pool ? strlen(call.pool) : 0,
		.message = message,
		.args = {message.data, args_size},
		.kwargs = {message.data + args_size, w.size - args_size},
		.chunksize = call.chunksize,
		.timeout_us = call.timeout_us,
		.collect = call.collect,
		.stream = call.stream,
		.values = call.values,
		.detach = call.detach,
		.priority = call.priority,
		.retries = call.retries,
		.parent = call.parent,
		.expires = call.expires,
		.expires_us = call.expires_us,
	};
	uint64_t id = core_submit(&world->core, session, &submission, world->now_us, ret_error);
	/* The core holds what it needs. */
	blob_unref(blob);
	procpool_writer_fini(&w);
	return id;
}

uint64_t world_submit(struct world *world, struct session *session, struct call call,
		      enum error_code *ret_code)
{
	struct outcome error = {0};
	uint64_t id = world_try(world, session, call, &error);
	assert_int_equal(id == 0, error.code != ERR_NONE);
	if (ret_code)
		*ret_code = error.code;
	outcome_fini(&error);
	world_settle(world);
	return id;
}

struct job *world_job(struct world *world, struct session *session, uint64_t id)
{
	struct outcome error = {0};
	struct job *job = core_find_job(&world->core, session, id, ACCESS_ADMINISTER, &error);
	outcome_fini(&error);
	assert_non_null(job);
	return job;
}

uint32_t world_wait(struct world *world, struct session *session, uint64_t id, uint64_t until_us)
{
	struct outcome error = {0};
	uint32_t msgid = ++world->last_msgid;
	struct job *job = world_job(world, session, id);
	if (!core_wait(&world->core, session, msgid, job, until_us, world->now_us, &error)) {
		core_reply(&world->core, session, msgid, &error);
		outcome_fini(&error);
	}
	world_settle(world);
	return msgid;
}

uint32_t world_recycle(struct world *world, struct session *session, struct pool *pool)
{
	struct outcome error = {0};
	uint32_t msgid = ++world->last_msgid;
	if (!core_recycle(&world->core, session, msgid, pool, world->now_us, &error)) {
		core_reply(&world->core, session, msgid, &error);
		outcome_fini(&error);
	}
	world_settle(world);
	return msgid;
}

/* ---- executing actions ---- */

static struct fake_worker *fake_of(struct worker *worker)
{
	return (struct fake_worker *)(void *)worker->channel;
}

static struct fake_runtime *fake_of_runtime(const struct runtime *runtime)
{
	return (struct fake_runtime *)(void *)runtime->channel;
}

static struct fake_worker *add_fake(struct world *world, struct worker *worker)
{
	struct fake_worker *fake = calloc(1, sizeof(*fake));
	assert_non_null(fake);
	fake->worker = worker;
	fake->report.state = 'R';
	TAILQ_INIT(&fake->messages);
	if (fake_of_runtime(worker->runtime)->abilities.page) {
		fake->page = worker->page = calloc(1, sizeof(*fake->page));
		assert_non_null(fake->page);
	}
	worker->channel = (struct channel *)(void *)fake;
	TAILQ_INSERT_TAIL(&world->workers, fake, next);
	return fake;
}

static uint64_t item_number(const struct job *job, struct procpool_value item)
{
	uint64_t number = 0;
	assert_true(procpool_value_uint(job->map ? item : procpool_value_at(item, 0), &number));
	return number;
}

static void send_task(struct fake_worker *fake, const struct chunk *chunk)
{
	struct fake_message *message = calloc(1, sizeof(*message));
	const uint8_t *p = chunk->range.data, *end = p + chunk->range.size;
	assert_non_null(message);
	assert_false(chunk->job->session->peer && peer_of(chunk->job->session)->blocked);
	message->seq = chunk->seq;
	message->count = chunk->range.count;
	message->attempt = chunk->attempt;
	message->first = chunk->range.first;
	message->job_id = chunk->job->id;
	message->timed = job_timeout_us(chunk->job) > 0;
	message->items = calloc(message->count, sizeof(*message->items));
	assert_non_null(message->items);
	for (uint32_t i = 0; i < message->count; i++) {
		struct procpool_value item = {p, frame_value_size(p, end)};
		message->items[i] = item_number(chunk->job, item);
		p += item.size;
	}
	assert_ptr_equal(p, end);
	TAILQ_INSERT_TAIL(&fake->messages, message, next);
}

/* The action's value; *w is to be ended. */
static struct procpool_value write_value(struct procpool_writer *w, const struct action *action)
{
	struct span value = action->outcome.value;
	const uint8_t *p = value.data, *end = p + value.size;
	procpool_writer_init(w);
	if (action->type != ACTION_PUSH_VALUES)
		return span_value(value);
	procpool_write_array(w, action->count);
	for (uint32_t i = 0; i < action->count; i++) {
		struct procpool_value each = {p, frame_value_size(p, end)};
		procpool_write_value(w, each);
		p += each.size;
	}
	assert_true(p == end && action->count > 0);
	return procpool_writer_value(w);
}

static void add_record(struct world *world, const struct action *action)
{
	struct procpool_writer w;
	struct procpool_value whole = write_value(&w, action);
	world->records =
		reallocarray(world->records, world->record_count + 1, sizeof(*world->records));
	assert_non_null(world->records);
	struct record *record = &world->records[world->record_count++];
	*record = (struct record){
		.type = action->type,
		.session = action->session,
		.msgid = action->msgid,
		.first = action->first,
		.job_id = action->job_id,
		.code = action->outcome.code,
		.data = malloc(whole.size),
		.size = whole.size,
	};
	/* Every outcome is one whole value, and goes to a connection that is there. */
	struct procpool_value value;
	assert_true(procpool_value_parse(whole.data, whole.size, &value));
	assert_int_equal(value.size, whole.size);
	assert_non_null(action->session->peer);
	memcpy(record->data, value.data, value.size);
	procpool_writer_fini(&w);
	if (world->on_record)
		world->on_record(world, record);
}

/* Whether it plays a runtime that the pool still has. */
static bool in_use(const struct fake_runtime *fake)
{
	const struct runtime *runtime;
	TAILQ_FOREACH (runtime, &fake->pool->runtimes, in_pool)
		if (fake_of_runtime(runtime) == fake)
			return true;
	return false;
}

static struct fake_runtime *copy_runtime(struct world *world, const struct fake_runtime *first)
{
	struct fake_runtime *copy = malloc(sizeof(*copy));
	assert_non_null(copy);
	*copy = *first;
	TAILQ_INSERT_TAIL(&world->runtimes, copy, next);
	return copy;
}

static void start_runtime(struct world *world, struct runtime *runtime)
{
	struct fake_runtime *first = world_runtime(world, runtime->pool), *fake = first;
	while (fake && (fake->pool != runtime->pool || in_use(fake)))
		fake = TAILQ_NEXT(fake, next);
	if (!fake)
		fake = copy_runtime(world, first);
	fake->runtime = runtime;
	fake->functions = first->functions;
	fake->present = true;
	fake->told_to_stop = fake->told_to_die = false;
	runtime->channel = (struct channel *)(void *)fake;
}

static void execute(struct world *world, const struct action *action)
{
	switch (action->type) {
	case ACTION_REPLY:
	case ACTION_PUSH_RESULT:
	case ACTION_PUSH_ITEMS:
	case ACTION_PUSH_VALUES:
	case ACTION_PUSH_EVENT:
		add_record(world, action);
		break;
	case ACTION_START_RUNTIME:
		start_runtime(world, action->runtime);
		break;
	case ACTION_STOP_RUNTIME:
		fake_of_runtime(action->runtime)->told_to_stop = true;
		break;
	case ACTION_KILL_RUNTIME:
		fake_of_runtime(action->runtime)->told_to_die = true;
		break;
	case ACTION_START_WORKER:
		add_fake(world, action->worker);
		break;
	case ACTION_STOP_WORKER:
		fake_of(action->worker)->told_to_stop = true;
		break;
	case ACTION_KILL_WORKER:
		fake_of(action->worker)->told_to_die = true;
		break;
	case ACTION_STOP_TASK:
		fake_of(action->worker)->halts++;
		break;
	case ACTION_SEND_TASK:
		send_task(fake_of(action->worker), action->chunk);
		break;
	case ACTION_UPDATED:
		world->updates_done++;
		break;
	case ACTION_NOTE_SLOW:
	case ACTION_NOTE_END:
		if (world->on_note)
			world->on_note(world, action);
		break;
	case ACTION_CHECK_WORKER:
		fake_of(action->worker)->inspected = true;
		break;
	}
}

static bool execute_all(struct world *world)
{
	struct action action;
	bool any = false;
	while (core_next_action(&world->core, &action)) {
		execute(world, &action);
		action_fini(&action);
		any = true;
	}
	return any;
}

/* Tells the core of the workers that it wanted to know of. */
static void inspect(struct world *world)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &world->workers, next) {
		if (!fake->inspected)
			continue;
		fake->inspected = false;
		health_judge(fake->worker, fake->report, world->now_us);
	}
}

/* What processes do by themselves; true: one of them did something. */
static bool live(struct world *world)
{
	struct fake_runtime *runtime;
	struct fake_worker *fake;
	TAILQ_FOREACH (runtime, &world->runtimes, next) {
		if (!runtime->present)
			continue;
		if (runtime->told_to_stop || runtime->told_to_die)
			fake_exit(world, runtime, NULL, RUNTIME_END_FAILED);
		else if (runtime->runtime->state != RUNTIME_STARTING)
			continue;
		else if (runtime->abilities.forks)
			fake_loaded(world, runtime);
		else
			fake_hello(world, runtime);
		return true;
	}
	TAILQ_FOREACH (fake, &world->workers, next) {
		if (fake->told_to_die)
			fake_die(world, fake, SIGKILL);
		else if (fake->told_to_stop && fake_begun(fake) == 0 && !fake_begin(world, fake))
			fake_die(world, fake, 0);
		else if (fake->worker->state == WORKER_STARTING)
			fake_ready(world, fake);
		else
			continue;
		return true;
	}
	return false;
}

void world_settle(struct world *world)
{
	bool again;
	/* What lives by itself settles once, not once in each other. */
	if (world->settling)
		return;
	world->settling = true;
	do {
		again = execute_all(world);
		inspect(world);
		core_schedule(&world->core, world->now_us);
		again |= execute_all(world);
		if (!world->manual)
			again |= live(world);
	} while (again);
	world->settling = false;
}

void world_advance(struct world *world, uint64_t us)
{
	uint64_t end_us = world->now_us + us, next_us;
	while ((next_us = core_next_timer(&world->core)) <= end_us) {
		if (next_us > world->now_us)
			world->now_us = next_us;
		core_timers(&world->core, world->now_us);
		world_settle(world);
	}
	world->now_us = end_us;
	world_settle(world);
}

/* Workers may come and go with each answer. */
static bool work_once(struct world *world)
{
	struct fake_worker *fake;
	TAILQ_FOREACH (fake, &world->workers, next) {
		if (fake_begun(fake) == 0 && !fake_begin(world, fake))
			continue;
		world->now_us += 10;
		fake_answer(world, fake, fake_begun(fake), 10);
		return true;
	}
	return false;
}

void world_work(struct world *world)
{
	while (work_once(world))
		;
}

/* ---- what workers do ---- */

struct fake_worker *world_worker(struct world *world, unsigned place)
{
	struct fake_worker *fake = TAILQ_FIRST(&world->workers);
	while (fake && place-- > 0)
		fake = TAILQ_NEXT(fake, next);
	assert_non_null(fake);
	return fake;
}

static void free_message(struct fake_worker *fake, struct fake_message *message)
{
	TAILQ_REMOVE(&fake->messages, message, next);
	free(message->items);
	free(message);
}

bool fake_begin(struct world *world, struct fake_worker *fake)
{
	struct fake_message *message, *next;
	for (message = TAILQ_FIRST(&fake->messages); message; message = next) {
		next = TAILQ_NEXT(message, next);
		if (message->taken || message->claimed == message->count)
			continue;
		if (fake->page && message->timed)
			page_begin(fake->page, world->now_us);
		if (fake->page && !page_claim(fake->page, message->seq, message->claimed)) {
			message->taken = true;
			if (message->answered == message->claimed)
				free_message(fake, message);
			continue;
		}
		message->claimed++;
		if (world->on_begin)
			world->on_begin(world, message, message->claimed - 1);
		return true;
	}
	return false;
}

static struct fake_message *begun_message(struct fake_worker *fake)
{
	struct fake_message *message;
	TAILQ_FOREACH (message, &fake->messages, next)
		if (message->claimed > message->answered)
			return message;
	return NULL;
}

uint32_t fake_begun(struct fake_worker *fake)
{
	struct fake_message *message = begun_message(fake);
	return message ? message->claimed - message->answered : 0;
}

bool fake_is_to_stop(struct fake_worker *fake)
{
	struct fake_message *message, *newest = NULL;
	TAILQ_FOREACH (message, &fake->messages, next)
		if (message->claimed > message->answered)
			newest = message;
	return fake->page && newest &&
	       page_is_to_stop(fake->page, page_element(newest->seq, newest->claimed - 1));
}

static void answered(struct world *world, struct fake_worker *fake, struct fake_message *message,
		     uint32_t count)
{
	message->answered += count;
	if (message->answered == message->count ||
	    (message->taken && message->answered == message->claimed))
		free_message(fake, message);
	world_settle(world);
}

void fake_answer(struct world *world, struct fake_worker *fake, uint32_t count, uint64_t us)
{
	struct fake_message *message = begun_message(fake);
	struct procpool_writer w;
	assert_true(message && count > 0 && count <= message->claimed - message->answered);
	if (world->on_answer)
		world->on_answer(world, message, count, false);
	procpool_writer_init(&w);
	for (uint32_t i = 0; i < count; i++)
		procpool_write_uint(&w, message->items[message->answered + i]);
	struct span values = {NULL, w.data, w.size};
	assert_true(core_worker_values(&world->core, fake->worker, message->seq, message->answered,
				       count, us, values, world->now_us));
	execute_all(world);
	procpool_writer_fini(&w);
	answered(world, fake, message, count);
}

void fake_fail(struct world *world, struct fake_worker *fake, uint64_t us)
{
	struct fake_message *message = begun_message(fake);
	assert_non_null(message);
	if (world->on_answer)
		world->on_answer(world, message, 1, true);
	struct outcome error = error_outcome(ERR_FUNCTION_FAILED, "no luck");
	assert_true(core_worker_error(&world->core, fake->worker, message->seq, message->answered,
				      us, span_value(error.value), world->now_us));
	execute_all(world);
	outcome_fini(&error);
	answered(world, fake, message, 1);
}

/* ---- what becomes of processes ---- */

static struct outcome what_it_said(const char *said)
{
	return said ? error_outcome(ERR_INITIALIZER_FAILED, "%s", said) : (struct outcome){0};
}

/* The struct worker may be gone already: with its spawner. */
static void free_fake(struct world *world, struct fake_worker *fake)
{
	TAILQ_REMOVE(&world->workers, fake, next);
	while (!TAILQ_EMPTY(&fake->messages))
		free_message(fake, TAILQ_FIRST(&fake->messages));
	free(fake->page);
	free(fake);
}

void fake_die(struct world *world, struct fake_worker *fake, int signal)
{
	struct worker_end end = {.signal = signal, .exit_status = signal ? 0 : 1};
	pool_worker_exited(fake->worker, end, world->now_us);
	free_fake(world, fake);
	world_settle(world);
}

void fake_ready(struct world *world, struct fake_worker *fake)
{
	struct fake_runtime *runtime = fake_of_runtime(fake->worker->runtime);
	if (!runtime->abilities.forks)
		fake_loaded(world, runtime);
	pool_worker_ready(fake->worker, 4000 + (pid_t)fake->worker->number, world->now_us);
	world_settle(world);
}

void fake_forked(struct world *world, struct fake_worker *fake)
{
	pool_worker_forked(fake->worker, 4000 + (pid_t)fake->worker->number, world->now_us);
	world_settle(world);
}

void fake_not_ready(struct world *world, struct fake_worker *fake, const char *said, bool transient)
{
	struct worker_end end = {
		.exit_status = 1, .error = what_it_said(said), .transient = transient};
	pool_worker_exited(fake->worker, end, world->now_us);
	free_fake(world, fake);
	world_settle(world);
}

struct fake_runtime *world_runtime(struct world *world, struct pool *pool)
{
	struct fake_runtime *runtime;
	TAILQ_FOREACH (runtime, &world->runtimes, next)
		if (runtime->pool == pool)
			return runtime;
	fail_msg("no such pool");
	return NULL;
}

struct fake_runtime *world_successor(struct pool *pool)
{
	assert_non_null(pool->successor);
	return fake_of_runtime(pool->successor);
}

void fake_hello(struct world *world, struct fake_runtime *runtime)
{
	struct worker *worker = runtime_hello(runtime->runtime, runtime->abilities, world->now_us);
	if (!runtime->abilities.forks && worker) {
		runtime->present = false;
		add_fake(world, worker);
	}
	world_settle(world);
}

void fake_loaded(struct world *world, struct fake_runtime *runtime)
{
	struct procpool_writer w;
	uint32_t count = 0;
	if (runtime->abilities.forks)
		runtime_hello(runtime->runtime, runtime->abilities, world->now_us);
	procpool_writer_init(&w);
	size_t place = procpool_write_open_array(&w);
	for (const char *const *name = runtime->functions; *name; name++, count++) {
		procpool_write_array(&w, 2);
		procpool_write_string(&w, *name);
		procpool_write_string(&w, "what it does");
	}
	procpool_write_count(&w, place, count);
	assert_true(runtime_loaded(runtime->runtime, procpool_writer_value(&w), world->now_us));
	procpool_writer_fini(&w);
	world_settle(world);
}

void fake_exit(struct world *world, struct fake_runtime *runtime, const char *said,
	       enum runtime_end how)
{
	struct fake_worker *fake, *next;
	struct outcome error =
		said ? what_it_said(said)
		     : error_outcome(ERR_INITIALIZER_FAILED, "the runtime exited with status 1");
	struct runtime *ended = runtime->runtime;
	runtime->runtime = NULL;
	runtime->present = runtime->told_to_stop = runtime->told_to_die = false;
	/* Before the core starts others, so that those are not taken for these. */
	TAILQ_HEAD(, fake_worker) gone = TAILQ_HEAD_INITIALIZER(gone);
	for (fake = TAILQ_FIRST(&world->workers); fake; fake = next) {
		next = TAILQ_NEXT(fake, next);
		if (fake->worker->runtime != ended)
			continue;
		TAILQ_REMOVE(&world->workers, fake, next);
		TAILQ_INSERT_TAIL(&gone, fake, next);
	}
	runtime_exited(ended, error, how, world->now_us);
	while ((fake = TAILQ_FIRST(&gone))) {
		TAILQ_REMOVE(&gone, fake, next);
		TAILQ_INSERT_TAIL(&world->workers, fake, next);
		free_fake(world, fake);
	}
	world_settle(world);
}
