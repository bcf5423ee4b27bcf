/* SPDX-License-Identifier: MIT */
/*
 * The life of a pool: open until it is closed (it finishes what it was given), terminated (it does
 * not) or the daemon ends. Configured pools last until they are not configured any more
 * (update.h), a pool that a session opened goes with the session at the latest.
 *
 * The state changes only in pool_step(), by a table of state and event. A pool that has ended is
 * not among the core's any more: nobody finds it by name, and its flows, subscriptions and waits
 * are gone. Its struct stays, with its name and the functions in use, while finished jobs of it are
 * kept to be fetched.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"
#include "core/pool_spec.h"

struct core;
struct pool;
struct session;

enum pool_state {
	POOL_OPEN,
	POOL_CLOSING,     /* takes no more jobs, and ends when those it has are done */
	POOL_TERMINATING, /* its jobs are being cancelled, its processes ended */
	POOL_ENDED,
	POOL_STATE_COUNT,
};

enum pool_event {
	POOL_CLOSE,
	POOL_TERMINATE,
	POOL_GONE, /* neither a job under way nor a process is left */
	POOL_EVENT_COUNT,
};

/* The state that an event leads to; POOL_STATE_COUNT where it may not happen. */
enum pool_state pool_next_state(enum pool_state state, enum pool_event event);

/* No more jobs; what it has is done. */
void pool_close(struct pool *pool, uint64_t now_us);

/* What runs and waits is cancelled, and the workers are killed. Jobs beyond a thousand or so follow
 * in later turns. */
void pool_terminate(struct pool *pool, uint64_t now_us);

/* What it could not be opened for (error borrowed): it is terminated, and whoever waits for it to
 * open is told this when nothing of it is left. */
void pool_open_failed(struct pool *pool, const struct outcome *error, uint64_t now_us);

/* Once a turn in which something happened, while it is not open: goes on ending it. */
void pool_wind_up(struct pool *pool, uint64_t now_us);

/* Removes it from the core: nothing of it runs or waits any more. It is freed by the core. */
void pool_end(struct pool *pool);

/* Frees a pool that has ended; or, while jobs of it are kept, what they do not need of it. */
void pool_sweep(struct pool *pool);

/* Whether it has no more use for workers: their ends are nobody's loss. */
bool pool_needs_no_workers(const struct pool *pool);
