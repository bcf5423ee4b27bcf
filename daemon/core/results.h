/* SPDX-License-Identifier: MIT */
/*
 * The results of a map, which come in runs of consecutive tasks and in any order of runs, and are
 * put together as one array in the order of the items. Each run is appended as soon as all before
 * it are there, so that little is left to do when the last one comes. Values are never decoded,
 * only copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct results_run {
	uint32_t first;
	uint32_t count;
	struct span values;
};

struct results {
	struct blob *array; /* room for a header, then the values of all tasks before `next` */
	uint32_t next;
	struct results_run *early; /* what came before its turn: a heap, the first task on top */
	size_t early_count;
	size_t early_capacity;
	uint64_t size; /* bytes of all values */
};

void results_init(struct results *results);
void results_fini(struct results *results);

/* Copies or holds the values. 0, or -ENOMEM, and then it is good for nothing but results_fini(). */
int results_add(struct results *results, uint32_t first, uint32_t count, struct span values);

/* Hands out all values as one encoded array of `total`; runs must have covered it exactly. NULL
 * without memory. */
struct blob *results_take(struct results *results, uint32_t total);

/* `count` values in a row as pairs [nil, value]. NULL without memory. */
struct blob *results_pairs(uint32_t count, struct span values);

/* A pair [error, nil]. NULL without memory. */
struct blob *results_error_pair(struct procpool_value error);
