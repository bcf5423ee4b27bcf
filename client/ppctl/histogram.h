/* SPDX-License-Identifier: MIT */
/* The histograms of `stats` (PROTOCOL.md, "Observing"): {le, counts, count, sum}. */
#pragma once

#include "procpool/value.h"

struct text;

/*
 * The bound in seconds that the share (0 to 1) of the tasks did not exceed: the upper bound of the
 * bucket in which it falls. *ret_beyond: it falls behind the last bound, which is then returned.
 * Negative where there are no tasks.
 */
double histogram_quantile(struct procpool_value histogram, double share, bool *ret_beyond);

/* Appends "mean 1.2 ms, 50% ≤ 1 ms, 90% ≤ 5 ms, 99% ≤ 10 ms" or "none yet". */
void histogram_write(struct text *out, struct procpool_value histogram);
