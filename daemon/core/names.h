/* SPDX-License-Identifier: MIT */
/*
 * Names that are on no list of functions, and will do all the same, if the call names the pool:
 * where the list has "*", because the runtime looks up others by itself (WORKER.md, "ready"), and
 * where the call brings a pickled callable, of which the name is only there to be shown.
 *
 * Each is a struct function, as those on the list are, made when it is first called, for the sake
 * of what is measured of it. Clients choose them, so their memory is bounded: of a name that jobs
 * refer to, it is charged with each of them (names_job_bytes); one that none refers to is kept for
 * what was measured, until there are too many of these, in all pools together.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct core;
struct function;
struct pool;

#define NAMES_UNUSED_MAX 4096U

TAILQ_HEAD(name_list, function);

struct names {
	struct name_list unused; /* that for the longest time first */
	unsigned unused_count;
};

/* The function of that name, of a pool that takes any. NULL: it is no name that can be shown to
 * people (names are), or there is no memory. */
struct function *names_find(struct pool *pool, const char *name, size_t size);

/* One job more or less refers to the function. What is on a list is not counted. */
void names_use(struct core *core, struct function *function);
void names_release(struct core *core, struct function *function);

/* What a job counts for its function's name. */
uint64_t names_job_bytes(const struct function *function);

/* Frees the unused that are too many. When no action is left: they may refer to any. */
void names_sweep(struct core *core);

/* Frees all of a pool that ends. */
void names_forget(struct pool *pool);
