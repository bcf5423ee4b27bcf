/* SPDX-License-Identifier: MIT */
/* Counts of durations in buckets that double, from 1 microsecond to about 35 minutes. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BUCKETS                                                                          \
	32 /* bucket i: at most 2^i microseconds; the last: all longer ones too                    \
	    */

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS + 1];
	uint64_t count;
	uint64_t sum_us;
};

static inline unsigned histogram_bucket(uint64_t us)
{
	unsigned bucket = us <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(us - 1);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS;
}

/* Counts `times` durations of `us` each. */
static inline void histogram_add(struct histogram *h, uint64_t us, uint64_t times)
{
	h->counts[histogram_bucket(us)] += times;
	h->count += times;
	h->sum_us += us * times;
}

/* Some of those that were counted so turned out to be none. */
static inline void histogram_remove(struct histogram *h, uint64_t us, uint64_t times)
{
	h->counts[histogram_bucket(us)] -= times;
	h->count -= times;
	h->sum_us -= us * times;
}
