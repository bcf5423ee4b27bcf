/* SPDX-License-Identifier: MIT */
#include "core/recycle.h"

#include "core/core.h"
#include "core/publish.h"

/* The successor serves. */
static void promote(struct pool *pool)
{
	pool->serving = pool->successor;
	pool->successor = NULL;
	if (pool->serving->generation > 0)
		pool_take_functions(pool, pool->serving);
}

/* {pool, generation} */
static struct outcome describe(const struct pool *pool)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, pool->spec->name);
	procpool_write_string(&w, "generation");
	procpool_write_uint(&w, pool->serving->generation);
	return outcome_of_writer(&w);
}

static void tell_success(struct pool *pool)
{
	if (!pool_waits_for(pool, POOL_WAIT_RECYCLE))
		return;
	struct outcome outcome = describe(pool);
	pool_waits_answer(pool, POOL_WAIT_RECYCLE, &outcome);
	outcome_fini(&outcome);
}

/* Whether its workers may go as soon as others are ready. */
static bool is_old(const struct pool *pool, const struct runtime *runtime)
{
	return pool->successor ? runtime != pool->successor : runtime != pool->serving;
}

/* A worker of old code: of code that does not serve rather than of what does, idle rather than
 * busy, idle for long rather than for a moment. NULL: there is none. */
static struct worker *least_wanted(struct pool *pool)
{
	struct worker *worker, *found = NULL;
	TAILQ_FOREACH_REVERSE (worker, &pool->idle, worker_list, in_idle)
		if (is_old(pool, worker->runtime) && (!found || found->runtime == pool->serving))
			found = worker;
	if (found)
		return found;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker_serves(worker) && is_old(pool, worker->runtime) &&
		    (!found || found->runtime == pool->serving))
			found = worker;
	return found;
}

/* Ends what of a runtime has not come to serve: without waiting for it to load or to get ready. */
static void abandon(struct runtime *runtime, uint64_t now_us)
{
	struct pool *pool = runtime->pool;
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker->runtime == runtime && worker->state == WORKER_STARTING)
			pool_discard_worker(worker, now_us);
	if (runtime->state == RUNTIME_STARTING)
		runtime_kill(runtime);
	runtime_release(runtime, now_us);
}

static void retire_surplus(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	while (pool->ready_count > pool->target && (worker = least_wanted(pool)))
		pool_retire_worker(worker, now_us);
}

void recycle_begin(struct pool *pool, uint64_t now_us)
{
	if (pool->successor)
		return;
	if (pool->serving && runtime_serves(pool->serving)) {
		pool->successor = runtime_start(pool, now_us);
		if (!pool->successor) {
			struct outcome error =
				error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
			recycle_fail(pool, &error, now_us);
			outcome_fini(&error);
		}
		return;
	}
	/* Whatever is started next loads what is there now. */
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	pool_fill(pool, now_us);
}

void recycle_advance(struct pool *pool, uint64_t now_us)
{
	retire_surplus(pool, now_us);
	if (pool->successor && pool->successor->ready_count >= pool->target) {
		struct runtime *old = pool->serving;
		promote(pool);
		abandon(old, now_us);
		publish_pool(pool);
	}
	if (!pool->successor && pool->serving && pool->serving->ready_count >= pool->target)
		tell_success(pool);
}

void recycle_fail(struct pool *pool, const struct outcome *error, uint64_t now_us)
{
	struct runtime *failed = pool->successor;
	pool->successor = NULL;
	pool_waits_answer(pool, POOL_WAIT_RECYCLE, error);
	if (!failed)
		return;
	abandon(failed, now_us);
	retire_surplus(pool, now_us);
	pool_fill(pool, now_us);
}

void recycle_hurry(struct pool *pool)
{
	if (pool->successor)
		promote(pool);
}
