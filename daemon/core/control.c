/* SPDX-License-Identifier: MIT */
#include "core/control.h"

#include "core/core.h"
#include "core/policy.h"
#include "core/publish.h"

static bool may_change(const struct pool *pool, struct outcome *ret_error)
{
	if (pool->core->stopping)
		*ret_error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
	else if (pool->state != POOL_OPEN)
		*ret_error = error_pool_closed(pool->spec->name);
	else
		return true;
	return false;
}

/* ---- pausing ---- */

/* Both flags at once; whoever watches the pool is told if that changes anything. */
static void set_flags(struct pool *pool, bool paused, bool draining)
{
	if (pool->paused == paused && pool->draining == draining)
		return;
	pool->paused = paused;
	pool->draining = draining;
	publish_pool(pool);
	core_mark_dirty(pool->core, pool);
}

bool control_pause(struct pool *pool, uint64_t now_us, struct outcome *ret_error)
{
	struct worker *worker;
	if (!may_change(pool, ret_error))
		return false;
	set_flags(pool, true, pool->draining);
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		core_recall_worker(pool->core, worker, now_us);
	return true;
}

static void answer_drains(struct pool *pool, const struct outcome *outcome)
{
	pool_waits_answer(pool, POOL_WAIT_DRAIN, outcome);
}

bool control_resume(struct pool *pool, struct outcome *ret_error)
{
	if (!may_change(pool, ret_error))
		return false;
	set_flags(pool, false, false);
	/* It may never be empty now. */
	struct outcome error = error_pool_not_ready(pool);
	answer_drains(pool, &error);
	outcome_fini(&error);
	return true;
}

/* ---- draining ---- */

static bool is_drained(const struct pool *pool)
{
	return pool->jobs_under_way == 0 && pool->running == 0;
}

bool control_drain(struct session *session, uint32_t msgid, struct pool *pool, uint64_t until_us,
		   uint64_t now_us, struct outcome *ret_error)
{
	if (!may_change(pool, ret_error))
		return false;
	if (until_us <= now_us && !is_drained(pool)) {
		set_flags(pool, pool->paused, true);
		*ret_error = error_pool_not_ready(pool);
		return false;
	}
	struct pool_wait *wait = pool_wait_add(session, msgid, pool, POOL_WAIT_DRAIN, ret_error);
	if (!wait)
		return false;
	if (until_us != TIME_NEVER && !is_drained(pool))
		pool_wait_set_end(wait, until_us);
	set_flags(pool, pool->paused, true);
	control_check_drained(pool);
	return true;
}

void control_check_drained(struct pool *pool)
{
	if (!pool->draining || !is_drained(pool) || LIST_EMPTY(&pool->waits))
		return;
	struct outcome nil = outcome_nil();
	answer_drains(pool, &nil);
	outcome_fini(&nil);
}

/* ---- workers ---- */

/* Of a pool that a session has opened, its account has the most workers that there may be. */
static bool charge_owner(struct pool *pool, unsigned max, struct outcome *ret_error)
{
	struct session *owner = pool->owner;
	if (!owner)
		return true;
	max += pool->spec->extra_workers;
	if (max > pool->charged_workers) {
		const char *limit = account_charge(&owner->account, RESOURCE_WORKERS,
						   max - pool->charged_workers);
		if (limit) {
			*ret_error = error_over_limit(limit);
			return false;
		}
	} else {
		account_release(&owner->account, RESOURCE_WORKERS, pool->charged_workers - max);
	}
	pool->charged_workers = max;
	return true;
}

bool control_scale(struct pool *pool, unsigned min, unsigned max, uint64_t now_us,
		   struct outcome *ret_error)
{
	if (!may_change(pool, ret_error) || !charge_owner(pool, max, ret_error))
		return false;
	policy_scale(pool, min, max, now_us);
	return true;
}

struct worker *control_find_worker(struct core *core, const struct session *session, pid_t pid)
{
	struct pool *pool;
	struct worker *worker;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		TAILQ_FOREACH (worker, &pool->workers, in_pool)
			if (pid > 0 && worker->pid == pid &&
			    (pool_rights(pool, session) & ACCESS_OBSERVE))
				return worker;
	return NULL;
}

void control_kill(struct worker *worker, uint64_t now_us)
{
	worker->ordered = true;
	worker->kill_reason = "an administrator had it killed";
	pool_kill_worker(worker, now_us);
}
