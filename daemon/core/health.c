/* SPDX-License-Identifier: MIT */
#include "core/health.h"

#include <stddef.h>

#include "core/core.h"

/* A timer so late says that the machine or the daemon stood still, and so did the workers. */
#define LATE_US 500000

const char *health_reason(enum health health)
{
	static const char *const reasons[HEALTH_COUNT] = {
		[HEALTH_STOPPED] = "it was stopped by a signal",
		[HEALTH_WEDGED] = "it began nothing of what it was sent",
	};
	return reasons[health];
}

void health_watch(struct core *core, uint64_t now_us)
{
	if (core->health_timer.place == 0)
		timer_heap_set(&core->timers, &core->health_timer, now_us + HEALTH_QUIET_US);
}

/* Orders what is due of a pool; when to look again, or TIME_NEVER. */
static uint64_t check_pool(struct pool *pool, uint64_t now_us)
{
	uint64_t next_us = TIME_NEVER;
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->pending == 0 || worker->killed)
			continue;
		uint64_t due_us = worker->progress_us + HEALTH_QUIET_US;
		if (due_us <= now_us) {
			core_add_action(pool->core, ACTION_CHECK_WORKER)->worker = worker;
			due_us = now_us + HEALTH_QUIET_US;
		}
		if (due_us < next_us)
			next_us = due_us;
	}
	return next_us;
}

void health_check(struct core *core, uint64_t now_us)
{
	uint64_t next_us = TIME_NEVER;
	struct pool *pool;
	if (now_us - core->health_timer.at_us >= LATE_US) {
		health_watch(core, now_us);
		return;
	}
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		uint64_t due_us = check_pool(pool, now_us);
		if (due_us < next_us)
			next_us = due_us;
	}
	if (next_us != TIME_NEVER)
		timer_heap_set(&core->timers, &core->health_timer, next_us);
}

static enum health diagnose(struct worker *worker, struct health_report report, uint64_t now_us)
{
	uint64_t quiet_us = now_us - worker->progress_us;
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
	if (health == HEALTH_GOOD)
		return health;
	worker->kill_reason = health_reason(health);
	pool_kill_worker(worker, now_us);
	/* Its end may take a while to be told. */
	core_recall_worker(worker->pool->core, worker, now_us);
	core_mark_dirty(worker->pool->core, worker->pool);
	return health;
}
