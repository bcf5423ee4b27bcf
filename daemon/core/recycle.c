/* SPDX-License-Identifier: MIT */
#include "core/recycle.h"

#include "core/core.h"
#include "core/publish.h"
#include "core/update.h"

/* ---- which code is the pool's ---- */

static bool is_other_code(const struct pool_spec *a, const struct pool_spec *b)
{
	return (pool_spec_differ(a, b) & POOL_SPEC_PROCESSES) != 0;
}

bool recycle_is_trial(const struct runtime *runtime)
{
	return is_other_code(runtime->spec, runtime->pool->code);
}

/* The code is the spec's, and nothing is known against it. */
static void take_code(struct pool *pool)
{
	pool_spec_unref(pool->code);
	pool->code = pool_spec_ref(pool->spec);
	outcome_fini(&pool->refusal);
}

void recycle_adopt(struct pool *pool)
{
	if (recycle_is_trial(pool->serving))
		take_code(pool);
	pool->code_works = true;
}

/* The successor serves. */
static void promote(struct pool *pool)
{
	pool->serving = pool->successor;
	pool->successor = NULL;
	if (pool->serving->ready_us != 0)
		recycle_adopt(pool);
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
	update_pool_settled(pool, NULL);
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

/* Why the pool keeps other code than that of its spec. */
static void set_refusal(struct pool *pool, const struct outcome *error)
{
	outcome_fini(&pool->refusal);
	pool->refusal = (struct outcome){error->code, span_hold(error->value)};
	publish_pool(pool);
}

static void fail_without_memory(struct pool *pool, uint64_t now_us)
{
	struct outcome error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
	if (is_other_code(pool->spec, pool->code))
		set_refusal(pool, &error);
	recycle_fail(pool, &error, now_us);
	outcome_fini(&error);
}

static void start_successor(struct pool *pool, uint64_t now_us)
{
	pool->successor = runtime_start(pool, pool->spec, now_us);
	if (!pool->successor)
		fail_without_memory(pool, now_us);
}

static bool works(const struct pool *pool)
{
	return pool->code_works && pool->failure.value.size == 0;
}

/* Whether there is something for a successor to take the place of. */
static bool can_succeed(const struct pool *pool)
{
	return pool->serving && runtime_serves(pool->serving) &&
	       (works(pool) || !is_other_code(pool->spec, pool->code));
}

/* Whatever is started next is of the spec: on trial, where the code is one to go back to. */
static void start_afresh(struct pool *pool, uint64_t now_us)
{
	struct runtime *old = pool->serving;
	timer_heap_clear(&pool->core->timers, &pool->retry_timer);
	if (is_other_code(pool->spec, pool->code)) {
		if (!works(pool)) {
			take_code(pool);
			pool->code_works = false;
		}
		pool->serving = runtime_start(pool, pool->spec, now_us);
		if (!pool->serving)
			fail_without_memory(pool, now_us);
		if (old)
			abandon(old, now_us);
	}
	pool_fill(pool, now_us);
}

void recycle_begin(struct pool *pool, uint64_t now_us)
{
	if (pool->successor || (pool->serving && recycle_is_trial(pool->serving)))
		return;
	if (can_succeed(pool))
		start_successor(pool, now_us);
	else
		start_afresh(pool, now_us);
}

const struct pool_spec *recycle_next(const struct pool *pool)
{
	const struct runtime *next = pool->successor ? pool->successor : pool->serving;
	return next ? next->spec : pool->code;
}

/* Takes out of the pool what is to serve and does not yet. NULL: there is no such thing. */
static struct runtime *take_next(struct pool *pool)
{
	struct runtime *next = pool->successor;
	pool->successor = NULL;
	if (!next && pool->serving && recycle_is_trial(pool->serving)) {
		next = pool->serving;
		pool->serving = NULL;
	}
	return next;
}

static void go_back(struct pool *pool, struct runtime *next, uint64_t now_us)
{
	abandon(next, now_us);
	retire_surplus(pool, now_us);
	pool_fill(pool, now_us);
}

/* The code is that of the spec already: what did not come to serve is not wanted any more. */
static void go_on(struct pool *pool)
{
	bool refused = pool->refusal.value.size > 0;
	take_code(pool);
	if (refused)
		publish_pool(pool);
}

void recycle_update(struct pool *pool, uint64_t now_us)
{
	struct runtime *next = take_next(pool);
	if (is_other_code(pool->spec, pool->code) || pool_waits_for(pool, POOL_WAIT_RECYCLE))
		recycle_begin(pool, now_us);
	else
		go_on(pool);
	if (next)
		go_back(pool, next, now_us);
	recycle_advance(pool, now_us);
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
	struct runtime *next = take_next(pool);
	pool_waits_answer(pool, POOL_WAIT_RECYCLE, error);
	update_pool_settled(pool, error);
	if (next)
		go_back(pool, next, now_us);
}

void recycle_runtime_failed(struct runtime *runtime, const struct outcome *error, uint64_t now_us)
{
	if (recycle_is_trial(runtime))
		set_refusal(runtime->pool, error);
	recycle_fail(runtime->pool, error, now_us);
}

void recycle_hurry(struct pool *pool)
{
	if (pool->successor)
		promote(pool);
}
