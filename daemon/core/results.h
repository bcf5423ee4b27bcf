/* SPDX-License-Identifier: MIT */
/*
 * The results of a map, which come in runs of consecutive tasks and in any order of runs, and are
 * put together as one array in the order of the items at the end. Values are never decoded, only
 * copied.
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
	struct results_run *runs;
	size_t count;
	size_t capacity;
	uint64_t size; /* bytes of all values */
};

void results_init(struct results *results);
void results_fini(struct results *results);

/* Takes the held span over. 0, or -ENOMEM, and then the span is still the caller's. */
int results_add(struct results *results, uint32_t first, uint32_t count, struct span values);

/* All values as one encoded array of `total`; runs must cover it exactly. NULL without memory. */
struct blob *results_assemble(struct results *results, uint32_t total);

/* `count` values in a row as pairs [nil, value]. NULL without memory. */
struct blob *results_pairs(uint32_t count, struct span values);

/* A pair [error, nil]. NULL without memory. */
struct blob *results_error_pair(struct procpool_value error);
