/* SPDX-License-Identifier: MIT */
#include "io/rate_limit.h"

static bool in_period(const struct rate_limit *limit, uint64_t now_us)
{
	return limit->since_us > 0 && now_us - limit->since_us < RATE_PERIOD_US;
}

bool rate_limit_take(struct rate_limit *limit, size_t bytes, uint64_t now_us)
{
	if (!in_period(limit, now_us)) {
		limit->since_us = now_us;
		limit->lines = 0;
		limit->bytes = 0;
	}
	limit->lines++;
	limit->bytes += bytes;
	if (!rate_limit_is_over(limit, now_us))
		return true;
	limit->dropped++;
	return false;
}

bool rate_limit_is_over(const struct rate_limit *limit, uint64_t now_us)
{
	return in_period(limit, now_us) &&
	       (limit->lines > RATE_LINES_MAX || limit->bytes > RATE_BYTES_MAX);
}
