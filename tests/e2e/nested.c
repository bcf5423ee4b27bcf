/* SPDX-License-Identifier: MIT */
/*
 * The module `nested`: functions that call functions through the daemon that runs them, as children
 * of their own job. Failures have the code of the error as their type.
 */
#include "nested.h"

/* A function that calls back needs both, so neither may take the other's names. */
#include <procpool.h>
#include <procpool/module.h>
#include <stdio.h>

/* [function, args, {parent, pool}] of the arguments. */
static int write_params(struct procpool_writer *w, struct procpool_call *call)
{
	const char *pool, *function;
	if (procpool_arg_text(call, 1, &pool) || procpool_arg_text(call, 2, &function))
		return -1;
	procpool_write_array(w, 3);
	procpool_write_string(w, function);
	procpool_write_value(w, procpool_arg(call, 3));
	procpool_write_map(w, 2);
	procpool_write_string(w, "parent");
	procpool_write_uint(w, procpool_call_job(call));
	procpool_write_string(w, "pool");
	procpool_write_string(w, pool);
	return 0;
}

static int fail(struct procpool_call *call, struct procpool_value code)
{
	const char *text;
	size_t size;
	char type[64] = "";
	if (procpool_value_string(code, &text, &size))
		snprintf(type, sizeof(type), "%.*s", (int)size, text);
	return procpool_fail(call, type, "the nested call failed");
}

static int call_within(struct procpool_call *call, const char *method)
{
	struct procpool_writer params, answer;
	const char *socket;
	int result = -1;
	procpool_writer_init(&params);
	procpool_writer_init(&answer);
	if (!procpool_arg_check(call, 4, 4) && !procpool_arg_text(call, 0, &socket) &&
	    !write_params(&params, call)) {
		bool done = nested_call(socket, method, procpool_writer_value(&params), &answer);
		struct procpool_value value = procpool_writer_value(&answer);
		result = done ? procpool_return_value(call, value) : fail(call, value);
	}
	procpool_writer_fini(&params);
	procpool_writer_fini(&answer);
	return result;
}

static int apply(struct procpool_call *call)
{
	return call_within(call, "apply");
}

static int apply_async(struct procpool_call *call)
{
	return call_within(call, "apply_async");
}

static const struct procpool_function functions[] = {
	{"apply", "apply(socket, pool, function, args): calls it and returns its value", apply},
	{"apply_async", "apply_async(socket, pool, function, args): submits it and waits for it",
	 apply_async},
};
PROCPOOL_MODULE("nested", "Calls within calls.", functions, NULL, NULL);
