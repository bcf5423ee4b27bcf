/* SPDX-License-Identifier: MIT */
/*
 * A pool: its runtimes, its workers and their replacement, its functions and its queue.
 *
 * Workers are started from the runtime that serves. They are replaced at once; only ends before a
 * worker was ready, and a spawner's before it had loaded, are followed by a growing pause.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/fair_queue.h"
#include "core/function.h"
#include "core/outcome.h"
#include "core/pool_life.h"
#include "core/pool_spec.h"
#include "core/pool_wait.h"
#include "core/runtime.h"
#include "core/session.h"
#include "core/timer_heap.h"
#include "core/update.h"
#include "core/worker.h"
#include "core/worker_end.h"

struct core;

struct pool {
	struct core *core;
	struct pool_spec *spec; /* as it is configured, a reference */
	struct pool_spec *code; /* what its processes are started with, a reference: that of a spec
				   before it while a successor loads (recycle.h) */
	bool code_works;        /* a worker of it has been ready */
	struct outcome refusal; /* why the code is not the spec's; value.size 0: nothing is known
				   against it */
	enum pool_state state;
	struct session *owner; /* who opened it, a reference; NULL: it is configured */
	unsigned grant;        /* the number of its lists of who may do what (grants.h) */
	LIST_ENTRY(pool) of_owner;
	unsigned charged_workers; /* to the owner */
	bool opening;             /* none of its workers has ever been ready, and its owner waits */
	TAILQ_HEAD(, runtime) runtimes; /* all that have a process or a worker */
	struct runtime *serving; /* what workers are started from, or will be; NULL: a pause before
				    the next is started */
	struct runtime *successor; /* what is to take its place; NULL: none */
	uint64_t generation;       /* of the code that serves, or did last; 0: none did */
	uint64_t last_generation;  /* given out */

	struct function_table functions;
	bool loaded; /* functions are known */

	struct worker_list workers;
	struct worker_list idle;   /* that for the shortest time first: its caches are warm */
	unsigned min, max, target; /* workers (policy.h) */
	unsigned due_count;        /* of those ready, to be replaced */
	unsigned worker_count;
	unsigned ready_count;
	uint64_t restarts; /* ends of workers that had been ready */

	unsigned failures;      /* starts that failed since one was worth it (restart.h) */
	uint64_t failed_us;     /* the last of them */
	unsigned short_lives;   /* of spawners, in a row */
	struct outcome failure; /* why nothing can be run; value.size 0: it can */
	bool paused;            /* it begins nothing (control.h) */
	bool draining;          /* it takes no jobs */
	struct timer retry_timer;
	struct timer rebalance_timer;
	struct timer idle_timer; /* a worker may have been idle for long enough to be given up */
	struct timer end_timer;  /* more jobs to be cancelled */
	uint64_t cancelled_id;   /* while it terminates: up to this job all are */

	struct fair_queue queue;
	uint64_t waiting; /* tasks not handed to a worker */
	uint64_t running; /* tasks handed to a worker and not answered */
	uint64_t jobs;    /* that refer to its functions: under way, or ended and kept */
	uint64_t jobs_under_way;
	struct subscription_list subscriptions;
	struct pool_wait_list waits;
	bool updating;               /* it has not settled since it was changed (update.h) */
	struct outcome update_error; /* what it failed for, while others have not settled */
	enum update_change change;   /* in the update that is being made */
	bool live;                   /* while it is looked for a deadlock (nesting.c) */
	bool dirty; /* in the core's list of pools to schedule, or of those that have ended */
	TAILQ_ENTRY(pool) in_core;
	STAILQ_ENTRY(pool) in_dirty;
};

/* Takes a reference to the spec. NULL without memory. */
struct pool *pool_create(struct core *core, struct pool_spec *spec);
/* Must have no worker and no job. */
void pool_destroy(struct pool *pool);

/* A set of rights (access.h): to one that a session opened, root and the same user have all. Who
 * has none may not know of it. */
static inline unsigned pool_rights(const struct pool *pool, const struct session *session)
{
	if (pool->owner)
		return pool->owner->user == session->user || session->user->uid == 0 ? ACCESS_ALL
										     : 0;
	return session->sees_all ? ACCESS_ALL : granted_rights(&session->granted, pool->grant);
}
/* Whether a function is looked for in it where the session has named no pool: may the session call
 * it, it is found; may it only know of it, that is told. */
static inline bool pool_is_searched(const struct pool *pool, const struct session *session)
{
	return (!pool->owner || pool->owner == session) && pool_rights(pool, session);
}

/* Its lists are these from now on, also for who is connected. 0, or -ENOMEM: nothing has changed.
 */
int pool_set_access(struct pool *pool, const struct access *access);

/* Whether jobs are accepted. */
bool pool_takes_jobs(const struct pool *pool);

/* "starting", "ready", "failing", "paused", "draining", "closed" or "ended". */
const char *pool_state_name(const struct pool *pool);

/* Whether a file that the code that serves was loaded from has changed, or other code is configured
 * and did not load. */
bool pool_is_stale(const struct pool *pool);

/* Whether there is a worker or a runtime's process, or one is being started. */
bool pool_has_processes(const struct pool *pool);

/* How many workers are to be of the runtime that serves: its successor's have taken places. */
unsigned pool_places(const struct pool *pool);

/* Starts what is missing: the runtime, then workers up to the target; of a successor as many
 * again. */
void pool_fill(struct pool *pool, uint64_t now_us);

/* A worker of the runtime, WORKER_STARTING; its process is for the caller to start. NULL without
 * memory. */
struct worker *pool_add_worker(struct runtime *runtime, uint64_t now_us);

/* The functions that a runtime has loaded are the pool's; what only code before it had is gone. */
void pool_take_functions(struct pool *pool, struct runtime *runtime);
/* Frees functions that are gone and that no job refers to. */
void pool_sweep_functions(struct pool *pool);

/* A runtime's process has ended, and its workers with it; was_starting: before it had loaded. Frees
 * the runtime; error is taken over. */
void pool_runtime_gone(struct runtime *runtime, struct outcome error, bool was_starting,
		       enum runtime_end how, uint64_t now_us);

/* What happened to a worker, told by whoever executes actions; end.error is taken over. */
void pool_worker_forked(struct worker *worker, pid_t pid, uint64_t now_us);
void pool_worker_ready(struct worker *worker, pid_t pid, uint64_t now_us);
void pool_worker_exited(struct worker *worker, struct worker_end end, uint64_t now_us);

/* Ends the worker: told to (it finishes what it was sent), or at once. */
void pool_stop_worker(struct worker *worker, uint64_t now_us);
void pool_kill_worker(struct worker *worker, uint64_t now_us);

/* Another has taken its place: it is given nothing more, finishes what runs and ends. */
void pool_retire_worker(struct worker *worker, uint64_t now_us);
/* It is not wanted any more before it is ready, and killed. */
void pool_discard_worker(struct worker *worker, uint64_t now_us);
/* It was told to end, and has answered all that it was sent. */
void pool_worker_done(struct worker *worker, uint64_t now_us);

/*
 * The worker has ended its channel or said that it failed: it has a moment to exit by itself, so
 * that its own exit status is told and not that of being killed.
 */
void pool_worker_leaves(struct worker *worker, uint64_t now_us);

/*
 * Its deadline is over: it is killed; or where it was, and the spawner has not told its end, the
 * spawner is, and its workers with it: who waits for the worker's task must not wait for ever.
 */
void pool_worker_overdue(struct worker *worker, uint64_t now_us);
