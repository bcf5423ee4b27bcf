/* SPDX-License-Identifier: MIT */
/*
 * A runtime of a pool: one generation of its code, and the process that loaded it.
 *
 * The first process says what it can do. If it forks, it is the spawner and every worker is asked
 * of it; if not, it is itself the first worker, and every further one is a process of its own
 * (WORKER.md, "Spawners"): then the runtime is what these workers have in common, and has no
 * process besides them. Every worker belongs to the runtime that it was started from. A pool has
 * one that serves, and may have a successor that is to take its place (recycle.h); others end with
 * the last of their workers.
 *
 * The state changes only in runtime_step(), by a table of state and event. What follows from the
 * end of a process, replacing it or not, is the pool's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/function.h"
#include "core/outcome.h"
#include "core/timer_heap.h"
struct channel;
struct pool;
struct pool_spec;
struct worker;

enum runtime_state {
	RUNTIME_STARTING, /* until it has loaded its modules */
	RUNTIME_READY,    /* a spawner that forks */
	RUNTIME_EXEC,     /* does not fork: its processes are the workers */
	RUNTIME_STOPPING, /* told to end */
	RUNTIME_GONE,     /* its process has ended */
	RUNTIME_STATE_COUNT,
};

enum runtime_event {
	RUNTIME_LOADED, /* a spawner has */
	RUNTIME_IS_WORKER,
	RUNTIME_STOP,
	RUNTIME_EXIT,
	RUNTIME_EVENT_COUNT,
};

/* What its first process says it can do. */
struct runtime_abilities {
	bool forks;
	bool page;       /* workers use it */
	bool stops;      /* they look there whether they are to stop what they run */
	int stop_signal; /* they are to be sent this signal, too; 0: none */
};

/* What the end of a runtime's process says of the next start. */
enum runtime_end {
	RUNTIME_END_FAILED,    /* it will be no better: whoever waits is told */
	RUNTIME_END_KILLED,    /* somebody killed it, which says nothing unless it happens again */
	RUNTIME_END_TRANSIENT, /* it could not be started for want of resources: try again without
				* giving up on what waits */
};

struct runtime {
	struct pool *pool;
	struct pool_spec *spec;  /* what its processes are started with, a reference */
	struct channel *channel; /* of the process that is no worker, for whoever executes actions;
				    NULL: none */
	enum runtime_state state;
	uint64_t generation; /* of the pool's code, from 1; 0: it has not loaded any yet */
	bool leaving;        /* its process is about to exit, or is killed at the deadline */
	struct runtime_abilities abilities;
	unsigned worker_count;  /* of the pool's workers, those that are its */
	unsigned retired_count; /* of these, those whose place another has taken */
	unsigned ready_count;
	unsigned unforked_count; /* those that the spawner was asked for, and has not told of */
	unsigned futile_count;   /* ended for nothing (restart.h) */
	uint64_t ready_us;       /* when its first worker was; 0: none was */
	bool stale;              /* what it has loaded is not what is installed now */
	struct timer deadline;   /* by when it has to have loaded, forked, or to be gone */

	struct function_table functions; /* what it has loaded, until it serves */

	TAILQ_ENTRY(runtime) in_pool;
};

enum runtime_state runtime_next_state(enum runtime_state state, enum runtime_event event);

/* Adds one of that spec (takes a reference) to the pool and starts its first process. NULL without
 * memory. */
struct runtime *runtime_start(struct pool *pool, struct pool_spec *spec, uint64_t now_us);
/* Must have no worker and no process. */
void runtime_destroy(struct runtime *runtime);

/* Whether a process that is not a worker is there, or is being started. */
bool runtime_has_process(const struct runtime *runtime);
/* Whether workers can be started from it. */
bool runtime_serves(const struct runtime *runtime);

/*
 * What happened to its processes, told by whoever executes actions.
 *
 * _hello   the first process said what it is. Returns the worker that it is, or NULL: a spawner.
 * _loaded  the modules are loaded: functions is an array of [name, doc]. False: it is malformed,
 * end the process.
 * _exited  the spawner, or a first process before hello, is gone; or could not be started. error
 * (taken over) says why. It ends with its workers, and is freed.
 */
struct worker *runtime_hello(struct runtime *runtime, struct runtime_abilities abilities,
			     uint64_t now_us);
bool runtime_loaded(struct runtime *runtime, struct procpool_value functions, uint64_t now_us);
void runtime_exited(struct runtime *runtime, struct outcome error, enum runtime_end end,
		    uint64_t now_us);

/* A file that it has loaded has changed since. Whether that is new. */
bool runtime_stale(struct runtime *runtime);

/*
 * Its first process has ended its channel or said that it failed: it has a moment to exit by
 * itself, so that its own exit status is told and not that of being killed.
 */
void runtime_leaves(struct runtime *runtime, uint64_t now_us);

/* Its spawner was asked for a worker, has told of one it was asked for; or that one is not expected
 * any more. One that tells nothing is killed. */
void runtime_fork_asked(struct runtime *runtime, uint64_t now_us);
void runtime_fork_told(struct runtime *runtime, uint64_t now_us);

/*
 * Nothing is started from it any more: it ends with its last worker, at once if it has none. May
 * free it.
 */
void runtime_release(struct runtime *runtime, uint64_t now_us);
/* Also where it had its time to load, or to exit. */
void runtime_kill(struct runtime *runtime);

/*
 * The daemon ends: ends the spawner, if there is one, whose workers have ended: told to; when the
 * grace period is over, also killed if it does not exit.
 */
void runtime_stop(struct runtime *runtime, uint64_t now_us);
