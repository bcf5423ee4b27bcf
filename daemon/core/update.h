/* SPDX-License-Identifier: MIT */
/*
 * A new configuration for a daemon that serves: its pools become what that says. Only those change
 * of which it says something else than before. Policies are in force at once; where processes are
 * to be others, a successor takes over (recycle.h), and where that does not come to serve, the pool
 * keeps its old code and says why. Pools that were not there start, those that are not there any
 * more finish what they have (pool_life.h); one of the same name can be added meanwhile.
 *
 * Who asked for it is told when all pools that changed have settled: they serve as they are to, or
 * are known not to. Another configuration may come before that: then all are told when that has
 * settled, each what it has changed itself. Pools that sessions have opened are none of its
 * business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/outcome.h"

struct core;
struct pool;
struct pool_spec;
struct session;
struct update;

TAILQ_HEAD(update_list, update);

/* What has become of a pool in the update that is being made. */
enum update_change {
	UPDATE_SAME,
	UPDATE_CHANGED,
	UPDATE_ADDED,
	UPDATE_REMOVED,
};

/* What the configured pools are to be. Everything is borrowed. */
struct update_plan {
	struct pool_spec *const *specs; /* a reference to each is taken */
	size_t count;
	const char *const *restart; /* what else it says, and only a restart changes; ends with
				       NULL */
};

/*
 * Makes it so. session: who is told, by a reply to msgid; NULL: nobody. True: *ret is what has
 * begun, a held map {changed, added, removed, restart} of arrays of names. ACTION_UPDATED follows
 * when all pools have settled. False: *ret says why nothing has changed.
 */
bool core_update(struct core *core, struct session *session, uint32_t msgid,
		 const struct update_plan *plan, uint64_t now_us, struct outcome *ret);

/* The pool serves as it is to, or will not for now (error, borrowed). */
void update_pool_settled(struct pool *pool, const struct outcome *error);

/* The session has ended: what it asked for goes on. */
void update_forget_session(struct core *core, const struct session *session);
