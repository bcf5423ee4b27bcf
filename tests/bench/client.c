/* SPDX-License-Identifier: MIT */
/*
 * procpool's side of the benchmarks, on libprocpool: connects once, then reads commands from
 * standard input and answers each with a line of JSON. Every result is checked; a wrong one, or an
 * error, ends the program.
 *
 * What is measured is what a program would see: the arguments are encoded and the results decoded
 * within the measured time.
 */
#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <procpool.h>

#include "samples.h"

struct client {
	struct procpool *pp;
	struct procpool_outcome out;
	struct procpool_writer args;
};

static void check(enum procpool_code code, const struct procpool_outcome *out, const char *what)
{
	if (code != PROCPOOL_OK)
		errx(1, "%s: %s: %s", what, procpool_code_name(code), out ? out->message : "");
}

static struct procpool_value one_int(struct client *client, int64_t n)
{
	procpool_writer_reset(&client->args);
	procpool_write_array(&client->args, 1);
	procpool_write_int(&client->args, n);
	return procpool_writer_value(&client->args);
}

/* ---- Round trips ---- */

static void apply_once(struct client *client, int64_t n)
{
	int64_t result;

	check(procpool_apply(client->pp, "demo.inc", one_int(client, n), NULL, &client->out),
	      &client->out, "demo.inc");
	if (!procpool_value_int(client->out.value, &result) || result != n + 1)
		errx(1, "demo.inc: wrong result");
}

/* apply COUNT: round trips, one after the other. */
static void measure_apply(struct client *client, uint64_t count, double unused)
{
	struct samples samples = {0};

	(void)unused;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = clock_ns();
		apply_once(client, (int64_t)i);
		samples_add(&samples, clock_ns() - start);
	}
	samples_print(&samples, NULL);
	samples_fini(&samples);
}

/* during 0 SECONDS: the same for that long. */
static void measure_during(struct client *client, uint64_t unused, double seconds)
{
	struct samples samples = {0};
	uint64_t start = clock_ns(), now = start, end = start + (uint64_t)(seconds * 1e9);

	(void)unused;
	while (now < end) {
		apply_once(client, 41);
		now = clock_ns();
		samples_add(&samples, now - start);
		start = now;
	}
	samples_print(&samples, NULL);
	samples_fini(&samples);
}

/* ---- Many in flight ---- */

struct flight {
	struct client *client;
	uint64_t begun;
	uint64_t count;
	uint64_t sum;
};

static void flight_ended(struct procpool *pp, const struct procpool_outcome *outcome, void *data);

static void flight_begin(struct flight *flight)
{
	struct procpool_value args = one_int(flight->client, (int64_t)flight->begun++);

	check(procpool_apply_async(flight->client->pp, "demo.inc", args, NULL, flight_ended, flight,
				   NULL),
	      NULL, "apply_async");
}

static void flight_ended(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct flight *flight = data;
	uint64_t result;

	(void)pp;
	check(outcome->code, outcome, "demo.inc");
	if (!procpool_value_uint(outcome->value, &result))
		errx(1, "demo.inc: wrong result");
	flight->sum += result;
	if (flight->begun < flight->count)
		flight_begin(flight);
}

/* flight COUNT WINDOW: so many calls, so many of them in flight. */
static void measure_flight(struct client *client, uint64_t count, double window)
{
	struct flight flight = {.client = client, .count = count};
	uint64_t start = clock_ns();

	while (flight.begun < count && flight.begun < (uint64_t)window)
		flight_begin(&flight);
	check(procpool_run(client->pp, -1), NULL, "run");
	double seconds = (double)(clock_ns() - start) / 1e9;
	if (flight.sum != count * (count + 1) / 2)
		errx(1, "demo.inc: wrong results");
	printf("{\"seconds\": %.6f, \"per_second\": %.0f}\n", seconds, (double)count / seconds);
	fflush(stdout);
}

/* ---- Maps ---- */

/* Maps demo.inc over the integers in numbers, which become the results. Returns the seconds that
 * the map took without encoding and decoding. */
static double map_numbers(struct client *client, int64_t *numbers, uint64_t count)
{
	struct procpool_writer *items = &client->args;
	struct procpool_value value;
	uint64_t got = 0;

	procpool_writer_reset(items);
	procpool_write_array(items, count);
	for (uint64_t i = 0; i < count; i++)
		procpool_write_int(items, numbers[i]);
	uint64_t start = clock_ns();
	check(procpool_map(client->pp, "demo.inc", procpool_writer_value(items), NULL,
			   &client->out),
	      &client->out, "map");
	uint64_t end = clock_ns();
	struct procpool_iter it = procpool_iter(client->out.value);
	while (got < count && procpool_iter_next(&it, &value))
		if (!procpool_value_int(value, &numbers[got++]))
			errx(1, "map: wrong type");
	if (got != count)
		errx(1, "map: wrong number of results");
	return (double)(end - start) / 1e9;
}

static int64_t *numbers_create(uint64_t count)
{
	int64_t *numbers = calloc(count, sizeof(*numbers));

	if (!numbers)
		err(1, "numbers");
	for (uint64_t i = 0; i < count; i++)
		numbers[i] = (int64_t)i;
	return numbers;
}

/* map COUNT: one map of so many integers. */
static void measure_map(struct client *client, uint64_t count, double unused)
{
	int64_t *numbers = numbers_create(count);

	(void)unused;
	uint64_t start = clock_ns();
	double call = map_numbers(client, numbers, count);
	double seconds = (double)(clock_ns() - start) / 1e9;
	for (uint64_t i = 0; i < count; i++)
		if (numbers[i] != (int64_t)i + 1)
			errx(1, "map: wrong result at %" PRIu64, i);
	printf("{\"seconds\": %.6f, \"per_second\": %.0f, \"call_seconds\": %.6f}\n", seconds,
	       (double)count / seconds, call);
	fflush(stdout);
	free(numbers);
}

/* maps COUNT SECONDS: such maps without a pause, for that long. */
static void measure_maps(struct client *client, uint64_t count, double seconds)
{
	struct samples samples = {0};
	int64_t *numbers = numbers_create(count);
	uint64_t start = clock_ns(), now = start, end = start + (uint64_t)(seconds * 1e9);

	while (now < end) {
		map_numbers(client, numbers, count);
		now = clock_ns();
		samples_add(&samples, now - start);
		start = now;
	}
	samples_print(&samples, NULL);
	samples_fini(&samples);
	free(numbers);
}

/* spins COUNT SECONDS: one map of so many tasks of 100 us each, given up after that long. */
static void measure_spins(struct client *client, uint64_t count, double seconds)
{
	struct procpool_writer *items = &client->args;
	struct procpool_call *call;

	procpool_writer_reset(items);
	procpool_write_array(items, count);
	for (uint64_t i = 0; i < count; i++)
		procpool_write_double(items, 0.1);
	check(procpool_map_async(client->pp, "demo.spin", procpool_writer_value(items), NULL, NULL,
				 NULL, &call),
	      NULL, "map_async");
	enum procpool_code code = procpool_call_wait(call, seconds);
	if (code != PROCPOOL_PENDING)
		errx(1, "demo.spin: %s", procpool_code_name(code));
	check(procpool_call_cancel(call), NULL, "cancel");
	code = procpool_call_wait(call, -1);
	if (code != PROCPOOL_ERR_CANCELLED)
		errx(1, "cancel: %s", procpool_code_name(code));
	procpool_call_free(call);
	printf("{\"count\": 1, \"median_us\": %.0f}\n", seconds * 1e6);
	fflush(stdout);
}

/* ---- Large arguments ---- */

/* len BYTES SECONDS: calls with an argument so large without a pause, for that long. */
static void measure_len(struct client *client, uint64_t bytes, double seconds)
{
	struct samples samples = {0};
	struct procpool_writer args;
	void *zeros = calloc(1, bytes);
	uint64_t length;

	if (!zeros)
		err(1, "argument");
	procpool_writer_init(&args);
	procpool_write_array(&args, 1);
	procpool_write_bytes(&args, zeros, bytes);
	free(zeros);
	uint64_t start = clock_ns(), now = start, end = start + (uint64_t)(seconds * 1e9);
	while (now < end) {
		check(procpool_apply(client->pp, "demo.len", procpool_writer_value(&args), NULL,
				     &client->out),
		      &client->out, "demo.len");
		if (!procpool_value_uint(client->out.value, &length) || length != bytes)
			errx(1, "demo.len: wrong result");
		now = clock_ns();
		samples_add(&samples, now - start);
		start = now;
	}
	procpool_writer_fini(&args);
	samples_print(&samples, NULL);
	samples_fini(&samples);
}

/* ---- Workers that are killed ---- */

static void count_ready(struct procpool *pp, const struct procpool_push *push, void *data)
{
	uint64_t *ready = data;

	(void)pp;
	if (procpool_value_is(procpool_value_get(push->detail, "event"), "worker") &&
	    procpool_value_is(procpool_value_get(push->detail, "state"), "ready"))
		++*ready;
}

/* Kills all workers. Returns how many. */
static uint64_t kill_workers(struct client *client)
{
	struct procpool_value worker;
	uint64_t killed = 0;
	int64_t pid;

	check(procpool_request(client->pp, "workers", (struct procpool_value){0}, &client->out),
	      &client->out, "workers");
	struct procpool_iter it = procpool_iter(client->out.value);
	for (; procpool_iter_next(&it, &worker); killed++)
		if (!procpool_value_int(procpool_value_get(worker, "pid"), &pid) || pid <= 1 ||
		    kill((pid_t)pid, SIGKILL) < 0)
			err(1, "kill of a worker");
	return killed;
}

/* kill COUNT: kill -9 of all workers at once, until the next apply has been answered. */
static void measure_kill(struct client *client, uint64_t count, double unused)
{
	struct samples samples = {0};
	uint64_t ready = 0;

	(void)unused;
	procpool_on_push(client->pp, count_ready, &ready);
	check(procpool_subscribe(client->pp, 0, NULL, &client->out), &client->out, "subscribe");
	for (uint64_t i = 0; i < count; i++) {
		ready = 0;
		uint64_t killed = kill_workers(client);
		uint64_t start = clock_ns();
		apply_once(client, 41);
		samples_add(&samples, clock_ns() - start);
		/* The next round begins when the pool is complete again. */
		while (ready < killed)
			check(procpool_poll(client->pp, -1), NULL, "poll");
	}
	check(procpool_unsubscribe(client->pp, 0, NULL, &client->out), &client->out, "unsubscribe");
	procpool_on_push(client->pp, NULL, NULL);
	samples_print(&samples, NULL);
	samples_fini(&samples);
}

static const struct command {
	const char *name;
	void (*measure)(struct client *client, uint64_t count, double argument);
} commands[] = {
	{"apply", measure_apply}, {"during", measure_during}, {"flight", measure_flight},
	{"map", measure_map},     {"maps", measure_maps},     {"len", measure_len},
	{"kill", measure_kill},   {"spins", measure_spins},
};

static void run_command(struct client *client, const char *line)
{
	char name[16];
	uint64_t count = 0;
	double argument = 0;

	if (sscanf(line, "%15s %" SCNu64 " %lf", name, &count, &argument) < 1)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0) {
			commands[i].measure(client, count, argument);
			return;
		}
	errx(2, "unknown command: %s", name);
}

int main(void)
{
	struct client client = {.out = PROCPOOL_OUTCOME_INIT};
	char line[128];

	check(procpool_connect(NULL, &client.pp, &client.out), &client.out, "connect");
	procpool_writer_init(&client.args);
	while (fgets(line, sizeof(line), stdin))
		run_command(&client, line);
	procpool_writer_fini(&client.args);
	procpool_outcome_fini(&client.out);
	procpool_close(client.pp);
	return 0;
}
