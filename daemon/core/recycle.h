/* SPDX-License-Identifier: MIT */
/*
 * Fresh code for a pool that serves: a successor of its runtime is started beside it, and when that
 * has loaded, as many workers of it as the pool has. For each that is ready one of the old workers
 * retires, so that the pool never has fewer than it should; when all are ready, the successor
 * serves, its functions are the pool's, and the old runtime ends with the last task that runs in
 * it. At most twice as many processes are there meanwhile, and those that still run something.
 *
 * If anything of the successor fails before that, the same happens backwards: workers of the old
 * code take the places of those that have retired.
 *
 * Where the pool's spec has changed (update.h), fresh code is what that says: a successor is of
 * pool->spec, and pool->code becomes that when it serves. While nothing serves, what is started
 * next is of the spec at once, on trial: pool->code follows with its first worker that is ready,
 * or, where it was never of any use, at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"

struct pool;
struct pool_spec;
struct runtime;

/* Starts a successor, or what the pool has to serve with where it has nothing; joins what is under
 * way. */
void recycle_begin(struct pool *pool, uint64_t now_us);

/* The spec has other processes than what was to serve, if that was not theirs already: starts over
 * with those. Who waits for a recycle waits for this. */
void recycle_update(struct pool *pool, uint64_t now_us);

/* What the pool is about to be started with: that of its successor, or of what serves. */
const struct pool_spec *recycle_next(const struct pool *pool);

/* Whether it is of other code than the pool's. */
bool recycle_is_trial(const struct runtime *runtime);
/* A worker of what serves is ready: its code is the pool's. */
void recycle_adopt(struct pool *pool);

/* A worker has become ready: retires those that are too many, and ends the recycle with the last.
 */
void recycle_advance(struct pool *pool, uint64_t now_us);

/* It will not be: who waits for it is told why (error borrowed), and the successor goes. */
void recycle_fail(struct pool *pool, const struct outcome *error, uint64_t now_us);

/* Likewise, for what has become of its runtime, or of a trial. */
void recycle_runtime_failed(struct runtime *runtime, const struct outcome *error, uint64_t now_us);

/* The runtime that served has ended by itself: the successor, if there is one, has its place. */
void recycle_hurry(struct pool *pool);
