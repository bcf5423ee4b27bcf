/* SPDX-License-Identifier: MIT */
#include "core/pool.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/policy.h"
#include "core/publish.h"
#include "core/recycle.h"
#include "core/restart.h"

#define START_TIMEOUT_US (60 * UINT64_C(1000000))
/* From the end of its channel, or its word that it failed, to its exit. */
#define EXIT_TIMEOUT_US (2 * UINT64_C(1000000))
/* From the order to kill a worker to the spawner's word that it has ended. */
#define KILL_TIMEOUT_US (5 * UINT64_C(1000000))
/* For finalizers, after the last task of a worker that was told to end. */
#define FINISH_TIMEOUT_US (30 * UINT64_C(1000000))
/* Deaths at start that say nothing of themselves, in a row, before callers are told to give up. */
#define SILENT_FAILURES_MAX 3

struct pool *pool_create(struct core *core, struct pool_spec *spec)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	if (grants_take(core, &spec->access, &pool->grant) < 0) {
		free(pool);
		return NULL;
	}
	pool->core = core;
	pool->spec = pool_spec_ref(spec);
	pool->code = pool_spec_ref(spec);
	pool->retry_timer.kind = TIMER_POOL;
	pool->rebalance_timer.kind = TIMER_REBALANCE;
	policy_init(pool);
	pool->end_timer.kind = TIMER_POOL_END;
	TAILQ_INIT(&pool->runtimes);
	TAILQ_INIT(&pool->workers);
	TAILQ_INIT(&pool->idle);
	LIST_INIT(&pool->subscriptions);
	LIST_INIT(&pool->waits);
	fair_queue_init(&pool->queue);
	return pool;
}

void pool_destroy(struct pool *pool)
{
	struct runtime *runtime;
	assert(TAILQ_EMPTY(&pool->workers) && pool->waiting == 0 && pool->running == 0 &&
	       pool->jobs == 0);
	while ((runtime = TAILQ_FIRST(&pool->runtimes)))
		runtime_destroy(runtime);
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	timer_heap_clear(&pool->core->timers, &pool->rebalance_timer);
	timer_heap_clear(&pool->core->timers, &pool->idle_timer);
	fair_queue_fini(&pool->queue);
	names_forget(pool);
	function_table_fini(&pool->functions);
	outcome_fini(&pool->failure);
	outcome_fini(&pool->refusal);
	outcome_fini(&pool->update_error);
	grants_release(pool->core, pool->grant);
	pool_spec_unref(pool->spec);
	pool_spec_unref(pool->code);
	free(pool);
}

int pool_set_access(struct pool *pool, const struct access *access)
{
	unsigned before = pool->grant;
	int r = grants_take(pool->core, access, &pool->grant);
	if (r == 0)
		grants_release(pool->core, before);
	return r;
}

bool pool_takes_jobs(const struct pool *pool)
{
	return pool->state == POOL_OPEN && !pool->draining;
}

const char *pool_state_name(const struct pool *pool)
{
	if (pool->state != POOL_OPEN)
		return pool->state == POOL_ENDED ? "ended" : "closed";
	if (pool->paused || pool->draining)
		return pool->paused ? "paused" : "draining";
	if (pool->failure.value.size > 0)
		return "failing";
	return pool->ready_count > 0 ? "ready" : "starting";
}

bool pool_is_stale(const struct pool *pool)
{
	return (pool->serving && pool->serving->stale) || pool->refusal.value.size > 0;
}

bool pool_has_processes(const struct pool *pool)
{
	const struct runtime *runtime;
	TAILQ_FOREACH (runtime, &pool->runtimes, in_pool)
		if (runtime_has_process(runtime))
			return true;
	return !TAILQ_EMPTY(&pool->workers);
}

/* ---- starting ---- */

static void set_deadline(struct worker *worker, uint64_t at_us)
{
	timer_heap_set(&worker->pool->core->timers, &worker->deadline, at_us);
}

struct worker *pool_add_worker(struct runtime *runtime, uint64_t now_us)
{
	struct pool *pool = runtime->pool;
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
	worker->runtime = runtime;
	policy_limit_worker(worker);
	runtime->worker_count++;
	if (other)
		TAILQ_INSERT_BEFORE(other, worker, in_pool);
	else
		TAILQ_INSERT_TAIL(&pool->workers, worker, in_pool);
	pool->worker_count++;
	set_deadline(worker, now_us + START_TIMEOUT_US);
	return worker;
}

/* The spawner has told of the worker, or need not any more. */
static void fork_told(struct worker *worker, uint64_t now_us)
{
	if (worker->unforked)
		runtime_fork_told(worker->runtime, now_us);
	worker->unforked = false;
}

/* May free its runtime. */
static void remove_worker(struct worker *worker, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	struct runtime *runtime = worker->runtime;
	fork_told(worker, now_us);
	timer_heap_clear(&pool->core->timers, &worker->deadline);
	timer_heap_clear(&pool->core->timers, &worker->watch);
	TAILQ_REMOVE(&pool->workers, worker, in_pool);
	pool->worker_count--;
	runtime->worker_count--;
	if (worker->retired)
		runtime->retired_count--;
	worker_destroy(worker);
	if (runtime != pool->serving && runtime != pool->successor)
		runtime_release(runtime, now_us);
}

/* A start failed: wait before the next, longer each time. */
static void back_off(struct pool *pool, uint64_t now_us)
{
	/* Workers that fail together are one failure. */
	if (pool->retry_timer.place != 0)
		return;
	restart_prove_any(pool, now_us);
	pool->failures++;
	pool->failed_us = now_us;
	timer_heap_set(&pool->core->timers, &pool->retry_timer,
		       now_us + restart_pause_us(pool->core, pool->failures));
}

/* Starts workers of the runtime until it has so many. */
static void start_workers(struct runtime *runtime, unsigned wanted, uint64_t now_us)
{
	if (!runtime_serves(runtime))
		return;
	while (runtime->worker_count - runtime->retired_count < wanted) {
		struct worker *worker = pool_add_worker(runtime, now_us);
		if (!worker)
			break;
		if (runtime->state == RUNTIME_READY) {
			worker->unforked = true;
			runtime_fork_asked(runtime, now_us);
		}
		core_add_action(runtime->pool->core, ACTION_START_WORKER)->worker = worker;
	}
}

unsigned pool_places(const struct pool *pool)
{
	unsigned taken = pool->successor ? pool->successor->ready_count : 0;
	return pool->target > taken ? pool->target - taken : 0;
}

void pool_fill(struct pool *pool, uint64_t now_us)
{
	bool wanted = pool->state == POOL_OPEN ||
		      (pool->state == POOL_CLOSING && pool->jobs_under_way > 0);
	if (pool->core->stopping || !wanted)
		return;
	if (pool->successor)
		start_workers(pool->successor, pool->target, now_us);
	if (pool->retry_timer.place != 0)
		return;
	if (pool->serving) {
		start_workers(pool->serving, pool_places(pool) + policy_replacements(pool), now_us);
		return;
	}
	pool->serving = runtime_start(pool, pool->code, now_us);
	if (!pool->serving)
		back_off(pool, now_us);
}

/* Nothing of the pool can run, and here is why: callers are not left waiting. */
static void set_failure(struct pool *pool, const struct outcome *error, uint64_t now_us)
{
	outcome_fini(&pool->failure);
	pool->failure = (struct outcome){error->code, span_hold(error->value)};
	publish_pool(pool);
	core_fail_waiting(pool->core, pool, &pool->failure, now_us);
}

/* error: borrowed. */
static void start_failed(struct pool *pool, const struct outcome *error, bool explained,
			 bool transient, uint64_t now_us)
{
	/* Whoever waits for it to open can try again, and knows better when. */
	if (pool->opening) {
		pool_open_failed(pool, error, now_us);
		return;
	}
	back_off(pool, now_us);
	bool give_up = explained || pool->failures >= SILENT_FAILURES_MAX;
	if (!pool->successor)
		recycle_fail(pool, error, now_us);
	if (error->value.size > 0 && pool->ready_count == 0 && give_up && !transient)
		set_failure(pool, error, now_us);
}

/* ---- the end of a worker ---- */

/* Takes a worker out of those that are given work. */
static void leave_service(struct worker *worker)
{
	worker->pool->core->workers_left = true;
	if (worker->state == WORKER_IDLE)
		TAILQ_REMOVE(&worker->pool->idle, worker, in_idle);
	if (worker_serves(worker)) {
		worker->pool->ready_count--;
		worker->runtime->ready_count--;
		policy_forget_worker(worker);
	}
}

static void worker_exits(struct worker *worker, uint64_t now_us)
{
	leave_service(worker);
	worker_step(worker, WORKER_EXIT, now_us);
}

/* The struct of one that has exited ends; its runtime may, too. */
static void worker_gone(struct worker *worker, const struct worker_end *end, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	struct outcome error = worker_end_lost(end, worker);
	core_worker_lost(pool->core, worker, &error, now_us);
	outcome_fini(&error);
	if (worker->was_ready && !worker->retired)
		pool->restarts++;
	if (worker->was_ready)
		publish_worker(worker, end);
	remove_worker(worker, now_us);
}

/* Whether the end of the runtime that serves counts as a failed start. */
static bool has_failed(const struct runtime *runtime, bool was_starting, uint64_t now_us)
{
	struct pool *pool = runtime->pool;
	if (pool->core->stopping)
		return false;
	/* One without any worker that was ready has loaded, but did not start anything. */
	return was_starting || runtime->ready_us == 0 ||
	       restart_is_short_lived(pool, runtime, now_us);
}

void pool_runtime_gone(struct runtime *runtime, struct outcome error, bool was_starting,
		       enum runtime_end how, uint64_t now_us)
{
	struct pool *pool = runtime->pool;
	bool failed = runtime == pool->serving && has_failed(runtime, was_starting, now_us);
	if (runtime == pool->serving) {
		pool->serving = NULL;
		timer_heap_clear(&pool->core->timers, &pool->retry_timer);
		recycle_hurry(pool);
	}
	/* The kernel ends a spawner's workers with it. */
	struct worker_end end = {.signal = SIGKILL, .reason = "the pool's spawner ended"};
	struct worker *worker, *next;
	/* All of them, before jobs end for the loss of one and want to stop what runs in another.
	 */
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker->runtime == runtime)
			worker_exits(worker, now_us);
	for (worker = TAILQ_FIRST(&pool->workers); worker; worker = next) {
		next = TAILQ_NEXT(worker, in_pool);
		if (worker->runtime == runtime)
			worker_gone(worker, &end, now_us);
	}
	if (failed && !pool->serving && recycle_is_trial(runtime))
		recycle_runtime_failed(runtime, &error, now_us);
	else if (failed && !pool->serving)
		start_failed(pool, &error, was_starting && how == RUNTIME_END_FAILED,
			     how == RUNTIME_END_TRANSIENT, now_us);
	if (runtime == pool->successor)
		recycle_runtime_failed(runtime, &error, now_us);
	outcome_fini(&error);
	runtime_destroy(runtime);
	pool_fill(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

/* What is still to be told names them, where several timers are due at a time. */
static void use_in_actions(const struct pool *pool)
{
	const struct core *core = pool->core;
	for (size_t i = core->action_next; i < core->action_count; i++) {
		struct function *function = core->actions[i].function;
		if (function && function->pool == pool)
			function->used = true;
	}
}

void pool_sweep_functions(struct pool *pool)
{
	uint64_t id = 0;
	struct job *job;
	if (!pool->functions.gone)
		return;
	use_in_actions(pool);
	while ((job = job_table_next(&pool->core->jobs, id, &id)))
		if (job->function->pool == pool)
			job->function->used = true;
	function_table_sweep(&pool->functions);
}

void pool_take_functions(struct pool *pool, struct runtime *runtime)
{
	function_table_retain(&pool->functions, &runtime->functions);
	function_table_take(&pool->functions, &runtime->functions);
	pool_sweep_functions(pool);
	pool->generation = runtime->generation;
	pool->loaded = true;
}

/* ---- workers ---- */

void pool_worker_forked(struct worker *worker, pid_t pid, uint64_t now_us)
{
	worker->pid = pid;
	fork_told(worker, now_us);
	if (worker->state == WORKER_STARTING)
		set_deadline(worker, now_us + START_TIMEOUT_US);
}

/* Its first worker is ready: {pool, workers} to who opened it. */
static void tell_opened(struct pool *pool)
{
	struct procpool_writer w;
	pool->opening = false;
	procpool_writer_init(&w);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, pool->spec->name);
	procpool_write_string(&w, "workers");
	procpool_write_uint(&w, pool->spec->workers);
	struct outcome outcome = outcome_of_writer(&w);
	pool_waits_answer(pool, POOL_WAIT_OPEN, &outcome);
	outcome_fini(&outcome);
}

void pool_worker_ready(struct worker *worker, pid_t pid, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	if (worker->state != WORKER_STARTING)
		return;
	pool_worker_forked(worker, pid, now_us);
	worker->was_ready = true;
	worker->ready_us = now_us;
	if (worker->runtime->ready_us == 0)
		worker->runtime->ready_us = now_us;
	worker_step(worker, WORKER_READY, now_us);
	timer_heap_clear(&pool->core->timers, &worker->deadline);
	TAILQ_INSERT_TAIL(&pool->idle, worker, in_idle);
	pool->ready_count++;
	worker->runtime->ready_count++;
	if (worker->runtime == pool->serving)
		recycle_adopt(pool);
	bool recovered = pool->failure.value.size > 0;
	if (recovered) {
		outcome_fini(&pool->failure);
		timer_heap_clear(&pool->core->timers, &pool->retry_timer);
		pool_fill(pool, now_us);
	}
	if (pool->opening)
		tell_opened(pool);
	if (recovered || pool->ready_count == 1)
		publish_pool(pool);
	publish_worker(worker, NULL);
	recycle_advance(pool, now_us);
	policy_trim(pool, now_us);
	pool_fill(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

void pool_worker_exited(struct worker *worker, struct worker_end end, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	struct runtime *runtime = worker->runtime;
	bool said = end.error.value.size > 0, explained = said || end.reason;
	bool failed = (!worker->was_ready && !worker->retired) ||
		      restart_is_loop(runtime, restart_is_futile(worker, now_us));
	failed = failed && !pool->core->stopping;
	struct outcome error = said ? end.error : worker_end_failed_start(&end, worker);
	restart_prove(worker, now_us);
	worker_exits(worker, now_us);
	worker_gone(worker, &end, now_us);
	if (failed &&
	    (runtime == pool->successor || (runtime == pool->serving && recycle_is_trial(runtime))))
		recycle_runtime_failed(runtime, &error, now_us);
	else if (failed && runtime == pool->serving)
		start_failed(pool, &error, explained, end.transient, now_us);
	outcome_fini(&error);
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

static void set_retired(struct worker *worker)
{
	if (!worker->retired)
		worker->runtime->retired_count++;
	worker->retired = true;
}

void pool_retire_worker(struct worker *worker, uint64_t now_us)
{
	core_recall_worker(worker->pool->core, worker, now_us);
	set_retired(worker);
	pool_stop_worker(worker, now_us);
	if (worker->pending == 0)
		pool_worker_done(worker, now_us);
}

void pool_discard_worker(struct worker *worker, uint64_t now_us)
{
	set_retired(worker);
	pool_kill_worker(worker, now_us);
}

void pool_worker_done(struct worker *worker, uint64_t now_us)
{
	if (worker->retired && worker->deadline.place == 0)
		set_deadline(worker, now_us + FINISH_TIMEOUT_US);
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
	if (!worker->killed)
		pool_kill_worker(worker, now_us);
	else if (runtime_has_process(worker->runtime))
		runtime_kill(worker->runtime);
}
