/* SPDX-License-Identifier: MIT */
#include "core/pool_life.h"

#include <assert.h>

#include "core/core.h"
#include "core/publish.h"
#include "core/recycle.h"
#include "core/scheduler.h"

/* Of one turn, about a millisecond's worth. */
#define CANCELS_PER_TURN 1000
#define LOOKS_PER_TURN   20000

#define NO POOL_STATE_COUNT
static const enum pool_state next_states[POOL_STATE_COUNT][POOL_EVENT_COUNT] = {
	/*                      CLOSE             TERMINATE         GONE */
	[POOL_OPEN] = {POOL_CLOSING, POOL_TERMINATING, POOL_ENDED},
	[POOL_CLOSING] = {POOL_CLOSING, POOL_TERMINATING, POOL_ENDED},
	[POOL_TERMINATING] = {POOL_TERMINATING, POOL_TERMINATING, POOL_ENDED},
	[POOL_ENDED] = {NO, NO, NO},
};
#undef NO

enum pool_state pool_next_state(enum pool_state state, enum pool_event event)
{
	return next_states[state][event];
}

/* Returns whether the state is another now. */
static bool pool_step(struct pool *pool, enum pool_event event)
{
	enum pool_state state = pool->state, next = pool_next_state(state, event);
	assert(next != POOL_STATE_COUNT);
	pool->state = next;
	return next != state;
}

/* It takes no more jobs, and gets no fresh code. */
static void stop_taking(struct pool *pool, uint64_t now_us)
{
	struct outcome error = error_pool_closed(pool->spec->name);
	recycle_fail(pool, &error, now_us);
	outcome_fini(&error);
	/* What it has is to be done. */
	pool->paused = false;
	publish_pool(pool);
	core_mark_dirty(pool->core, pool);
}

void pool_close(struct pool *pool, uint64_t now_us)
{
	if (pool_step(pool, POOL_CLOSE))
		stop_taking(pool, now_us);
}

/* ---- terminating ---- */

static void cancel(struct pool *pool, struct job *job, uint64_t now_us)
{
	struct outcome error =
		error_outcome(ERR_CANCELLED, "the pool %s was terminated", pool->spec->name);
	core_end_job(pool->core, job, JOB_CANCEL, error, now_us);
}

/* The jobs of which a worker has something: before it is killed, or they would fail for that. */
static void cancel_at(struct worker *worker, uint64_t now_us)
{
	uint32_t end = worker->next_seq;
	for (uint32_t seq = worker->oldest_seq; seq != end && worker->pending > 0; seq++) {
		struct chunk *chunk = &worker->chunks[seq % PAGE_SLOTS];
		if (chunk->pending && chunk->seq == seq && !chunk->dropped)
			cancel(worker->pool, chunk->job, now_us);
	}
}

/* Jobs by their ids: none is added any more. */
static void cancel_some(struct pool *pool, uint64_t now_us)
{
	struct core *core = pool->core;
	struct job *job;
	int cancels = 0;
	for (int looks = 0; looks < LOOKS_PER_TURN && cancels < CANCELS_PER_TURN; looks++) {
		job = job_table_next(&core->jobs, pool->cancelled_id, &pool->cancelled_id);
		if (!job)
			return;
		if (job->function->pool != pool || job_ended(job))
			continue;
		cancel(pool, job, now_us);
		cancels++;
	}
	timer_heap_set(&core->timers, &pool->end_timer, now_us + 1);
}

void pool_terminate(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	if (!pool_step(pool, POOL_TERMINATE))
		return;
	stop_taking(pool, now_us);
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		cancel_at(worker, now_us);
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		pool_discard_worker(worker, now_us);
}

void pool_open_failed(struct pool *pool, const struct outcome *error, uint64_t now_us)
{
	outcome_fini(&pool->failure);
	pool->failure = (struct outcome){error->code, span_hold(error->value)};
	pool_terminate(pool, now_us);
}

/* ---- winding up ---- */

/* Each worker goes, then the process that it came from. */
static void end_processes(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	struct runtime *runtime, *next;
	pool->serving = NULL;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->state == WORKER_STARTING)
			pool_discard_worker(worker, now_us);
		else if (!worker->retired)
			pool_retire_worker(worker, now_us);
	}
	for (runtime = TAILQ_FIRST(&pool->runtimes); runtime; runtime = next) {
		next = TAILQ_NEXT(runtime, in_pool);
		/* What has not loaded does not listen yet. */
		if (runtime->state == RUNTIME_STARTING && !runtime->leaving)
			runtime_kill(runtime);
		runtime_release(runtime, now_us);
	}
}

void pool_wind_up(struct pool *pool, uint64_t now_us)
{
	if (pool->state == POOL_TERMINATING) {
		if (pool->jobs_under_way > 0 && pool->end_timer.place == 0)
			cancel_some(pool, now_us);
	} else if (pool->jobs_under_way > 0 || pool->running > 0) {
		pool_fill(pool, now_us);
		scheduler_run(pool, now_us);
		return;
	}
	end_processes(pool, now_us);
	if (pool->jobs_under_way == 0 && !pool_has_processes(pool))
		pool_end(pool);
}

/* ---- the end ---- */

static void tell_waits(struct pool *pool)
{
	struct outcome error = error_pool_closed(pool->spec->name), done = outcome_nil();
	pool_waits_answer(pool, POOL_WAIT_JOIN, &done);
	pool_waits_answer(pool, POOL_WAIT_DRAIN, &done);
	pool_waits_answer(pool, POOL_WAIT_OPEN,
			  pool->failure.value.size > 0 ? &pool->failure : &error);
	pool_waits_answer(pool, POOL_WAIT_RECYCLE, &error);
	outcome_fini(&error);
}

static void leave_owner(struct pool *pool)
{
	struct session *owner = pool->owner;
	if (!owner)
		return;
	pool->owner = NULL;
	LIST_REMOVE(pool, of_owner);
	session_release_pool(owner, pool);
	core_session_unref(pool->core, owner);
}

void pool_end(struct pool *pool)
{
	struct core *core = pool->core;
	assert(pool->jobs_under_way == 0);
	pool_step(pool, POOL_GONE);
	publish_pool(pool);
	tell_waits(pool);
	while (!LIST_EMPTY(&pool->subscriptions))
		core_drop_subscription(core, LIST_FIRST(&pool->subscriptions));
	fair_queue_fini(&pool->queue);
	timer_heap_clear(&core->timers, &pool->retry_timer);
	timer_heap_clear(&core->timers, &pool->rebalance_timer);
	timer_heap_clear(&core->timers, &pool->idle_timer);
	timer_heap_clear(&core->timers, &pool->end_timer);
	leave_owner(pool);
	TAILQ_REMOVE(&core->pools, pool, in_core);
	/* Freed later: what the core wants done may still refer to its functions. */
	if (pool->dirty)
		STAILQ_REMOVE(&core->dirty, pool, pool, in_dirty);
	pool->dirty = true;
	STAILQ_INSERT_TAIL(&core->ended, pool, in_dirty);
}

void pool_sweep(struct pool *pool)
{
	struct function_table none = {0};
	assert(pool->state == POOL_ENDED);
	if (pool->jobs == 0) {
		pool_destroy(pool);
		return;
	}
	function_table_retain(&pool->functions, &none);
	pool_sweep_functions(pool);
	/* Of all else only the name is of interest. */
	struct pool_spec *name = pool_spec_create(pool->spec->name);
	if (name) {
		pool_spec_unref(pool->spec);
		pool_spec_unref(pool->code);
		pool->spec = name;
		pool->code = pool_spec_ref(name);
	}
}

bool pool_needs_no_workers(const struct pool *pool)
{
	return pool->state == POOL_TERMINATING || pool->state == POOL_ENDED ||
	       (pool->state == POOL_CLOSING && pool->jobs_under_way == 0);
}
