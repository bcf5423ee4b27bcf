/* SPDX-License-Identifier: MIT */
#include "core/restart.h"

#include "core/core.h"
#include "core/random.h"

uint64_t restart_pause_us(struct core *core, unsigned failures)
{
	unsigned doublings = failures < 16 ? failures - 1 : 15;
	uint64_t pause_us = RESTART_FIRST_US << doublings;
	if (pause_us > RESTART_MAX_US)
		pause_us = RESTART_MAX_US;
	return pause_us - random_below(&core->random, pause_us / 4);
}

static bool is_proved(const struct worker *worker, uint64_t now_us)
{
	return worker->was_ready &&
	       (worker->tasks > 0 || now_us - worker->ready_us >= RESTART_PROOF_US);
}

bool restart_is_futile(struct worker *worker, uint64_t now_us)
{
	return worker->was_ready && !worker->killed && !worker->retired &&
	       !is_proved(worker, now_us) && !worker_runs(worker);
}

bool restart_is_loop(struct runtime *runtime, bool futile)
{
	if (!futile)
		return false;
	return ++runtime->futile_count > RESTART_FUTILE_MAX * runtime->pool->target;
}

void restart_prove(const struct worker *worker, uint64_t now_us)
{
	struct pool *pool = worker->pool;
	if (!is_proved(worker, now_us))
		return;
	worker->runtime->futile_count = 0;
	/* One that was ready before says nothing of starts since. */
	if (worker->ready_us >= pool->failed_us)
		pool->failures = 0;
}

void restart_prove_any(const struct pool *pool, uint64_t now_us)
{
	const struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		restart_prove(worker, now_us);
}

bool restart_is_short_lived(struct pool *pool, const struct runtime *runtime, uint64_t now_us)
{
	if (now_us - runtime->ready_us >= RESTART_MOMENT_US) {
		pool->short_lives = 0;
		return false;
	}
	pool->short_lives++;
	if (pool->short_lives < 2)
		return false;
	/* Whatever its workers did meanwhile. */
	if (pool->failures < pool->short_lives - 2)
		pool->failures = pool->short_lives - 2;
	return true;
}
