/* SPDX-License-Identifier: MIT */
/*
 * A pool: its runtime, its workers and their replacement, its functions and its queue.
 *
 * The first process of a pool's runtime says what it can do. If it forks, it is the spawner and
 * every worker is asked of it; if not, it is itself the first worker, and every further one is a
 * process of its own (WORKER.md, "Spawners"). Workers are replaced at once; only ends before a
 * worker was ready, and a spawner's before it had loaded, are followed by a growing pause.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/fair_queue.h"
#include "core/function.h"
#include "core/outcome.h"
#include "core/session.h"
#include "core/timer_heap.h"
#include "core/worker.h"

struct channel;
struct core;

enum runtime_state {
	RUNTIME_NONE,     /* no process, or a pause before the next */
	RUNTIME_STARTING, /* until it has loaded its modules */
	RUNTIME_READY,    /* a spawner that forks */
	RUNTIME_EXEC,     /* does not fork: its processes are the workers */
	RUNTIME_STOPPING, /* told to end */
	RUNTIME_STATE_COUNT,
};

enum runtime_event {
	RUNTIME_START,
	RUNTIME_LOADED, /* a spawner has */
	RUNTIME_IS_WORKER,
	RUNTIME_STOP,
	RUNTIME_EXIT,
	RUNTIME_EVENT_COUNT,
};

/* What a pool is made of; borrowed, outlives the pool. */
struct pool_spec {
	const char *name;
	const char *runtime;        /* for people */
	const char *const *modules; /* NULL-terminated */
	unsigned workers;
};

struct pool {
	struct core *core;
	const struct pool_spec *spec;
	struct channel *channel; /* the spawner's, for whoever executes actions; NULL: none */
	enum runtime_state runtime;
	bool leaving; /* its first process is about to exit, or is killed by retry_timer */
	bool page;    /* its workers use the page */

	struct function_table functions;
	bool loaded; /* functions are known */

	TAILQ_HEAD(, worker) workers;
	TAILQ_HEAD(, worker)
	idle; /* the one idle for the shortest time first: its caches are warm */
	unsigned worker_count;
	unsigned ready_count;
	uint64_t restarts; /* ends of workers that had been ready */

	unsigned failures;      /* starts that failed since one succeeded */
	struct outcome failure; /* why nothing can be run; value.size 0: it can */
	struct timer retry_timer;
	struct timer rebalance_timer;

	struct fair_queue queue;
	uint64_t waiting; /* tasks not handed to a worker */
	uint64_t running; /* tasks handed to a worker and not answered */
	struct subscription_list subscriptions;
	bool dirty; /* in the core's list of pools to schedule */
	TAILQ_ENTRY(pool) in_core;
	STAILQ_ENTRY(pool) in_dirty;
};

enum runtime_state runtime_next_state(enum runtime_state state, enum runtime_event event);

/* NULL without memory. */
struct pool *pool_create(struct core *core, const struct pool_spec *spec);
/* Must have no worker and no job. */
void pool_destroy(struct pool *pool);

/* "starting", "ready" or "failing". */
const char *pool_state_name(const struct pool *pool);

/* Starts what is missing: the runtime, then workers up to spec->workers. */
void pool_fill(struct pool *pool, uint64_t now_us);

/*
 * What happened to the pool's processes, told by whoever executes actions.
 *
 * _hello      the runtime's first process said what it is. Returns the worker that it is, or NULL:
 * a spawner. _loaded     its modules are loaded: functions is an array of [name, doc]. False: it is
 * malformed, end the process. _runtime_exited  the spawner, or a first process before hello, is
 * gone; or could not be started. error (taken over) says why. transient: for want of resources, try
 * again without giving up on what waits. _worker_ready, _worker_exited  likewise of a worker; error
 * only if it had not been ready.
 */
struct worker *pool_hello(struct pool *pool, bool forks, bool page, uint64_t now_us);
bool pool_loaded(struct pool *pool, struct procpool_value functions, uint64_t now_us);
void pool_runtime_exited(struct pool *pool, struct outcome error, bool transient, uint64_t now_us);
void pool_worker_ready(struct worker *worker, pid_t pid, uint64_t now_us);

/* How a worker ended. */
struct worker_end {
	int signal;           /* 0: it exited */
	int exit_status;      /* -1: not known */
	const char *reason;   /* what the daemon knows more, for people; or NULL */
	struct outcome error; /* of a worker that was not ready: what it said; taken over */
	bool transient;
};
void pool_worker_exited(struct worker *worker, struct worker_end end, uint64_t now_us);

/* Ends the worker: told to (it finishes what it was sent), or at once. */
void pool_stop_worker(struct worker *worker, uint64_t now_us);
void pool_kill_worker(struct worker *worker, uint64_t now_us);
/* It was not ready in time, and is killed; or it was killed and nobody says that it has gone: then
 * the spawner does not do its work, and is replaced. */
void pool_worker_overdue(struct worker *worker, uint64_t now_us);

/*
 * The worker, or the runtime's first process, has ended its channel or said that it failed: it has
 * a moment to exit by itself, so that its own exit status is told and not that of being killed.
 */
void pool_worker_leaves(struct worker *worker, uint64_t now_us);
void pool_runtime_leaves(struct pool *pool, uint64_t now_us);

/*
 * Its deadline is over: it is killed; or where it was, and the spawner has not told its end, the
 * spawner is, and its workers with it: who waits for the worker's task must not wait for ever.
 */
void pool_worker_overdue(struct worker *worker, uint64_t now_us);

/*
 * Ends the spawner, if there is one, whose workers have ended: told to; when the grace period is
 * over, also killed if it does not exit.
 */
void pool_stop_runtime(struct pool *pool, uint64_t now_us);
/* Whether a process that is not a worker is there, or is being started. */
bool pool_has_runtime(const struct pool *pool);

/* The timer for the next start, or the one for a start that takes too long, is due. */
void pool_retry(struct pool *pool, uint64_t now_us);
