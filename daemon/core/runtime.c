/* SPDX-License-Identifier: MIT */
#include "core/runtime.h"

#include <assert.h>
#include <stdlib.h>

#include "core/core.h"
#include "core/publish.h"

#define LOAD_TIMEOUT_US (60 * UINT64_C(1000000))
/* From being asked for a worker, or telling of the one before, to telling of it. */
#define FORK_TIMEOUT_US (10 * UINT64_C(1000000))
/* From the end of its channel, or its word that it failed, to its exit. */
#define EXIT_TIMEOUT_US (2 * UINT64_C(1000000))

#define NO RUNTIME_STATE_COUNT
static const enum runtime_state next_states[RUNTIME_STATE_COUNT][RUNTIME_EVENT_COUNT] = {
	/*                      LOADED         IS_WORKER     STOP              EXIT */
	[RUNTIME_STARTING] = {RUNTIME_READY, RUNTIME_EXEC, RUNTIME_STOPPING, RUNTIME_GONE},
	[RUNTIME_READY] = {NO, NO, RUNTIME_STOPPING, RUNTIME_GONE},
	[RUNTIME_EXEC] = {NO, NO, RUNTIME_EXEC, NO},
	[RUNTIME_STOPPING] = {RUNTIME_STOPPING, RUNTIME_STOPPING, RUNTIME_STOPPING, RUNTIME_GONE},
	[RUNTIME_GONE] = {NO, NO, NO, NO},
};
#undef NO

enum runtime_state runtime_next_state(enum runtime_state state, enum runtime_event event)
{
	return next_states[state][event];
}

static void runtime_step(struct runtime *runtime, enum runtime_event event)
{
	enum runtime_state next = runtime_next_state(runtime->state, event);
	assert(next != RUNTIME_STATE_COUNT);
	runtime->state = next;
}

static void set_deadline(struct runtime *runtime, uint64_t at_us)
{
	timer_heap_set(&runtime->pool->core->timers, &runtime->deadline, at_us);
}

static void clear_deadline(struct runtime *runtime)
{
	timer_heap_clear(&runtime->pool->core->timers, &runtime->deadline);
}

struct runtime *runtime_start(struct pool *pool, struct pool_spec *spec, uint64_t now_us)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	if (!runtime)
		return NULL;
	runtime->pool = pool;
	runtime->spec = pool_spec_ref(spec);
	runtime->state = RUNTIME_STARTING;
	runtime->deadline.kind = TIMER_RUNTIME;
	TAILQ_INSERT_TAIL(&pool->runtimes, runtime, in_pool);
	set_deadline(runtime, now_us + LOAD_TIMEOUT_US);
	core_add_action(pool->core, ACTION_START_RUNTIME)->runtime = runtime;
	return runtime;
}

void runtime_destroy(struct runtime *runtime)
{
	assert(runtime->worker_count == 0);
	clear_deadline(runtime);
	function_table_fini(&runtime->functions);
	TAILQ_REMOVE(&runtime->pool->runtimes, runtime, in_pool);
	pool_spec_unref(runtime->spec);
	free(runtime);
}

bool runtime_has_process(const struct runtime *runtime)
{
	return runtime->state != RUNTIME_EXEC && runtime->state != RUNTIME_GONE;
}

bool runtime_serves(const struct runtime *runtime)
{
	return !runtime->leaving &&
	       (runtime->state == RUNTIME_READY || runtime->state == RUNTIME_EXEC);
}

struct worker *runtime_hello(struct runtime *runtime, struct runtime_abilities abilities,
			     uint64_t now_us)
{
	runtime->abilities = abilities;
	if (abilities.forks || runtime->state != RUNTIME_STARTING)
		return NULL;
	struct worker *worker = pool_add_worker(runtime, now_us);
	if (!worker)
		return NULL;
	runtime_step(runtime, RUNTIME_IS_WORKER);
	runtime->generation = ++runtime->pool->last_generation;
	clear_deadline(runtime);
	pool_fill(runtime->pool, now_us);
	return worker;
}

bool runtime_loaded(struct runtime *runtime, struct procpool_value functions, uint64_t now_us)
{
	struct pool *pool = runtime->pool;
	/* Further processes of the code that serves may have further functions. */
	bool further = runtime == pool->serving && runtime->generation > 0 &&
		       runtime->generation == pool->generation;
	if (!function_table_read(further ? &pool->functions : &runtime->functions, pool, functions,
				 pool->core->limits.name_bytes))
		return false;
	if (runtime->state == RUNTIME_STARTING && !runtime->leaving) {
		runtime_step(runtime, RUNTIME_LOADED);
		runtime->generation = ++pool->last_generation;
		clear_deadline(runtime);
	}
	if (runtime == pool->serving && !further)
		pool_take_functions(pool, runtime);
	pool_fill(pool, now_us);
	return true;
}

void runtime_exited(struct runtime *runtime, struct outcome error, enum runtime_end end,
		    uint64_t now_us)
{
	bool was_starting = runtime->state == RUNTIME_STARTING;
	runtime_step(runtime, RUNTIME_EXIT);
	clear_deadline(runtime);
	pool_runtime_gone(runtime, error, was_starting, end, now_us);
}

bool runtime_stale(struct runtime *runtime)
{
	if (runtime->stale)
		return false;
	runtime->stale = true;
	if (runtime == runtime->pool->serving)
		publish_pool(runtime->pool);
	return true;
}

void runtime_leaves(struct runtime *runtime, uint64_t now_us)
{
	if (runtime->leaving ||
	    (runtime->state != RUNTIME_STARTING && runtime->state != RUNTIME_READY))
		return;
	runtime->leaving = true;
	set_deadline(runtime, now_us + EXIT_TIMEOUT_US);
}

void runtime_fork_asked(struct runtime *runtime, uint64_t now_us)
{
	runtime->unforked_count++;
	if (!runtime->leaving && runtime->deadline.place == 0)
		set_deadline(runtime, now_us + FORK_TIMEOUT_US);
}

void runtime_fork_told(struct runtime *runtime, uint64_t now_us)
{
	runtime->unforked_count--;
	if (runtime->leaving)
		return;
	if (runtime->unforked_count > 0)
		set_deadline(runtime, now_us + FORK_TIMEOUT_US);
	else
		clear_deadline(runtime);
}

void runtime_release(struct runtime *runtime, uint64_t now_us)
{
	if (runtime->worker_count > 0 || runtime->state == RUNTIME_GONE)
		return;
	if (runtime->state == RUNTIME_EXEC) {
		runtime_destroy(runtime);
		return;
	}
	runtime_stop(runtime, now_us);
	if (!runtime->leaving) {
		runtime->leaving = true;
		set_deadline(runtime, now_us + EXIT_TIMEOUT_US);
	}
}

void runtime_kill(struct runtime *runtime)
{
	core_add_action(runtime->pool->core, ACTION_KILL_RUNTIME)->runtime = runtime;
}

void runtime_stop(struct runtime *runtime, uint64_t now_us)
{
	struct core *core = runtime->pool->core;
	bool told = runtime->state == RUNTIME_STOPPING;
	if (!runtime_has_process(runtime) || runtime->leaving)
		return;
	runtime_step(runtime, RUNTIME_STOP);
	if (!told)
		core_add_action(core, ACTION_STOP_RUNTIME)->runtime = runtime;
	if (!core->grace_over)
		return;
	runtime->leaving = true;
	set_deadline(runtime, told ? now_us : now_us + EXIT_TIMEOUT_US);
}
