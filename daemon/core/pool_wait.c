/* SPDX-License-Identifier: MIT */
#include "core/pool_wait.h"

#include <stdlib.h>

#include "core/core.h"

struct pool_wait *pool_wait_add(struct session *session, uint32_t msgid, struct pool *pool,
				enum pool_wait_kind kind, struct outcome *ret_error)
{
	const char *limit = account_charge(&session->account, RESOURCE_WAITS, 1);
	if (limit) {
		*ret_error = error_over_limit(limit);
		return NULL;
	}
	struct pool_wait *wait = calloc(1, sizeof(*wait));
	if (!wait) {
		account_release(&session->account, RESOURCE_WAITS, 1);
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return NULL;
	}
	wait->timer.kind = TIMER_POOL_WAIT;
	wait->kind = kind;
	wait->session = session;
	wait->pool = pool;
	wait->msgid = msgid;
	LIST_INSERT_HEAD(&session->pool_waits, wait, of_session);
	LIST_INSERT_HEAD(&pool->waits, wait, of_pool);
	return wait;
}

void pool_wait_set_end(struct pool_wait *wait, uint64_t at_us)
{
	timer_heap_set(&wait->pool->core->timers, &wait->timer, at_us);
}

struct outcome error_pool_not_ready(const struct pool *pool)
{
	return error_outcome(ERR_NOT_READY, "pool %s %s: %llu tasks wait, %llu run",
			     pool->spec->name,
			     pool->state == POOL_OPEN ? "is not empty" : "has not ended",
			     (unsigned long long)pool->waiting, (unsigned long long)pool->running);
}

void pool_wait_over(struct pool_wait *wait)
{
	struct outcome error = error_pool_not_ready(wait->pool);
	core_reply(wait->pool->core, wait->session, wait->msgid, &error);
	outcome_fini(&error);
	pool_wait_drop(wait);
}

bool pool_waits_for(const struct pool *pool, enum pool_wait_kind kind)
{
	const struct pool_wait *wait;
	LIST_FOREACH (wait, &pool->waits, of_pool)
		if (wait->kind == kind)
			return true;
	return false;
}

void pool_waits_answer(struct pool *pool, enum pool_wait_kind kind, const struct outcome *outcome)
{
	struct pool_wait *wait, *next;
	for (wait = LIST_FIRST(&pool->waits); wait; wait = next) {
		next = LIST_NEXT(wait, of_pool);
		if (wait->kind != kind)
			continue;
		core_reply(pool->core, wait->session, wait->msgid, outcome);
		pool_wait_drop(wait);
	}
}

void pool_wait_drop(struct pool_wait *wait)
{
	timer_heap_clear(&wait->pool->core->timers, &wait->timer);
	LIST_REMOVE(wait, of_session);
	LIST_REMOVE(wait, of_pool);
	account_release(&wait->session->account, RESOURCE_WAITS, 1);
	free(wait);
}
