/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "core/control.h"
#include "core/expiry.h"
#include "core/health.h"
#include "core/policy.h"
#include "core/recycle.h"
#include "core/retry.h"
#include "core/scheduler.h"
#include "core/stop.h"

void core_set_limits(struct core *core, const struct limits *limits)
{
	const struct limits *l = limits;
	core->limits = *limits;
#define LIMIT(list, resource, limit) list[resource] = (struct account_limit){l->limit, #limit}
	LIMIT(core->root_limits, RESOURCE_CONNECTIONS, connections);
	LIMIT(core->user_limits, RESOURCE_CONNECTIONS, connections_user);
	LIMIT(core->user_limits, RESOURCE_JOBS, jobs_user);
	LIMIT(core->user_limits, RESOURCE_QUEUED_BYTES, queued_bytes_user);
	LIMIT(core->user_limits, RESOURCE_RETAINED_BYTES, retained_bytes_user);
	LIMIT(core->user_limits, RESOURCE_OUTPUT_BYTES, output_bytes_user);
	LIMIT(core->session_limits, RESOURCE_JOBS, jobs_session);
	LIMIT(core->session_limits, RESOURCE_QUEUED_BYTES, queued_bytes_session);
	LIMIT(core->session_limits, RESOURCE_RETAINED_BYTES, retained_bytes_session);
	LIMIT(core->session_limits, RESOURCE_OUTPUT_BYTES, output_bytes_session);
	LIMIT(core->session_limits, RESOURCE_WAITS, waits_session);
	LIMIT(core->session_limits, RESOURCE_SUBSCRIPTIONS, subscriptions_session);
	LIMIT(core->session_limits, RESOURCE_POOLS, pools_session);
	LIMIT(core->session_limits, RESOURCE_WORKERS, workers_session);
#undef LIMIT
}

int core_init(struct core *core, const struct limits *limits, uid_t own_uid, uint64_t first_job_id,
	      uint64_t seed)
{
	memset(core, 0, sizeof(*core));
	core->own_uid = own_uid;
	core->random = seed;
	core_set_limits(core, limits);
	account_init(&core->root, NULL, core->root_limits);
	job_table_init(&core->jobs, first_job_id);
	timer_heap_init(&core->timers);
	TAILQ_INIT(&core->pools);
	STAILQ_INIT(&core->dirty);
	STAILQ_INIT(&core->ended);
	LIST_INIT(&core->sessions);
	LIST_INIT(&core->subscriptions);
	LIST_INIT(&core->callers);
	TAILQ_INIT(&core->closing);
	TAILQ_INIT(&core->updates);
	TAILQ_INIT(&core->names.unused);
	core->close_timer.kind = TIMER_CLOSE;
	core->grace_timer.kind = TIMER_GRACE;
	core->health_timer.kind = TIMER_HEALTH;
	core->action_capacity = 64;
	core->actions = calloc(core->action_capacity, sizeof(*core->actions));
	const struct access nobody = {0};
	return core->actions ? grants_take(core, &nobody, &core->grant) : -ENOMEM;
}

static void sweep_pools(struct core *core)
{
	struct pool *pool;
	while ((pool = STAILQ_FIRST(&core->ended))) {
		STAILQ_REMOVE_HEAD(&core->ended, in_dirty);
		pool->dirty = false;
		pool_sweep(pool);
	}
}

void core_fini(struct core *core)
{
	struct user *user, *next;
	while (!TAILQ_EMPTY(&core->closing))
		core_close_sessions(core, 0);
	while (!TAILQ_EMPTY(&core->pools))
		pool_end(TAILQ_FIRST(&core->pools));
	HASH_ITER (hh, core->users, user, next) {
		/* The last job of a user takes the user with it. */
		unsigned count = 0;
		struct job *job;
		TAILQ_FOREACH (job, &user->kept, in_queue)
			count++;
		for (; count > 0; count--)
			core_forget_job(core, TAILQ_FIRST(&user->kept));
	}
	sweep_pools(core);
	struct action action;
	while (core_next_action(core, &action))
		action_fini(&action);
	if (core->grants.count > 0)
		grants_release(core, core->grant);
	grants_fini(core);
	account_fini(&core->root);
	job_table_fini(&core->jobs);
	timer_heap_fini(&core->timers);
	free(core->actions);
}

/* ---- actions ---- */

struct action *core_add_action(struct core *core, enum action_type type)
{
	if (core->action_count == core->action_capacity) {
		size_t capacity = 2 * core->action_capacity;
		struct action *actions = reallocarray(core->actions, capacity, sizeof(*actions));
		/* A daemon that cannot note what to do next would break every promise it made. */
		if (!actions)
			abort();
		core->actions = actions;
		core->action_capacity = capacity;
	}
	struct action *action = &core->actions[core->action_count++];
	*action = (struct action){.type = type};
	return action;
}

bool core_next_action(struct core *core, struct action *ret)
{
	if (core->action_next == core->action_count) {
		core->action_next = core->action_count = 0;
		return false;
	}
	*ret = core->actions[core->action_next++];
	return true;
}

void action_fini(struct action *action)
{
	outcome_fini(&action->outcome);
}

/* ---- pools ---- */

struct pool *core_pool_named(struct core *core, struct slice name)
{
	struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (slice_is(name, pool->spec->name))
			return pool;
	return NULL;
}

/* Whoever looks for the name, or has subscribed to it, means this one from now on, and not that
 * which winds up. */
static void take_name(struct pool *pool, struct pool *other)
{
	struct subscription *subscription;
	assert(other->state != POOL_OPEN);
	TAILQ_INSERT_BEFORE(other, pool, in_core);
	while ((subscription = LIST_FIRST(&other->subscriptions))) {
		LIST_REMOVE(subscription, of_target);
		subscription->pool = pool;
		LIST_INSERT_HEAD(&pool->subscriptions, subscription, of_target);
	}
}

struct pool *core_add_pool(struct core *core, struct pool_spec *spec, uint64_t now_us)
{
	struct pool *pool = pool_create(core, spec);
	if (!pool)
		return NULL;
	struct pool *other = core_pool_named(core, (struct slice){spec->name, strlen(spec->name)});
	if (other)
		take_name(pool, other);
	else
		TAILQ_INSERT_TAIL(&core->pools, pool, in_core);
	pool_fill(pool, now_us);
	return pool;
}

struct pool *core_find_pool(struct core *core, const struct session *session, const char *name,
			    size_t name_size)
{
	struct pool *pool = core_pool_named(core, (struct slice){name, name_size});
	return pool && pool_rights(pool, session) ? pool : NULL;
}

struct pool *core_need_pool(struct core *core, const struct session *session, struct slice name,
			    unsigned rights, struct outcome *ret_error)
{
	struct pool *pool = core_find_pool(core, session, name.data, name.size);
	if (pool && (pool_rights(pool, session) & rights))
		return pool;
	*ret_error =
		pool ? error_denied_in_pool(pool->spec->name, rights) : error_no_such_pool(name);
	return NULL;
}

int core_set_access(struct core *core, const struct access *access)
{
	unsigned before = core->grant;
	int r = grants_take(core, access, &core->grant);
	if (r == 0)
		grants_release(core, before);
	return r;
}

void core_release_function(struct core *core, struct function *function)
{
	struct pool *pool = function->pool;
	names_release(core, function);
	if (--pool->jobs > 0 || pool->state != POOL_ENDED || pool->dirty)
		return;
	pool->dirty = true;
	STAILQ_INSERT_TAIL(&core->ended, pool, in_dirty);
}

bool core_recycle(struct core *core, struct session *session, uint32_t msgid, struct pool *pool,
		  uint64_t now_us, struct outcome *ret_error)
{
	if (core->stopping) {
		*ret_error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
		return false;
	}
	if (pool->state != POOL_OPEN) {
		*ret_error = error_pool_closed(pool->spec->name);
		return false;
	}
	if (!pool_wait_add(session, msgid, pool, POOL_WAIT_RECYCLE, ret_error))
		return false;
	recycle_begin(pool, now_us);
	return true;
}

void core_mark_dirty(struct core *core, struct pool *pool)
{
	if (pool->dirty)
		return;
	pool->dirty = true;
	core->marks++;
	STAILQ_INSERT_TAIL(&core->dirty, pool, in_dirty);
}

/* ---- ending ---- */

/* Nothing runs any more, or may: workers go, then their runtime. */
static void stop_pool(struct pool *pool, uint64_t now_us)
{
	struct core *core = pool->core;
	struct runtime *runtime;
	struct worker *worker;
	if (pool->waiting > 0) {
		struct outcome error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
		core_fail_waiting(core, pool, &error, now_us);
		outcome_fini(&error);
	}
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (core->grace_over)
			pool_kill_worker(worker, now_us);
		else if (worker->pending == 0)
			pool_stop_worker(worker, now_us);
	}
	TAILQ_FOREACH (runtime, &pool->runtimes, in_pool) {
		/* What has not loaded does not listen yet, and nothing runs in it. */
		if (runtime->state == RUNTIME_STARTING && !runtime->leaving)
			runtime_kill(runtime);
		/* A spawner sees its workers' ends through: killed before, it would leave them
		 * dying. */
		if (runtime->worker_count == 0)
			runtime_stop(runtime, now_us);
	}
}

/* What workers were sent ahead waits again, and so fails with what waits. */
static void recall_all(struct pool *pool, uint64_t now_us)
{
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		core_recall_worker(pool->core, worker, now_us);
}

void core_stop(struct core *core, uint64_t grace_us, uint64_t now_us)
{
	uint64_t over_us = now_us + grace_us;
	if (core->stopping && core->grace_timer.place > 0 && core->grace_timer.at_us > over_us)
		timer_heap_set(&core->timers, &core->grace_timer, over_us);
	if (core->stopping)
		return;
	core->stopping = true;
	timer_heap_set(&core->timers, &core->grace_timer, over_us);
	struct outcome error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
	struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (pool->opening)
			pool_open_failed(pool, &error, now_us);
		recycle_fail(pool, &error, now_us);
		recall_all(pool, now_us);
		core_mark_dirty(core, pool);
	}
	outcome_fini(&error);
}

bool core_stopped(const struct core *core)
{
	struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (pool_has_processes(pool))
			return false;
	return core->stopping;
}

/* ---- turns and time ---- */

void core_schedule(struct core *core, uint64_t now_us)
{
	struct pool *pool;
	sweep_pools(core);
	names_sweep(core);
	if (core->workers_left && !core->stopping)
		nesting_check(core, now_us);
	while ((pool = STAILQ_FIRST(&core->dirty))) {
		STAILQ_REMOVE_HEAD(&core->dirty, in_dirty);
		pool->dirty = false;
		if (core->stopping)
			stop_pool(pool, now_us);
		else if (pool->state == POOL_OPEN)
			scheduler_run(pool, now_us);
		control_check_drained(pool);
		if (pool->state != POOL_OPEN)
			pool_wind_up(pool, now_us);
	}
}

uint64_t core_next_timer(const struct core *core)
{
	return timer_heap_next(&core->timers);
}

static void grace_over(struct core *core)
{
	struct pool *pool;
	core->grace_over = true;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		core_mark_dirty(core, pool);
}

void core_timers(struct core *core, uint64_t now_us)
{
	struct timer *timer;
	while ((timer = timer_heap_pop(&core->timers, now_us))) {
		switch (timer->kind) {
		case TIMER_WAIT:
			core_wait_over(core, container_of(timer, struct wait, timer));
			break;
		case TIMER_POOL:
			pool_fill(container_of(timer, struct pool, retry_timer), now_us);
			break;
		case TIMER_POOL_END:
			core_mark_dirty(core, container_of(timer, struct pool, end_timer));
			break;
		case TIMER_POOL_WAIT:
			pool_wait_over(container_of(timer, struct pool_wait, timer));
			break;
		case TIMER_RUNTIME:
			runtime_kill(container_of(timer, struct runtime, deadline));
			break;
		case TIMER_REBALANCE:
			scheduler_rebalance(container_of(timer, struct pool, rebalance_timer),
					    now_us);
			break;
		case TIMER_EXPIRY:
			expiry_due(core, container_of(timer, struct job_extra, expiry)->job,
				   now_us);
			break;
		case TIMER_RETRY:
			retry_resume(core, container_of(timer, struct returned, pause));
			break;
		case TIMER_WATCH:
			stop_due(container_of(timer, struct worker, watch), now_us);
			break;
		case TIMER_WORKER:
			pool_worker_overdue(container_of(timer, struct worker, deadline), now_us);
			break;
		case TIMER_RETENTION:
			core_expire_kept(core, container_of(timer, struct user, retention_timer),
					 now_us);
			break;
		case TIMER_CLOSE:
			core_close_sessions(core, now_us);
			break;
		case TIMER_IDLE:
			policy_shrink(container_of(timer, struct pool, idle_timer), now_us);
			break;
		case TIMER_HEALTH:
			health_check(core, now_us);
			break;
		case TIMER_GRACE:
			grace_over(core);
			break;
		}
	}
}
