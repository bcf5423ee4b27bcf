/* SPDX-License-Identifier: MIT */
/*
 * What sessions do with pools of their own: opening, closing, joining and terminating them.
 *
 * Their names are made here, session-<session>.<n>, so that none has the name of a configured pool
 * (io/config_pool.c refuses those) or of one before it: a session knows by the name alone that a
 * pool was its own and has gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "proto/problem.h"

/* ---- names ---- */

static int name_pool(struct session *session, struct pool_spec *spec)
{
	char *name;
	if (asprintf(&name, "session-%llu.%llu", (unsigned long long)session->id,
		     (unsigned long long)session->pools_opened + 1) < 0)
		return -ENOMEM;
	session->pools_opened++;
	free(spec->name);
	spec->name = name;
	return 0;
}

bool session_had_pool(const struct session *session, struct slice name)
{
	char text[64];
	unsigned long long id, n;
	int end = 0;
	if (name.size >= sizeof(text))
		return false;
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	if (sscanf(text, "session-%llu.%llu%n", &id, &n, &end) != 2 || (size_t)end != name.size ||
	    id != session->id || n < 1 || n > session->pools_opened)
		return false;
	/* Only as it was written: neither signs nor zeros in front. */
	return snprintf(text, sizeof(text), "session-%llu.%llu", id, n) == (int)name.size &&
	       slice_is(name, text);
}

/* ---- opening ---- */

/* What a pool costs its session. */
struct costs {
	uint64_t of[RESOURCE_COUNT];
};

static struct costs costs_of(const struct pool_spec *spec, unsigned workers)
{
	return (struct costs){{
		[RESOURCE_POOLS] = 1,
		[RESOURCE_WORKERS] = workers,
		[RESOURCE_QUEUED_BYTES] = spec->bytes,
	}};
}

static void release(struct session *session, const struct costs *costs)
{
	for (int r = 0; r < RESOURCE_COUNT; r++)
		account_release(&session->account, (enum resource)r, costs->of[r]);
}

/* Takes all of it or nothing. */
static bool charge(struct session *session, const struct costs *costs, struct outcome *ret_error)
{
	struct costs taken = {{0}};
	for (int r = 0; r < RESOURCE_COUNT; r++) {
		const char *limit =
			account_charge(&session->account, (enum resource)r, costs->of[r]);
		if (limit) {
			release(session, &taken);
			*ret_error = error_over_limit(limit);
			return false;
		}
		taken.of[r] = costs->of[r];
	}
	return true;
}

void session_release_pool(struct session *session, const struct pool *pool)
{
	struct costs costs = costs_of(pool->spec, pool->charged_workers);
	release(session, &costs);
}

/* A pool that is not among the core's yet. */
static struct pool *make_pool(struct core *core, struct session *session, uint32_t msgid,
			      struct pool_spec *spec, struct outcome *ret_error)
{
	struct pool *pool = name_pool(session, spec) == 0 ? pool_create(core, spec) : NULL;
	if (!pool) {
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return NULL;
	}
	if (!pool_wait_add(session, msgid, pool, POOL_WAIT_OPEN, ret_error)) {
		pool_destroy(pool);
		return NULL;
	}
	return pool;
}

bool core_open_pool(struct core *core, struct session *session, uint32_t msgid,
		    struct pool_spec *spec, uint64_t now_us, struct outcome *ret_error)
{
	unsigned workers = spec->workers_max + spec->extra_workers;
	struct costs costs = costs_of(spec, workers);
	if (core->stopping) {
		*ret_error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
		return false;
	}
	if (!charge(session, &costs, ret_error))
		return false;
	struct pool *pool = make_pool(core, session, msgid, spec, ret_error);
	if (!pool) {
		release(session, &costs);
		return false;
	}
	pool->owner = session;
	pool->charged_workers = workers;
	pool->opening = true;
	session->refs++;
	LIST_INSERT_HEAD(&session->pools, pool, of_owner);
	TAILQ_INSERT_TAIL(&core->pools, pool, in_core);
	pool_fill(pool, now_us);
	return true;
}

/* ---- ending ---- */

/* A pool that a session opened. False: there is none (*ret_error), or (*ret_gone) it was this
 * session's and has gone. */
static struct pool *find_opened(struct core *core, const struct session *session, struct slice name,
				bool *ret_gone, struct outcome *ret_error)
{
	struct pool *pool = core_find_pool(core, session, name.data, name.size);
	*ret_gone = !pool && session_had_pool(session, name);
	if (pool && pool->owner)
		return pool;
	if (pool)
		*ret_error = error_outcome(
			ERR_DENIED,
			"pool %s is configured, and ends when it is not any more: drain waits "
			"until it has nothing to do",
			pool->spec->name);
	else if (!*ret_gone)
		*ret_error = error_no_such_pool(name);
	return NULL;
}

bool core_close_pool(struct core *core, struct session *session, struct slice name, uint64_t now_us,
		     struct outcome *ret_error)
{
	bool gone;
	struct pool *pool = find_opened(core, session, name, &gone, ret_error);
	if (pool)
		pool_close(pool, now_us);
	return pool || gone;
}

bool core_terminate_pool(struct core *core, struct session *session, struct slice name,
			 uint64_t now_us, struct outcome *ret_error)
{
	bool gone;
	struct pool *pool = find_opened(core, session, name, &gone, ret_error);
	if (pool)
		pool_terminate(pool, now_us);
	return pool || gone;
}

bool core_join_pool(struct core *core, struct session *session, uint32_t msgid, struct slice name,
		    uint64_t until_us, uint64_t now_us, struct outcome *ret_error)
{
	bool gone;
	struct pool *pool = find_opened(core, session, name, &gone, ret_error);
	if (gone) {
		struct outcome nil = outcome_nil();
		core_reply(core, session, msgid, &nil);
		return true;
	}
	if (!pool)
		return false;
	if (pool->state == POOL_OPEN) {
		*ret_error = error_outcome(ERR_BAD_REQUEST,
					   "pool %s is open: close or terminate it before join",
					   pool->spec->name);
		return false;
	}
	if (until_us <= now_us) {
		*ret_error = error_pool_not_ready(pool);
		return false;
	}
	struct pool_wait *wait = pool_wait_add(session, msgid, pool, POOL_WAIT_JOIN, ret_error);
	if (wait && until_us != TIME_NEVER)
		pool_wait_set_end(wait, until_us);
	return wait;
}
