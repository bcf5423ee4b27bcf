/* SPDX-License-Identifier: MIT */
/*
 * Calls made by functions that run in workers, with their own job as `parent`: what waits for what,
 * and whether that can ever end.
 *
 * A session with a request under way that waits for a job with a parent is a caller: it keeps one
 * of the workers that run the parent. A pool in which every worker is kept so by calls that only
 * this pool, or another in the same state, could run would stand still for ever. The call that
 * would bring that about fails instead; or one worker more is started, where the pool allows it.
 *
 * A wait counts where its session has submitted the job: others who wait for it, such as the client
 * of the parent, keep no worker.
 *
 * Jobs are linked by ids and not by pointers: a parent may end, and be forgotten, before what it
 * has called. Who waits with a time limit is no caller, it goes on by itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/job.h"

struct core;
struct session;

/* A request of a session that waits for a job with a parent. Inside of what it is: a child's own
 * request, or a wait. */
struct blocking {
	struct session *caller; /* NULL: nobody is kept */
	struct job *child;
	LIST_ENTRY(blocking) of_caller;
};

LIST_HEAD(blocking_list, blocking);

/* Of a job that has a parent, or is the parent of a caller's. */
struct nesting {
	uint64_t parent;      /* id; 0: none */
	struct blocking call; /* of its own request */
	unsigned callers;     /* sessions that wait in it */
	unsigned workers;     /* while it is looked for a deadlock: that run it */
	unsigned stuck;       /* likewise: of its callers, those not known to go on */
};

/* Of a session, while it waits. */
struct caller {
	struct blocking_list blocking; /* empty: it is none; the newest first */
	uint64_t parent;               /* of the newest */
	bool stuck;                    /* while it is looked for a deadlock: not known to go on */
	LIST_ENTRY(session) in_core;
};

/* The job's parent; 0: none. Jobs with one are never sent ahead to a worker that is busy: perhaps
 * with the parent. */
static inline uint64_t nesting_parent(const struct job *job)
{
	return job->extra && job->extra->nesting ? job->extra->nesting->parent : 0;
}

/* 0 or -ENOMEM. */
int nesting_set_parent(struct job *job, uint64_t parent);

/*
 * The session now waits for the job, which has a parent, until nesting_unblock(). False: that would
 * be a deadlock, and *ret_error says so; it does not wait then.
 */
bool nesting_block(struct core *core, struct blocking *blocking, struct session *session,
		   struct job *job, uint64_t now_us, struct outcome *ret_error);

/* It does not wait any more, if it did. */
void nesting_unblock(struct blocking *blocking);

/* The session's connection has ended. */
void nesting_close(struct session *session);

/* Workers have gone: fails calls that now would never end. */
void nesting_check(struct core *core, uint64_t now_us);
