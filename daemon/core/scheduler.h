/* SPDX-License-Identifier: MIT */
/*
 * Which tasks go to which worker, and when.
 *
 * Idle workers come first. Beyond that, work is sent ahead to busy ones, so that they need not be
 * woken for each task: about a millisecond of it by the measured time of the function, and only
 * where a page lets it be taken back. Chunks of maps are as long. If a task turns out long while
 * another worker idles, what waits behind it is taken back and goes there (promise 7 of the design:
 * 2 ms).
 */
#pragma once

#include <stdint.h>

struct pool;

/* How much work a worker may have, what it runs included, when more is sent ahead; and how long a
 * chunk of a map is meant to take: half of it, so that there is always another. */
#define SCHEDULER_AHEAD_US 1000
#define SCHEDULER_CHUNK_US 500

/* After how long without an answer what a worker has not begun is taken back. */
#define SCHEDULER_STALE_US 1000

/* Hands out waiting tasks as far as there is room. */
void scheduler_run(struct pool *pool, uint64_t now_us);

/* The timer set by scheduler_run() is due: takes back what waits behind long tasks. */
void scheduler_rebalance(struct pool *pool, uint64_t now_us);
