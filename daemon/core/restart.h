/* SPDX-License-Identifier: MIT */
/*
 * How soon processes that have ended are replaced: at once, where that is of any use. Starts that
 * fail, spawners that live for a moment, and workers that end again and again before they have
 * begun anything are followed by a pause, twice as long each time. What a task does to its worker
 * never delays anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct core;
struct pool;
struct runtime;
struct worker;

#define RESTART_FIRST_US UINT64_C(100000)
#define RESTART_MAX_US   (30 * UINT64_C(1000000))

/* A worker that has ended a task, or lives for so long, was worth its start. */
#define RESTART_PROOF_US (1 * UINT64_C(1000000))
/* A spawner lives for a moment if it ends so soon after its first worker was ready. */
#define RESTART_MOMENT_US (2 * UINT64_C(1000000))
/* So many workers may end for nothing, for each that the pool is to have. */
#define RESTART_FUTILE_MAX 3

/* The pause after so many failures (from 1) in a row: up to a quarter less than twice the last, so
 * that not all pools of a machine try at the same time. */
uint64_t restart_pause_us(struct core *core, unsigned failures);

/* Whether the worker, which is about to be forgotten, was started for nothing. */
bool restart_is_futile(struct worker *worker, uint64_t now_us);
/* Whether that has happened too often since one of the runtime's workers was worth its start. */
bool restart_is_loop(struct runtime *runtime, bool futile);

/* Forgets past failures if the worker was worth its start. */
void restart_prove(const struct worker *worker, uint64_t now_us);
/* Likewise by any of the pool's workers. */
void restart_prove_any(const struct pool *pool, uint64_t now_us);

/* Whether a spawner of the pool that had loaded has now died too early once too often. */
bool restart_is_short_lived(struct pool *pool, const struct runtime *runtime, uint64_t now_us);
