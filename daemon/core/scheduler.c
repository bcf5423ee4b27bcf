/* SPDX-License-Identifier: MIT */
#include "core/scheduler.h"

#include "core/core.h"
#include "core/health.h"
#include "core/policy.h"
#include "core/publish.h"
#include "core/stop.h"

#define CHUNK_TASKS_MAX 65536U
#define CHUNK_BYTES_MAX ((size_t)256 << 10)
/* What a message, and each task in it, costs a worker beyond the function itself. */
#define MESSAGE_OVERHEAD_US 0.3
#define TASK_OVERHEAD_US    0.02
/* What passing their arguments costs: for large ones, by far the most. */
#define BYTE_US 0.001
/* How many times as long as it takes to pass what each chunk of a job has anew its tasks are to
 * take. */
#define CARRIED_TIMES 4

static double tasks_us(const struct function *function, uint32_t tasks, size_t bytes)
{
	return MESSAGE_OVERHEAD_US + (function->mean_us + TASK_OVERHEAD_US) * tasks +
	       BYTE_US * (double)bytes;
}

/* Whether the worker has said nothing for so long that nothing more should wait behind what it
 * runs. */
static bool is_stale(const struct worker *worker, uint64_t now_us)
{
	return now_us - worker->progress_us >= SCHEDULER_STALE_US;
}

/* The busy worker with the least to do, where more may be sent ahead; NULL if there is none. */
static struct worker *least_busy(struct pool *pool, const struct function *function,
				 uint64_t now_us)
{
	struct worker *best = NULL, *worker;
	double room_us = SCHEDULER_AHEAD_US - tasks_us(function, 1, 0);
	/* Of a function that was never measured nothing is sent ahead. */
	if (function->samples == 0 || room_us < 0)
		return NULL;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->state != WORKER_BUSY || !worker_has_room(worker) ||
		    worker->backlog_us > room_us || is_stale(worker, now_us))
			continue;
		if (!best || worker->backlog_us < best->backlog_us)
			best = worker;
	}
	return best;
}

/* Bytes that each chunk of the job has, whatever tasks are in it. */
static size_t carried_bytes(const struct job *job)
{
	return job_kwargs(job).size + job_pickle(job).size;
}

/* How many tasks of a job a chunk for this worker should have. */
static uint32_t chunk_tasks(const struct pool *pool, const struct worker *worker,
			    const struct job *job)
{
	uint32_t asked = job_chunksize(job);
	if (asked > 0)
		return asked;
	/* What a worker without a page had not begun when it died cannot be told. */
	if (!worker->page || job->function->samples == 0)
		return 1;
	double chunk_us = SCHEDULER_CHUNK_US + CARRIED_TIMES * BYTE_US * (double)carried_bytes(job);
	double by_time = chunk_us / (job->function->mean_us + TASK_OVERHEAD_US);
	uint32_t tasks = by_time < CHUNK_TASKS_MAX ? (uint32_t)by_time : CHUNK_TASKS_MAX;
	/* Towards the end smaller ones, so that all workers end together. */
	uint32_t share = job_tasks_left(job) / (2 * pool->target);
	if (tasks > share)
		tasks = share;
	return tasks > 0 ? tasks : 1;
}

static void assign(struct pool *pool, struct worker *worker, struct job *job, uint64_t now_us)
{
	struct core *core = pool->core;
	uint32_t attempt;
	struct range range =
		job_take(job, chunk_tasks(pool, worker, job), CHUNK_BYTES_MAX, &attempt);
	size_t bytes = range.size + carried_bytes(job);
	double estimate_us = job->function->samples > 0
				     ? tasks_us(job->function, range.count, bytes)
				     : 2 * SCHEDULER_AHEAD_US;
	struct chunk *chunk = worker_push(worker, job, range, attempt, estimate_us, now_us);

	bool first = job->state == JOB_WAITING;
	job_step(job, JOB_ASSIGN, now_us);
	if (!job_has_tasks(job))
		fair_queue_remove(job->flow, job);
	fair_queue_charge(job->flow, (int64_t)estimate_us + 1);
	if (first) {
		core->running_jobs++;
		publish_job(core, job);
	}
	if (attempt == 1) {
		if (first)
			job->waited_us = now_us - job->submitted_us;
		histogram_add(&core->stats.waiting, now_us - job->submitted_us, range.count);
	}
	core->stats.tasks_begun += range.count;
	pool->waiting -= range.count;
	pool->running += range.count;

	if (worker->state == WORKER_IDLE) {
		TAILQ_REMOVE(&pool->idle, worker, in_idle);
		worker->progress_us = now_us;
		health_watch(pool, now_us);
	}
	worker_step(worker, WORKER_ASSIGN, now_us);
	struct action *action = core_add_action(core, ACTION_SEND_TASK);
	action->worker = worker;
	action->chunk = chunk;
	if (job_timeout_us(job) > 0)
		stop_watch(worker, job_timeout_us(job), now_us);
}

/* Whether somewhere a task waits behind another. Cheap where each busy worker has one. */
static bool is_unbalanced(struct pool *pool)
{
	unsigned busy = pool->ready_count;
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->idle, in_idle)
		busy--;
	if (pool->running <= busy)
		return false;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker->state == WORKER_BUSY && worker_has_waiting(worker))
			return true;
	return false;
}

/* If a worker idles, or one more could be started, while tasks wait at others, look again soon. */
static void watch_balance(struct pool *pool, uint64_t now_us)
{
	bool could_run = !TAILQ_EMPTY(&pool->idle) || pool->target < pool->max;
	if (could_run && pool->rebalance_timer.place == 0 && is_unbalanced(pool))
		timer_heap_set(&pool->core->timers, &pool->rebalance_timer,
			       now_us + SCHEDULER_STALE_US);
}

void scheduler_run(struct pool *pool, uint64_t now_us)
{
	struct job *job;
	if (pool->paused)
		return;
	while ((job = fair_queue_peek(&pool->queue))) {
		struct worker *worker = TAILQ_FIRST(&pool->idle);
		if (!worker && nesting_parent(job) == 0)
			worker = least_busy(pool, job->function, now_us);
		if (!worker) {
			policy_grow(pool, job->function, now_us);
			return;
		}
		assign(pool, worker, job, now_us);
	}
	watch_balance(pool, now_us);
}

void scheduler_rebalance(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->state != WORKER_BUSY || !is_stale(worker, now_us))
			continue;
		/* One that has not begun anything is only slow to wake: nobody else would be
		 * faster. Whether it ever will is a matter of its health. */
		if (worker_runs(worker))
			core_recall_worker(pool->core, worker, now_us);
	}
	core_mark_dirty(pool->core, pool);
}
