/* SPDX-License-Identifier: MIT */
/* Every way to read arguments and to end a call, the wrong ones included. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <procpool/module.h>

/* all(bool, int, uint, double, string, bytes): an array of them. */
static int all(struct procpool_call *call)
{
	bool b;
	int64_t i;
	uint64_t u;
	double d;
	const char *s;
	const void *bytes;
	size_t s_size, bytes_size;
	if (procpool_arg_check(call, 6, 6) || procpool_arg_bool(call, 0, &b) ||
	    procpool_arg_int(call, 1, &i) || procpool_arg_uint(call, 2, &u) ||
	    procpool_arg_double(call, 3, &d) || procpool_arg_string(call, 4, &s, &s_size) ||
	    procpool_arg_bytes(call, 5, &bytes, &bytes_size))
		return -1;
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, 6);
	procpool_write_bool(w, b);
	procpool_write_int(w, i);
	procpool_write_uint(w, u);
	procpool_write_double(w, d);
	procpool_write_string_n(w, s, s_size);
	procpool_write_bytes(w, bytes, bytes_size);
	return 0;
}

/* backwards(...): its arguments from the last to the first. */
static int backwards(struct procpool_call *call)
{
	size_t count = procpool_arg_count(call);
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, count);
	while (count > 0)
		procpool_write_value(w, procpool_arg(call, --count));
	return 0;
}

/* text(a, b): both as one. */
static int text(struct procpool_call *call)
{
	const char *a, *b;
	char joined[256];
	if (procpool_arg_check(call, 1, 2) || procpool_arg_text(call, 0, &a) ||
	    procpool_arg_text(call, 1, &b))
		return -1;
	strncpy(joined, a, sizeof(joined) - 1);
	joined[sizeof(joined) - 1] = '\0';
	strncat(joined, b, sizeof(joined) - strlen(joined) - 1);
	return procpool_return_string(call, joined);
}

/* scalar(name): one by each procpool_return_*(). */
static int scalar(struct procpool_call *call)
{
	struct procpool_value name = procpool_arg(call, 0);
	if (procpool_value_is(name, "nil"))
		return procpool_return_nil(call);
	if (procpool_value_is(name, "bool"))
		return procpool_return_bool(call, true);
	if (procpool_value_is(name, "int"))
		return procpool_return_int(call, INT64_MIN);
	if (procpool_value_is(name, "uint"))
		return procpool_return_uint(call, UINT64_MAX);
	if (procpool_value_is(name, "double"))
		return procpool_return_double(call, 0.5);
	if (procpool_value_is(name, "string_n"))
		return procpool_return_string_n(call, "a\0b", 3);
	if (procpool_value_is(name, "bytes"))
		return procpool_return_bytes(call, "\xff\0", 2);
	return procpool_arg_fail(call, "no such scalar");
}

/* big(n): n bytes. */
static int big(struct procpool_call *call)
{
	uint64_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_uint(call, 0, &size))
		return -1;
	void *bytes = calloc(size + 1, 1);
	if (!bytes)
		return procpool_fail_memory(call);
	procpool_return_bytes(call, bytes, size);
	free(bytes);
	return 0;
}

/* deep(n): n arrays within each other. */
static int deep(struct procpool_call *call)
{
	uint64_t depth;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_uint(call, 0, &depth))
		return -1;
	struct procpool_writer *w = procpool_result(call);
	while (depth-- > 0)
		procpool_write_array(w, 1);
	procpool_write_nil(w);
	return 0;
}

static int too_few(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, 3);
	procpool_write_int(w, 1);
	return 0;
}

static int too_many(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_int(w, 1);
	procpool_write_int(w, 2);
	return 0;
}

static int empty(struct procpool_call *call)
{
	procpool_result(call);
	return 0;
}

/* A value that is none, within the arguments and outside. */
static int malformed(struct procpool_call *call)
{
	static const uint8_t outside[] = {0xc1};
	struct procpool_value x = procpool_arg(call, 0);
	if (x.size > 1)
		return procpool_return_value(call, (struct procpool_value){x.data, x.size - 1});
	return procpool_return_value(call, (struct procpool_value){outside, sizeof(outside)});
}

/* part(array): its first element, without a copy. */
static int part(struct procpool_call *call)
{
	return procpool_return_value(call, procpool_value_at(procpool_arg(call, 0), 0));
}

static int silent(struct procpool_call *call)
{
	(void)call;
	return 3;
}

/* fails(depth): with data of that depth. */
static int fails(struct procpool_call *call)
{
	uint64_t depth;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_uint(call, 0, &depth))
		return -1;
	struct procpool_writer *data = procpool_fail_data(call);
	while (depth-- > 0)
		procpool_write_array(data, 1);
	procpool_write_string(data, "why");
	return procpool_fail(call, "ValuesError", "wrong by %d", 1);
}

/* Ignores that its argument was wrong. */
static int careless(struct procpool_call *call)
{
	int64_t i = 0;
	procpool_arg_int(call, 0, &i);
	return procpool_return_int(call, i);
}

/* Returns twice; the last counts. */
static int changes_its_mind(struct procpool_call *call)
{
	procpool_write_array(procpool_result(call), 9);
	procpool_return_string(call, "first");
	return procpool_return_int(call, 2);
}

/* square_or_die(x): x * x; a negative x kills the worker. */
static int square_or_die(struct procpool_call *call)
{
	int64_t x;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_int(call, 0, &x))
		return -1;
	if (x < 0)
		raise(SIGKILL);
	return procpool_return_int(call, x * x);
}

/* say(text, text): prints the one, and the other as an error, without ending a line. */
static int say(struct procpool_call *call)
{
	const char *output, *error;
	if (procpool_arg_check(call, 2, 2) || procpool_arg_text(call, 0, &output) ||
	    procpool_arg_text(call, 1, &error))
		return -1;
	printf("%s", output);
	fprintf(stderr, "%s", error);
	return 0;
}

static const struct procpool_function functions[] = {
	{"all", "all(bool, int, uint, double, string, bytes): an array of them", all},
	{"backwards", NULL, backwards},
	{"text", NULL, text},
	{"scalar", NULL, scalar},
	{"big", NULL, big},
	{"deep", NULL, deep},
	{"too_few", NULL, too_few},
	{"too_many", NULL, too_many},
	{"empty", NULL, empty},
	{"malformed", NULL, malformed},
	{"part", NULL, part},
	{"silent", NULL, silent},
	{"fails", NULL, fails},
	{"careless", NULL, careless},
	{"changes_its_mind", NULL, changes_its_mind},
	{"square_or_die", NULL, square_or_die},
	{"say", NULL, say},
};
PROCPOOL_MODULE("values", "Ways to end a call.", functions, NULL, NULL);
