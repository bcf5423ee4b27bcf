/* SPDX-License-Identifier: MIT */
/* Durations measured one by one, and what the benchmarks say of them: median, percentiles,
 * extremes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct samples {
	uint64_t *ns; /* owned */
	size_t count;
	size_t capacity;
};

/* The monotonic clock in nanoseconds. */
uint64_t clock_ns(void);

/* Appends one duration. Ends the program where memory runs out, as everything in a benchmark does.
 */
void samples_add(struct samples *samples, uint64_t ns);
void samples_fini(struct samples *samples);

/*
 * Prints one line, a JSON object, with count, median_us, mean_us, p99_us, p999_us, min_us and
 * max_us. Sorts the samples. `extra` is further members, such as "\"bytes\": 7", or NULL.
 */
void samples_print(struct samples *samples, const char *extra);
