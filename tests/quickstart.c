/* SPDX-License-Identifier: MIT */
/*
 * The work of the tutorial's four programs, through the pool: apply 10,000 times one after the
 * other, apply_async with a callback, apply_async 10,000 times and then collect, map over 100
 * items. Each says what it does, checks every value and tells the time. tests/quickstart runs it.
 */
#include <procpool.h>

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CALLS 10000
#define ITEMS 100

static double seconds_since(const struct timespec *begin)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void print_seconds(double seconds)
{
	if (seconds < 0.1)
		printf("   %.2f ms", seconds * 1e3);
	else
		printf("   %.2f s", seconds);
}

static struct timespec start(const char *what)
{
	struct timespec begin;
	printf("\n%s\n", what);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	return begin;
}

/* The arguments of demo.inc(i), borrowed from the writer. */
static struct procpool_value arguments(struct procpool_writer *w, int64_t i)
{
	procpool_writer_reset(w);
	procpool_write_array(w, 1);
	procpool_write_int(w, i);
	return procpool_writer_value(w);
}

static void expect(const struct procpool_outcome *out, int64_t expected)
{
	int64_t value;
	if (out->code != PROCPOOL_OK)
		errx(1, "%s: %s", procpool_code_name(out->code), out->message);
	if (!procpool_value_int(out->value, &value) || value != expected)
		errx(1, "the value is not %" PRId64, expected);
}

static void apply(struct procpool *pp, struct procpool_writer *w)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct timespec begin =
		start("1. apply: 10,000 calls of demo.inc, each waits for the one before");
	for (int64_t i = 0; i < CALLS; i++) {
		procpool_apply(pp, "demo.inc", arguments(w, i), NULL, &out);
		expect(&out, i + 1);
	}
	double seconds = seconds_since(&begin);
	print_seconds(seconds);
	printf(", %.0f microseconds a call\n", seconds / CALLS * 1e6);
	procpool_outcome_fini(&out);
}

static void on_result(struct procpool *pp, const struct procpool_outcome *out, void *data)
{
	(void)pp;
	(void)data;
	int64_t value;
	if (!procpool_value_int(out->value, &value))
		errx(1, "%s: %s", procpool_code_name(out->code), out->message);
	printf(" %" PRId64, value + 1);
}

static void apply_with_callback(struct procpool *pp, struct procpool_writer *w)
{
	struct timespec begin = start("2. apply_async: 10 calls, whose callback adds 1 and prints");
	printf("  ");
	for (int64_t i = 0; i < 10; i++) {
		if (procpool_apply_async(pp, "demo.inc", arguments(w, i), NULL, on_result, NULL,
					 NULL))
			errx(1, "apply_async failed");
	}
	if (procpool_run(pp, -1) != PROCPOOL_OK)
		errx(1, "the connection is lost: %s", procpool_lost_reason(pp));
	double seconds = seconds_since(&begin);
	printf("\n");
	print_seconds(seconds);
	printf("\n");
}

static void apply_and_collect(struct procpool *pp, struct procpool_writer *w)
{
	static struct procpool_call *calls[CALLS];
	struct timespec begin =
		start("3. apply_async: 10,000 calls at once, then each one's value");
	for (int64_t i = 0; i < CALLS; i++) {
		if (procpool_apply_async(pp, "demo.inc", arguments(w, i), NULL, NULL, NULL,
					 &calls[i]))
			errx(1, "apply_async failed");
	}
	for (int64_t i = 0; i < CALLS; i++) {
		procpool_call_wait(calls[i], -1);
		expect(procpool_call_outcome(calls[i]), i + 1);
		procpool_call_free(calls[i]);
	}
	double seconds = seconds_since(&begin);
	print_seconds(seconds);
	printf(", %.0f calls a second\n", CALLS / seconds);
}

static void map(struct procpool *pp, struct procpool_writer *w)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct timespec begin = start("4. map: demo.inc over 0 to 99");
	procpool_writer_reset(w);
	procpool_write_array(w, ITEMS);
	for (int64_t i = 0; i < ITEMS; i++)
		procpool_write_int(w, i);
	if (procpool_map(pp, "demo.inc", procpool_writer_value(w), NULL, &out))
		errx(1, "%s: %s", procpool_code_name(out.code), out.message);

	struct procpool_iter it = procpool_iter(out.value);
	struct procpool_value element;
	int64_t value, count = 0;
	printf("  ");
	while (procpool_iter_next(&it, &element)) {
		if (!procpool_value_int(element, &value) || value != ++count)
			errx(1, "the values are not in the order of the items");
		printf(" %" PRId64, value);
	}
	if (count != ITEMS)
		errx(1, "%" PRId64 " values instead of %d", count, ITEMS);
	double seconds = seconds_since(&begin);
	printf("\n");
	print_seconds(seconds);
	printf("\n");
	procpool_outcome_fini(&out);
}

int main(void)
{
	struct procpool *pp;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_writer w;

	if (procpool_connect(NULL, &pp, &out) != PROCPOOL_OK)
		errx(3, "%s", out.message);
	procpool_writer_init(&w);
	apply(pp, &w);
	apply_with_callback(pp, &w);
	apply_and_collect(pp, &w);
	map(pp, &w);
	procpool_close(pp);
	procpool_writer_fini(&w);
	procpool_outcome_fini(&out);
	return 0;
}
