/* SPDX-License-Identifier: MIT */
/*
 * How many workers a pool should have, and which of them are due to be replaced.
 *
 * A pool has pool->target of them, from min to max. It grows where tasks wait that its workers will
 * not get to soon, and gives up a worker that nobody has needed for a while, that which has idled
 * longest. A worker is due after max_tasks tasks or with max_rss of memory: another is started, and
 * the due one retires when that is ready, so that the pool never has fewer than its target. Few are
 * replaced at a time, and each has limits a little below those of the pool, by chance, so that
 * those which began together do not end together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct function;
struct pool;
struct pool_spec;
struct worker;

/* How long what waits may take, and for how long a worker may run one task, before a pool grows for
 * it: about what it takes to start a worker. */
#define POLICY_PATIENCE_US 10000

/* As its spec says. */
void policy_init(struct pool *pool);

/* How many workers more than its places a runtime may have, for those that are due. */
unsigned policy_replacements(const struct pool *pool);

/* Draws the limits of a new worker. */
void policy_limit_worker(struct worker *worker);
/* It has ended tasks, or was measured: it may be due now. */
void policy_check_worker(struct worker *worker, uint64_t now_us);
/* It is given nothing more. */
void policy_forget_worker(struct worker *worker);

/* Tasks wait, first one of this function, and no worker can be given any more. */
void policy_grow(struct pool *pool, const struct function *function, uint64_t now_us);

/* One worker beyond the maximum, for calls that all others wait for. False: the pool allows no
 * more. */
bool policy_add_extra(struct pool *pool, uint64_t now_us);

/* The idle timer is due. */
void policy_shrink(struct pool *pool, uint64_t now_us);

/* Those of the runtime that serves which are too many retire: due ones first, then idle ones. */
void policy_trim(struct pool *pool, uint64_t now_us);

/* The pool's spec has other policies than before. How many workers it has stays as it was scaled,
 * where both specs say the same of that. */
void policy_change(struct pool *pool, const struct pool_spec *before, uint64_t now_us);

/* From now on the pool has at least min and at most max workers: 1 <= min <= max. */
void policy_scale(struct pool *pool, unsigned min, unsigned max, uint64_t now_us);
