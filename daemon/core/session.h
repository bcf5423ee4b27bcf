/* SPDX-License-Identifier: MIT */
/*
 * Users and sessions: who submits, with what accounts, who waits for what, and who wants to be
 * told.
 *
 * A session begins with a connection and ends with it, but its struct stays while it has jobs:
 * detached ones, or finished ones that are kept; and until the pools that it opened have gone. A
 * user exists while it has a session.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include "core/hash.h"

#include "core/account.h"
#include "core/grants.h"
#include "core/job.h"
#include "core/nesting.h"
#include "core/pool_wait.h"
#include "core/request_table.h"
#include "core/timer_heap.h"

struct core;
struct flow;
struct peer;
struct pool;

struct user {
	uid_t uid;
	struct account account;
	struct flow *flows;
	unsigned refs;                /* sessions */
	uint64_t turn, spent_us;      /* of whoever handles its requests in turns */
	struct job_list kept;         /* finished jobs that can be fetched, the oldest first */
	struct timer retention_timer; /* of the oldest */
	UT_hash_handle hh;
};

struct session {
	uint64_t id;
	struct peer
		*peer; /* the connection, for whoever executes actions; NULL once it has ended */
	struct user *user;
	struct account account;
	struct flow *flows;
	bool sees_all; /* root, or the daemon's own user */
	struct granted granted;
	LIST_ENTRY(session) in_core;     /* while it has a connection */
	TAILQ_ENTRY(session) in_closing; /* once its connection has ended, while it has jobs */
	bool blocked;                    /* none of its tasks may begin (core_session_block) */
	bool lossy;    /* its output is so full that pushes to subscribers are dropped */
	uint64_t lost; /* pushes dropped since the last that was not */
	uint64_t mark; /* of the last fan-out that reached it */
	char *client;  /* what it calls itself, or NULL; owned */

	unsigned refs; /* its connection, its pools, and its jobs: under way or kept */
	uint64_t pools_opened;
	LIST_HEAD(, pool) pools;
	struct job_list jobs;          /* under way, but for detached ones */
	struct job_list detached_jobs; /* under way */
	struct job_list kept;          /* finished and kept, the oldest first */
	struct request_table requests; /* those of them that answer a request */
	struct wait_list waits;
	struct caller caller;
	struct pool_wait_list pool_waits;
	struct subscription_list subscriptions;
};

/* A call of wait that waits. */
struct wait {
	struct session *session;
	struct job *job;
	uint32_t msgid;
	struct timer timer;
	struct blocking blocking;
	LIST_ENTRY(wait) of_session;
	LIST_ENTRY(wait) of_job;
};

enum subscription_kind {
	SUBSCRIPTION_ALL,
	SUBSCRIPTION_POOL,
	SUBSCRIPTION_JOB,
};

/* A wish to be pushed results and events. */
struct subscription {
	enum subscription_kind kind;
	struct session *session;
	struct pool *pool; /* of SUBSCRIPTION_POOL */
	struct job *job;   /* of SUBSCRIPTION_JOB */
	LIST_ENTRY(subscription) of_session;
	LIST_ENTRY(subscription) of_target; /* the job's, the pool's or the core's list */
};

/* Gives back what the session was charged for a pool of its own. */
void session_release_pool(struct session *session, const struct pool *pool);

/* Whether that is the name of a pool that the session has opened, perhaps long ago. */
bool session_had_pool(const struct session *session, struct slice name);

/* A set of the rights that the session has in some pool, or by the daemon's lists. */
static inline unsigned session_rights(const struct session *session)
{
	return session->sees_all ? ACCESS_ALL : session->granted.any;
}
/* By the daemon's lists. */
unsigned session_daemon_rights(const struct core *core, const struct session *session);

/* To the job: all to those of the same user, else as in its pool, but for ACCESS_CALL. */
unsigned session_job_rights(const struct session *session, const struct job *job);
