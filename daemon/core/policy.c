/* SPDX-License-Identifier: MIT */
#include "core/policy.h"

#include "core/core.h"
#include "core/health.h"
#include "core/random.h"
#include "core/recycle.h"

/* Limits are up to a tenth lower. */
#define JITTER_PART 10
/* Of the workers of a pool, so many are replaced at a time: a quarter. */
#define REPLACED_PART 4

void policy_init(struct pool *pool)
{
	pool->min = pool->spec->workers_min;
	pool->max = pool->spec->workers_max;
	pool->target = pool->spec->workers;
	pool->idle_timer.kind = TIMER_IDLE;
}

/* ---- replacing ---- */

unsigned policy_replacements(const struct pool *pool)
{
	unsigned most = pool->target / REPLACED_PART;
	/* A successor replaces them all. */
	if (pool->successor || pool->due_count == 0)
		return 0;
	if (most == 0)
		most = 1;
	return pool->due_count < most ? pool->due_count : most;
}

static uint64_t with_jitter(struct core *core, uint64_t limit)
{
	if (limit == 0)
		return UINT64_MAX;
	return limit - random_below(&core->random, limit / JITTER_PART + 1);
}

void policy_limit_worker(struct worker *worker)
{
	const struct pool_spec *spec = worker->pool->spec;
	worker->tasks_max = with_jitter(worker->pool->core, spec->max_tasks);
	worker->rss_max_bytes = with_jitter(worker->pool->core, spec->max_rss_bytes);
}

void policy_check_worker(struct worker *worker, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	if (worker->due ||
	    (worker->tasks < worker->tasks_max && worker->rss_bytes <= worker->rss_max_bytes) ||
	    !worker_serves(worker))
		return;
	worker->due = true;
	pool->due_count++;
	pool_fill(pool, now_us);
}

void policy_forget_worker(struct worker *worker)
{
	if (worker->due)
		worker->pool->due_count--;
	worker->due = false;
}

/* ---- how many ---- */

/* For how long a worker beyond the least may idle. Not 0: while all are busy, it would be looked
 * without end for one that idles. */
static uint64_t idle_us(const struct pool *pool)
{
	uint64_t us = pool->spec->idle_us;
	return us > POLICY_PATIENCE_US ? us : POLICY_PATIENCE_US;
}

static void set_idle_timer(struct pool *pool, uint64_t at_us)
{
	timer_heap_set(&pool->core->timers, &pool->idle_timer, at_us);
}

/* Whether all workers have been at one task for so long that others may wait long, too. */
static bool all_are_held(const struct pool *pool, uint64_t now_us)
{
	const struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker->state == WORKER_BUSY &&
		    now_us - worker->progress_us < POLICY_PATIENCE_US)
			return false;
	return true;
}

/* Whether the workers there are will have done what waits before another could begin it. */
static bool is_soon_done(const struct pool *pool, const struct function *function)
{
	return function->samples > 0 && function->mean_us * (double)pool->waiting <
						(double)POLICY_PATIENCE_US * pool->ready_count;
}

void policy_grow(struct pool *pool, const struct function *function, uint64_t now_us)
{
	struct timer *timer = &pool->rebalance_timer;
	unsigned starting = pool->target > pool->ready_count ? pool->target - pool->ready_count : 0;
	if (pool->target >= pool->max || pool->waiting <= starting)
		return;
	if (is_soon_done(pool, function) && !all_are_held(pool, now_us)) {
		if (timer->place == 0)
			timer_heap_set(&pool->core->timers, timer, now_us + POLICY_PATIENCE_US);
		return;
	}
	uint64_t wanted = pool->waiting - starting;
	unsigned room = pool->max - pool->target;
	pool->target += wanted < room ? (unsigned)wanted : room;
	if (pool->idle_timer.place == 0)
		set_idle_timer(pool, now_us + idle_us(pool));
	pool_fill(pool, now_us);
}

bool policy_add_extra(struct pool *pool, uint64_t now_us)
{
	if (pool->target >= pool->max + pool->spec->extra_workers)
		return false;
	pool->target++;
	if (pool->idle_timer.place == 0)
		set_idle_timer(pool, now_us + idle_us(pool));
	pool_fill(pool, now_us);
	return true;
}

/* Not simply the last of them: that may have come there a moment ago, when it was ready. */
static struct worker *longest_idle(struct pool *pool)
{
	struct worker *worker, *found = NULL;
	TAILQ_FOREACH (worker, &pool->idle, in_idle)
		if (!found || worker->since_us <= found->since_us)
			found = worker;
	return found;
}

void policy_shrink(struct pool *pool, uint64_t now_us)
{
	uint64_t most_us = idle_us(pool), next_us = now_us + most_us;
	struct worker *worker;
	while (pool->target > pool->min && (worker = longest_idle(pool))) {
		if (worker->since_us + most_us > now_us) {
			next_us = worker->since_us + most_us;
			break;
		}
		pool->target--;
		pool_retire_worker(worker, now_us);
	}
	if (pool->target > pool->min)
		set_idle_timer(pool, next_us);
	recycle_advance(pool, now_us);
	policy_trim(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

/* The one whose end costs least; NULL: none is ready. */
static struct worker *least_needed(struct pool *pool)
{
	struct worker *worker, *found = NULL;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->runtime != pool->serving || !worker_serves(worker))
			continue;
		if (!found || (worker->due && !found->due) ||
		    (worker->due == found->due && worker->state < found->state) ||
		    (worker->due == found->due && worker->state == found->state &&
		     worker->since_us < found->since_us))
			found = worker;
	}
	return found;
}

/* Those not needed before they are ready. */
static void discard_starting(struct runtime *runtime, unsigned wanted, uint64_t now_us)
{
	struct worker *worker;
	TAILQ_FOREACH_REVERSE (worker, &runtime->pool->workers, worker_list, in_pool) {
		if (runtime->worker_count - runtime->retired_count <= wanted)
			return;
		if (worker->runtime == runtime && worker->state == WORKER_STARTING)
			pool_discard_worker(worker, now_us);
	}
}

void policy_trim(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	unsigned places = pool_places(pool);
	if (!pool->serving || pool->core->stopping)
		return;
	while (pool->serving->ready_count > places && (worker = least_needed(pool)))
		pool_retire_worker(worker, now_us);
	discard_starting(pool->serving, places + policy_replacements(pool), now_us);
	if (pool->successor)
		discard_starting(pool->successor, pool->target, now_us);
}

void policy_scale(struct pool *pool, unsigned min, unsigned max, uint64_t now_us)
{
	pool->min = min;
	pool->max = max;
	if (pool->target < min)
		pool->target = min;
	if (pool->target > max)
		pool->target = max;
	if (pool->target > min && pool->idle_timer.place == 0)
		set_idle_timer(pool, now_us + idle_us(pool));
	pool->core->workers_left = true;
	recycle_advance(pool, now_us);
	policy_trim(pool, now_us);
	pool_fill(pool, now_us);
	core_mark_dirty(pool->core, pool);
}

/* Draws limits for the workers there are, some of which may be due by them. */
static void limit_again(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		policy_forget_worker(worker);
		policy_limit_worker(worker);
	}
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		policy_check_worker(worker, now_us);
	health_watch(pool, now_us);
}

static bool same_counts(const struct pool_spec *a, const struct pool_spec *b)
{
	return a->workers == b->workers && a->workers_min == b->workers_min &&
	       a->workers_max == b->workers_max;
}

void policy_change(struct pool *pool, const struct pool_spec *before, uint64_t now_us)
{
	const struct pool_spec *spec = pool->spec;
	bool same = same_counts(spec, before);
	if (spec->max_tasks != before->max_tasks || spec->max_rss_bytes != before->max_rss_bytes)
		limit_again(pool, now_us);
	if (!same || pool->target > pool->max + spec->extra_workers)
		policy_scale(pool, same ? pool->min : spec->workers_min,
			     same ? pool->max : spec->workers_max, now_us);
	/* Some may have idled for long enough. */
	if (pool->target > pool->min)
		set_idle_timer(pool, now_us + 1);
}
