/* SPDX-License-Identifier: MIT */
/*
 * demo: functions to try a pool with, and to see what happens when one fails, hangs or crashes.
 * What a procpoold serves that was told nothing else.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <procpool/module.h>

static int inc(struct procpool_call *call)
{
	if (procpool_arg_check(call, 1, 1))
		return -1;
	struct procpool_value x = procpool_arg(call, 0);
	int64_t i;
	uint64_t u;
	double d;
	if (procpool_value_int(x, &i) && i < INT64_MAX)
		return procpool_return_int(call, i + 1);
	if (procpool_value_uint(x, &u)) {
		if (u == UINT64_MAX)
			return procpool_fail(call, "OverflowError",
					     "%ju + 1 is more than 64 bits hold", (uintmax_t)u);
		return procpool_return_uint(call, u + 1);
	}
	if (procpool_arg_double(call, 0, &d))
		return -1;
	return procpool_return_double(call, d + 1);
}

static int echo(struct procpool_call *call)
{
	struct procpool_value x;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_value(call, 0, &x))
		return -1;
	return procpool_return_value(call, x);
}

/* Argument 0, of the given unit, as seconds; at most a year. */
static int read_seconds(struct procpool_call *call, double units_per_second, double *ret)
{
	const double year = 365.0 * 86400.0;
	double units;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_double(call, 0, &units))
		return -1;
	double seconds = units / units_per_second;
	if (!(seconds >= 0 && seconds <= year))
		return procpool_arg_fail(call, "argument 1 of %s must be from 0 to a year",
					 procpool_call_function(call));
	*ret = seconds;
	return 0;
}

static int fail_stopped(struct procpool_call *call)
{
	return procpool_fail(call, "Stopped", "%s was asked to stop", procpool_call_function(call));
}

static int sleep_for(struct procpool_call *call)
{
	double seconds;
	if (read_seconds(call, 1, &seconds))
		return -1;
	return procpool_call_sleep(call, seconds) ? fail_stopped(call) : procpool_return_nil(call);
}

static double clock_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int spin(struct procpool_call *call)
{
	double seconds;
	if (read_seconds(call, 1000, &seconds))
		return -1;
	double end = clock_seconds() + seconds;
	do
		if (procpool_call_stopped(call))
			return fail_stopped(call);
	while (clock_seconds() < end);
	return procpool_return_nil(call);
}

static int pid(struct procpool_call *call)
{
	if (procpool_arg_check(call, 0, 0))
		return -1;
	return procpool_return_int(call, getpid());
}

static int fail(struct procpool_call *call)
{
	const char *message;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &message))
		return -1;
	return procpool_fail(call, "DemoError", "%s", message);
}

static int crash(struct procpool_call *call)
{
	int64_t number = SIGSEGV;
	if (procpool_arg_check(call, 0, 1) ||
	    (procpool_arg_count(call) > 0 && procpool_arg_int(call, 0, &number)))
		return -1;
	if (number < 1 || number > SIGRTMAX)
		return procpool_arg_fail(call, "argument 1 of %s must be a signal, from 1 to %d",
					 procpool_call_function(call), SIGRTMAX);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, (int)number);
	signal((int)number, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise((int)number);
	return procpool_fail(call, "DemoError", "signal %d (%s) does not end a process",
			     (int)number, strsignal((int)number));
}

static int alloc(struct procpool_call *call)
{
	uint64_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_uint(call, 0, &size))
		return -1;
	volatile char *memory = size <= SIZE_MAX / 2 ? malloc(size) : NULL;
	if (!memory)
		return procpool_fail_memory(call);
	for (uint64_t i = 0; i < size; i += 4096)
		memory[i] = 1;
	free((char *)memory);
	return procpool_return_uint(call, size);
}

/* Of UTF-8: every byte that does not continue a character begins one. */
static size_t count_characters(const char *text, size_t size)
{
	size_t count = 0;
	for (size_t i = 0; i < size; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static int len(struct procpool_call *call)
{
	struct procpool_value x;
	const char *text;
	const void *bytes;
	size_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_value(call, 0, &x))
		return -1;
	if (procpool_value_string(x, &text, &size))
		return procpool_return_uint(call, count_characters(text, size));
	if (procpool_value_bytes(x, &bytes, &size))
		return procpool_return_uint(call, size);
	enum procpool_type type = procpool_value_type(x);
	if (type != PROCPOOL_ARRAY && type != PROCPOOL_MAP)
		return procpool_arg_fail(
			call, "argument 1 of %s must be a string, bytes, an array or a map, not %s",
			procpool_call_function(call), procpool_type_name(type));
	return procpool_return_uint(call, procpool_value_count(x));
}

static const struct procpool_function functions[] = {
	{"inc", "inc(x): x + 1, of an int or a float", inc},
	{"echo", "echo(x): x as it is", echo},
	{"sleep", "sleep(seconds): waits, then nil", sleep_for},
	{"spin", "spin(milliseconds): keeps a core busy, then nil", spin},
	{"pid", "pid(): the worker's process id", pid},
	{"fail", "fail(message): fails with this message", fail},
	{"crash", "crash(signal=11): kills the worker by this signal", crash},
	{"alloc", "alloc(bytes): uses so much memory while it runs, then their number", alloc},
	{"len", "len(x): bytes, characters of a string, elements of an array, pairs of a map", len},
};

PROCPOOL_MODULE("demo", "Functions to try a pool with.", functions, NULL, NULL);
