/* SPDX-License-Identifier: MIT */
/*
 * How much one worker may write to the log: so many lines and bytes in a second, which begins with
 * the first of them. What was dropped is counted, to be told once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_LINES_MAX 100U
#define RATE_BYTES_MAX 65536U
#define RATE_PERIOD_US UINT64_C(1000000)

struct rate_limit {
	uint64_t since_us; /* 0: nothing was logged yet */
	unsigned lines;
	size_t bytes;
	uint64_t dropped; /* lines, since it was last told */
};

/* Whether a line of so many bytes is within the limit; counts it, as logged or as dropped. Once it
 * is not, none is until the second is over. */
bool rate_limit_take(struct rate_limit *limit, size_t bytes, uint64_t now_us);

/* Whether lines are being dropped. */
bool rate_limit_is_over(const struct rate_limit *limit, uint64_t now_us);
