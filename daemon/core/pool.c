/* SPDX-License-Identifier: MIT */
#include "core/pool.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/publish.h"

#define FUNCTIONS_MAX    65536U
#define START_TIMEOUT_US (60 * UINT64_C(1000000))
/* From the end of a process's channel, or its word that it failed, to its exit. */
#define EXIT_TIMEOUT_US (2 * UINT64_C(1000000))
/* From the order to kill a worker to the spawner's word that it has ended. */
#define KILL_TIMEOUT_US (5 * UINT64_C(1000000))
#define RETRY_FIRST_US  UINT64_C(100000)
#define RETRY_MAX_US    (30 * UINT64_C(1000000))
/* Deaths at start that say nothing of themselves, in a row, before callers are told to give up. */
#define SILENT_FAILURES_MAX 3

#define NO RUNTIME_STATE_COUNT
static const enum runtime_state next_states[RUNTIME_STATE_COUNT][RUNTIME_EVENT_COUNT] = {
	/*                      START             LOADED         IS_WORKER     STOP EXIT */
	[RUNTIME_NONE] = {RUNTIME_STARTING, NO, NO, RUNTIME_NONE, NO},
	[RUNTIME_STARTING] = {NO, RUNTIME_READY, RUNTIME_EXEC, RUNTIME_STOPPING, RUNTIME_NONE},
	[RUNTIME_READY] = {NO, NO, NO, RUNTIME_STOPPING, RUNTIME_NONE},
	[RUNTIME_EXEC] = {NO, NO, NO, RUNTIME_EXEC, NO},
	[RUNTIME_STOPPING] = {NO, RUNTIME_STOPPING, RUNTIME_STOPPING, RUNTIME_STOPPING,
			      RUNTIME_NONE},
};
#undef NO

enum runtime_state runtime_next_state(enum runtime_state state, enum runtime_event event)
{
	return next_states[state][event];
}

static void runtime_step(struct pool *pool, enum runtime_event event)
{
	enum runtime_state next = runtime_next_state(pool->runtime, event);
	assert(next != RUNTIME_STATE_COUNT);
	pool->runtime = next;
}

struct pool *pool_create(struct core *core, const struct pool_spec *spec)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pool->core = core;
	pool->spec = spec;
	pool->retry_timer.kind = TIMER_POOL;
	pool->rebalance_timer.kind = TIMER_REBALANCE;
	TAILQ_INIT(&pool->workers);
	TAILQ_INIT(&pool->idle);
	LIST_INIT(&pool->subscriptions);
	fair_queue_init(&pool->queue);
	return pool;
}

void pool_destroy(struct pool *pool)
{
	assert(TAILQ_EMPTY(&pool->workers) && pool->waiting == 0 && pool->running == 0);
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	timer_heap_clear(&pool->core->timers, &pool->rebalance_timer);
	function_table_fini(&pool->functions);
	outcome_fini(&pool->failure);
	free(pool);
}

const char *pool_state_name(const struct pool *pool)
{
	if (pool->failure.value.size > 0)
		return "failing";
	return pool->ready_count > 0 ? "ready" : "starting";
}

/* ---- telling subscribers ---- */

static void publish_pool(struct pool *pool)
{
	struct core *core = pool->core;
	if (core->subscription_count == 0)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	bool failing = pool->failure.value.size > 0;
	procpool_write_map(&w, failing ? 4 : 3);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, pool->spec->name);
	procpool_write_string(&w, "state");
	procpool_write_string(&w, pool_state_name(pool));
	if (failing) {
		procpool_write_string(&w, "error");
		procpool_write_value(&w, span_value(pool->failure.value));
	}
	publish_event(core, NULL, pool, &w);
}

static void publish_worker(struct worker *worker, const struct worker_end *end)
{
	struct core *core = worker->pool->core;
	if (core->subscription_count == 0)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, end ? 6 : 5);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "worker");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, worker->pool->spec->name);
	procpool_write_string(&w, "pid");
	procpool_write_int(&w, worker->pid);
	procpool_write_string(&w, "worker");
	procpool_write_int(&w, worker->number);
	procpool_write_string(&w, "state");
	procpool_write_string(&w, end ? "exited" : "ready");
	if (end) {
		procpool_write_string(&w, end->signal ? "signal" : "exit_status");
		procpool_write_int(&w, end->signal ? end->signal : end->exit_status);
	}
	publish_event(core, NULL, worker->pool, &w);
}

/* ---- starting ---- */

static void set_deadline(struct worker *worker, uint64_t at_us)
{
	timer_heap_set(&worker->pool->core->timers, &worker->deadline, at_us);
}

static struct worker *add_worker(struct pool *pool, uint64_t now_us)
{
	unsigned number = 1;
	struct worker *other;
	/* The smallest free number; workers are in the order of their numbers. */
	TAILQ_FOREACH (other, &pool->workers, in_pool) {
		if (other->number != number)
			break;
		number++;
	}
	struct worker *worker = worker_create(pool, number, now_us);
	if (!worker)
		return NULL;
	if (other)
		TAILQ_INSERT_BEFORE(other, worker, in_pool);
	else
		TAILQ_INSERT_TAIL(&pool->workers, worker, in_pool);
	pool->worker_count++;
	set_deadline(worker, now_us + START_TIMEOUT_US);
	return worker;
}

static void remove_worker(struct worker *worker)
{
	struct pool *pool = worker->pool;
	timer_heap_clear(&pool->core->timers, &worker->deadline);
	TAILQ_REMOVE(&pool->workers, worker, in_pool);
	pool->worker_count--;
	worker_destroy(worker);
}

void pool_fill(struct pool *pool, uint64_t now_us)
{
	struct core *core = pool->core;
	if (core->stopping || pool->retry_timer.place != 0)
		return;
	if (pool->runtime == RUNTIME_NONE) {
		runtime_step(pool, RUNTIME_START);
		timer_heap_set(&core->timers, &pool->retry_timer, now_us + START_TIMEOUT_US);
		core_add_action(core, ACTION_START_RUNTIME)->pool = pool;
		return;
	}
	if (pool->runtime != RUNTIME_READY && pool->runtime != RUNTIME_EXEC)
		return;
	while (pool->worker_count < pool->spec->workers) {
		struct worker *worker = add_worker(pool, now_us);
		if (!worker)
			break;
		core_add_action(core, ACTION_START_WORKER)->worker = worker;
	}
}

/* A start failed: wait before the next, longer each time. */
static void back_off(struct pool *pool, uint64_t now_us)
{
	/* Workers that fail together are one failure. */
	if (pool->retry_timer.place != 0)
		return;
	unsigned doublings = pool->failures < 16 ? pool->failures : 16;
	uint64_t pause_us = RETRY_FIRST_US << doublings;
	pool->failures++;
	timer_heap_set(&pool->core->timers, &pool->retry_timer,
		       now_us + (pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US));
}

/* Nothing of the pool can run, and here is why: callers are not left waiting. */
static void set_failure(struct pool *pool, struct outcome error, uint64_t now_us)
{
	outcome_fini(&pool->failure);
	pool->failure = error;
	publish_pool(pool);
	core_fail_waiting(pool->core, pool, &pool->failure, now_us);
}

static void start_failed(struct pool *pool, struct outcome error, bool explained, bool transient,
			 uint64_t now_us)
{
	back_off(pool, now_us);
	bool give_up = explained || pool->failures >= SILENT_FAILURES_MAX;
	if (error.value.size > 0 && pool->ready_count == 0 && give_up && !transient)
		set_failure(pool, error, now_us);
	else
		outcome_fini(&error);
}

void pool_retry(struct pool *pool, uint64_t now_us)
{
	if (pool->runtime == RUNTIME_STARTING || pool->leaving) {
		/* It had its time to load, or to exit; its exit goes on from here. */
		core_add_action(pool->core, ACTION_KILL_RUNTIME)->pool = pool;
		return;
	}
	pool_fill(pool, now_us);
}

void pool_runtime_leaves(struct pool *pool, uint64_t now_us)
{
	if (pool->leaving || (pool->runtime != RUNTIME_STARTING && pool->runtime != RUNTIME_READY))
		return;
	pool->leaving = true;
	timer_heap_set(&pool->core->timers, &pool->retry_timer, now_us + EXIT_TIMEOUT_US);
}

void pool_stop_runtime(struct pool *pool, uint64_t now_us)
{
	struct core *core = pool->core;
	bool told = pool->runtime == RUNTIME_STOPPING;
	if (!pool_has_runtime(pool) || pool->leaving)
		return;
	runtime_step(pool, RUNTIME_STOP);
	if (!told)
		core_add_action(core, ACTION_STOP_RUNTIME)->pool = pool;
	if (!core->grace_over)
		return;
	pool->leaving = true;
	timer_heap_set(&core->timers, &pool->retry_timer, told ? now_us : now_us + EXIT_TIMEOUT_US);
}

bool pool_has_runtime(const struct pool *pool)
{
	return pool->runtime != RUNTIME_NONE && pool->runtime != RUNTIME_EXEC;
}

/* ---- the end of a worker ---- */

static struct outcome describe_end(const struct worker *worker, const struct worker_end *end)
{
	struct error_builder b;
	const char *reason = end->reason ? end->reason : "";
	const char *colon = end->reason ? ": " : "";
	if (end->signal)
		error_builder_begin(&b, ERR_WORKER_LOST,
				    "worker %ld was ended by signal %d (%s)%s%s", (long)worker->pid,
				    end->signal, strsignal(end->signal), colon, reason);
	else
		error_builder_begin(&b, ERR_WORKER_LOST, "worker %ld exited with status %d%s%s",
				    (long)worker->pid, end->exit_status, colon, reason);
	error_builder_add_int(&b, end->signal ? "signal" : "exit_status",
			      end->signal ? end->signal : end->exit_status);
	error_builder_add_int(&b, "pid", worker->pid);
	return error_builder_end(&b);
}

static struct outcome describe_failed_start(const struct worker *worker,
					    const struct worker_end *end)
{
	const char *name = worker->pool->spec->name;
	const char *reason = end->reason ? end->reason : "it said nothing";
	if (end->signal)
		return error_outcome(
			ERR_INITIALIZER_FAILED,
			"pool %s: a worker was ended by signal %d (%s) before it was ready: %s",
			name, end->signal, strsignal(end->signal), reason);
	return error_outcome(ERR_INITIALIZER_FAILED,
			     "pool %s: a worker exited with status %d before it was ready: %s",
			     name, end->exit_status, reason);
}

/* Takes a worker out of those that are given work. */
static void leave_service(struct worker *worker)
{
	if (worker->state == WORKER_IDLE)
		TAILQ_REMOVE(&worker->pool->idle, worker, in_idle);
	if (worker->state == WORKER_IDLE || worker->state == WORKER_BUSY)
		worker->pool->ready_count--;
}

/* The worker's struct ends with its process. Returns whether it had been ready. */
static bool worker_gone(struct worker *worker, const struct worker_end *end, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	bool ready = worker->was_ready;
	leave_service(worker);
	worker_step(worker, WORKER_EXIT, now_us);

	struct outcome error = describe_end(worker, end);
	core_worker_lost(pool->core, worker, &error, now_us);
	outcome_fini(&error);
	if (ready) {
		pool->restarts++;
		publish_worker(worker, end);
	}
	remove_worker(worker);
	return ready;
}

/* ---- the runtime's first process ---- */

struct worker *pool_hello(struct pool *pool, bool forks, bool page, uint64_t now_us)
{
	pool->page = page;
	if (forks || pool->runtime != RUNTIME_STARTING)
		return NULL;
	struct worker *worker = add_worker(pool, now_us);
	if (!worker)
		return NULL;
	runtime_step(pool, RUNTIME_IS_WORKER);
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	pool_fill(pool, now_us);
	return worker;
}

static bool add_function(struct pool *pool, struct procpool_value function)
{
	struct procpool_iter it = procpool_iter(function);
	struct procpool_value name_value, doc_value;
	const void *name, *doc;
	size_t name_size, doc_size;
	if (procpool_value_type(function) != PROCPOOL_ARRAY ||
	    !procpool_iter_next(&it, &name_value) || !procpool_iter_next(&it, &doc_value) ||
	    !procpool_value_bytes(name_value, &name, &name_size) ||
	    !procpool_value_bytes(doc_value, &doc, &doc_size))
		return false;
	if (name_size == 0 || name_size > pool->core->limits.name_bytes)
		return false;
	/* Those of processes before stay known: jobs refer to them. */
	if (function_table_count(&pool->functions) >= FUNCTIONS_MAX &&
	    !function_table_find(&pool->functions, name, name_size))
		return false;
	return function_table_add(&pool->functions, pool, name, name_size, doc, doc_size) == 0;
}

static bool add_functions(struct pool *pool, struct procpool_value functions)
{
	if (procpool_value_type(functions) != PROCPOOL_ARRAY ||
	    procpool_value_count(functions) > FUNCTIONS_MAX)
		return false;
	struct procpool_iter it = procpool_iter(functions);
	struct procpool_value function;
	while (procpool_iter_next(&it, &function))
		if (!add_function(pool, function))
			return false;
	pool->loaded = true;
	return true;
}

bool pool_loaded(struct pool *pool, struct procpool_value functions, uint64_t now_us)
{
	if (!add_functions(pool, functions))
		return false;
	if (pool->runtime == RUNTIME_STARTING && !pool->leaving) {
		runtime_step(pool, RUNTIME_LOADED);
		timer_heap_clear(&pool->core->timers, &pool->retry_timer);
		pool_fill(pool, now_us);
	}
	return true;
}

void pool_runtime_exited(struct pool *pool, struct outcome error, bool transient, uint64_t now_us)
{
	bool was_starting = pool->runtime == RUNTIME_STARTING;
	runtime_step(pool, RUNTIME_EXIT);
	pool->leaving = false;
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	/* A spawner whose workers never were ready has loaded, but did not start anything. */
	if (was_starting || (pool->ready_count == 0 && !pool->core->stopping))
		start_failed(pool, error, was_starting, transient, now_us);
	else
		outcome_fini(&error);
	/* The kernel ends a spawner's workers with it. */
	struct worker_end end = {.signal = SIGKILL, .reason = "the pool's spawner ended"};
	while (!TAILQ_EMPTY(&pool->workers))
		worker_gone(TAILQ_FIRST(&pool->workers), &end, now_us);
	pool_fill(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

/* ---- workers ---- */

void pool_worker_ready(struct worker *worker, pid_t pid, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	if (worker->state != WORKER_STARTING)
		return;
	worker->pid = pid;
	worker->was_ready = true;
	worker_step(worker, WORKER_READY, now_us);
	timer_heap_clear(&pool->core->timers, &worker->deadline);
	TAILQ_INSERT_TAIL(&pool->idle, worker, in_idle);
	pool->ready_count++;
	pool->failures = 0;
	bool recovered = pool->failure.value.size > 0;
	if (recovered) {
		outcome_fini(&pool->failure);
		if (!pool->leaving)
			timer_heap_clear(&pool->core->timers, &pool->retry_timer);
		pool_fill(pool, now_us);
	}
	if (recovered || pool->ready_count == 1)
		publish_pool(pool);
	publish_worker(worker, NULL);
	core_mark_dirty(pool->core, pool);
}

void pool_worker_exited(struct worker *worker, struct worker_end end, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	bool said = end.error.value.size > 0, explained = said || end.reason;
	struct outcome error = said ? end.error : describe_failed_start(worker, &end);
	if (worker_gone(worker, &end, now_us) || pool->core->stopping)
		outcome_fini(&error);
	else
		start_failed(pool, error, explained, end.transient, now_us);
	pool_fill(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

static void end_worker(struct worker *worker, enum action_type how, uint64_t now_us)
{
	leave_service(worker);
	worker_step(worker, WORKER_STOP, now_us);
	core_add_action(worker->pool->core, how)->worker = worker;
}

void pool_stop_worker(struct worker *worker, uint64_t now_us)
{
	if (worker->state != WORKER_STOPPING && worker->state != WORKER_LOST)
		end_worker(worker, ACTION_STOP_WORKER, now_us);
}

void pool_kill_worker(struct worker *worker, uint64_t now_us)
{
	if (worker->state == WORKER_LOST)
		return;
	if (!worker->killed)
		set_deadline(worker, now_us + KILL_TIMEOUT_US);
	worker->killed = true;
	end_worker(worker, ACTION_KILL_WORKER, now_us);
}

void pool_worker_leaves(struct worker *worker, uint64_t now_us)
{
	if (worker->state == WORKER_STOPPING || worker->state == WORKER_LOST)
		return;
	set_deadline(worker, now_us + EXIT_TIMEOUT_US);
	end_worker(worker, ACTION_STOP_WORKER, now_us);
}

void pool_worker_overdue(struct worker *worker, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	if (!worker->killed)
		pool_kill_worker(worker, now_us);
	else if (pool_has_runtime(pool))
		core_add_action(pool->core, ACTION_KILL_RUNTIME)->pool = pool;
}
