/* SPDX-License-Identifier: MIT */
#include "core/health.h"

#include <stddef.h>

#include "core/core.h"
#include "core/policy.h"
#include "core/slow.h"

/* A timer so late says that the machine or the daemon stood still, and so did the workers. */
#define LATE_US 500000

const char *health_reason(enum health health)
{
	static const char *const reasons[HEALTH_COUNT] = {
		[HEALTH_STOPPED] = "it was stopped by a signal",
		[HEALTH_WEDGED] = "it began nothing of what it was sent",
		[HEALTH_OVER_MEMORY] = "it used more memory than it may",
	};
	return reasons[health];
}

/* Whether its workers' memory is of interest. */
static bool is_measured(const struct pool *pool)
{
	return pool->spec->memory_bytes > 0 || pool->code->memory_bytes > 0 ||
	       pool->spec->max_rss_bytes > 0;
}

static void look_at(struct core *core, uint64_t at_us)
{
	struct timer *timer = &core->health_timer;
	if (timer->place == 0 || timer->at_us > at_us)
		timer_heap_set(&core->timers, timer, at_us);
}

void health_watch(struct pool *pool, uint64_t now_us)
{
	look_at(pool->core, now_us + (is_measured(pool) ? HEALTH_MEMORY_US : HEALTH_QUIET_US));
}

/* When the worker has to be looked at, or TIME_NEVER. */
static uint64_t due_at(const struct worker *worker, bool measured, uint64_t now_us)
{
	if (worker->killed || worker->state == WORKER_STARTING)
		return TIME_NEVER;
	if (measured && (worker->pending > 0 || worker->tasks != worker->tasks_looked_at))
		return now_us;
	return worker->pending > 0 ? worker->progress_us + HEALTH_QUIET_US : TIME_NEVER;
}

static void check_pool(struct pool *pool, uint64_t now_us)
{
	struct core *core = pool->core;
	bool measured = is_measured(pool);
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		uint64_t due_us = due_at(worker, measured, now_us);
		if (due_us <= now_us) {
			slow_look(worker, now_us);
			core_add_action(core, ACTION_CHECK_WORKER)->worker = worker;
			due_us = now_us + (measured ? HEALTH_MEMORY_US : HEALTH_QUIET_US);
			if (worker->pending == 0)
				due_us = TIME_NEVER;
		}
		if (due_us != TIME_NEVER)
			look_at(core, due_us);
	}
}

void health_check(struct core *core, uint64_t now_us)
{
	struct pool *pool;
	if (now_us - core->health_timer.at_us >= LATE_US) {
		look_at(core, now_us + HEALTH_QUIET_US);
		return;
	}
	TAILQ_FOREACH (pool, &core->pools, in_core)
		check_pool(pool, now_us);
}

static enum health diagnose(struct worker *worker, struct health_report report, uint64_t now_us)
{
	uint64_t limit = worker->runtime->spec->memory_bytes;
	uint64_t quiet_us = now_us - worker->progress_us;
	if (limit > 0 && !worker->confined && !worker->killed && report.rss_bytes > limit)
		return HEALTH_OVER_MEMORY;
	/* It may have answered since it was asked for. */
	if (worker->pending == 0 || worker->killed || quiet_us < HEALTH_QUIET_US)
		return HEALTH_GOOD;
	if (report.state == 'T')
		return HEALTH_STOPPED;
	if (report.state == 't' || worker_runs(worker))
		return HEALTH_GOOD;
	bool asleep = report.state == 'S' && report.unread;
	return asleep || quiet_us >= HEALTH_STARVED_US ? HEALTH_WEDGED : HEALTH_GOOD;
}

enum health health_judge(struct worker *worker, struct health_report report, uint64_t now_us)
{
	enum health health = diagnose(worker, report, now_us);
	worker->rss_bytes = report.rss_bytes;
	worker->tasks_looked_at = worker->tasks;
	if (health == HEALTH_GOOD) {
		policy_check_worker(worker, now_us);
		return health;
	}
	worker->out_of_memory = health == HEALTH_OVER_MEMORY;
	worker->kill_reason = health_reason(health);
	pool_kill_worker(worker, now_us);
	/* Its end may take a while to be told. */
	core_recall_worker(worker->pool->core, worker, now_us);
	core_mark_dirty(worker->pool->core, worker->pool);
	return health;
}
