/* SPDX-License-Identifier: MIT */
#include "samples.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->count == samples->capacity) {
		samples->capacity = samples->capacity ? samples->capacity * 2 : 4096;
		samples->ns = realloc(samples->ns, samples->capacity * sizeof(*samples->ns));
		if (!samples->ns)
			err(1, "samples");
	}
	samples->ns[samples->count++] = ns;
}

void samples_fini(struct samples *samples)
{
	free(samples->ns);
	*samples = (struct samples){0};
}

static int compare_ns(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* The smallest sample that at least this share of all samples does not exceed. */
static double percentile_us(const struct samples *samples, double share)
{
	size_t rank = (size_t)(share * (double)samples->count);
	if (rank >= samples->count)
		rank = samples->count - 1;
	return (double)samples->ns[rank] / 1e3;
}

void samples_print(struct samples *samples, const char *extra)
{
	double sum = 0;

	if (!samples->count)
		errx(1, "nothing was measured");
	qsort(samples->ns, samples->count, sizeof(*samples->ns), compare_ns);
	for (size_t i = 0; i < samples->count; i++)
		sum += (double)samples->ns[i] / 1e3;
	printf("{\"count\": %zu, \"median_us\": %.2f, \"mean_us\": %.2f, \"p99_us\": %.2f, "
	       "\"p999_us\": %.2f, \"min_us\": %.2f, \"max_us\": %.2f%s%s}\n",
	       samples->count, percentile_us(samples, 0.5), sum / (double)samples->count,
	       percentile_us(samples, 0.99), percentile_us(samples, 0.999),
	       percentile_us(samples, 0), percentile_us(samples, 1), extra ? ", " : "",
	       extra ? extra : "");
	fflush(stdout);
}
