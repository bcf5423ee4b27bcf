/* SPDX-License-Identifier: MIT */
/* <procpool/module.h>, "Arguments": reading them with errors that say what is wrong. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "procpool/module.h"
#include "proto/frame.h"
#include "runtime/call.h"

size_t procpool_arg_count(const struct procpool_call *call)
{
	return call->arg_count;
}

struct procpool_value procpool_arg(struct procpool_call *call, size_t i)
{
	if (i >= call->arg_count)
		return (struct procpool_value){0};
	if (i < call->cursor_index) {
		call->cursor = call->args;
		call->cursor_index = 0;
	}
	for (; call->cursor_index < i; call->cursor_index++)
		call->cursor += frame_value_size(call->cursor, call->args_end);
	/* The last argument ends where all do: with one argument nothing is walked at all. */
	if (i + 1 == call->arg_count)
		return (struct procpool_value){call->cursor,
					       (size_t)(call->args_end - call->cursor)};
	return (struct procpool_value){call->cursor,
				       frame_value_size(call->cursor, call->args_end)};
}

int procpool_arg_fail(struct procpool_call *call, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	procpool_vfail(call, NULL, format, args);
	va_end(args);
	call->error = ERR_BAD_REQUEST;
	return -1;
}

int procpool_arg_check(struct procpool_call *call, size_t min, size_t max)
{
	size_t count = call->arg_count;
	if (count >= min && count <= max)
		return 0;
	if (max == SIZE_MAX)
		return procpool_arg_fail(call, "%s takes at least %zu argument%s, %zu given",
					 call->function, min, min == 1 ? "" : "s", count);
	if (min == max)
		return procpool_arg_fail(call, "%s takes %zu argument%s, %zu given", call->function,
					 min, min == 1 ? "" : "s", count);
	return procpool_arg_fail(call, "%s takes %zu to %zu arguments, %zu given", call->function,
				 min, max, count);
}

/* Says that argument i is not what was expected. */
static int mismatch(struct procpool_call *call, size_t i, const char *expected)
{
	struct procpool_value value = procpool_arg(call, i);
	enum procpool_type type = procpool_value_type(value);
	if (type == PROCPOOL_NONE)
		return procpool_arg_fail(call, "argument %zu of %s is missing (%s)", i + 1,
					 call->function, expected);
	int64_t number;
	if (procpool_value_int(value, &number)) /* perhaps of the right type, but out of range */
		return procpool_arg_fail(call,
					 "argument %zu of %s must be %s, not the int %" PRId64,
					 i + 1, call->function, expected, number);
	return procpool_arg_fail(call, "argument %zu of %s must be %s, not %s", i + 1,
				 call->function, expected, procpool_type_name(type));
}

int procpool_arg_value(struct procpool_call *call, size_t i, struct procpool_value *ret)
{
	struct procpool_value value = procpool_arg(call, i);
	if (value.size == 0)
		return mismatch(call, i, "any value");
	*ret = value;
	return 0;
}

int procpool_arg_bool(struct procpool_call *call, size_t i, bool *ret)
{
	return procpool_value_bool(procpool_arg(call, i), ret) ? 0 : mismatch(call, i, "a bool");
}

int procpool_arg_int(struct procpool_call *call, size_t i, int64_t *ret)
{
	return procpool_value_int(procpool_arg(call, i), ret)
		       ? 0
		       : mismatch(call, i, "an int from -2^63 to 2^63-1");
}

int procpool_arg_uint(struct procpool_call *call, size_t i, uint64_t *ret)
{
	return procpool_value_uint(procpool_arg(call, i), ret)
		       ? 0
		       : mismatch(call, i, "an int from 0 to 2^64-1");
}

int procpool_arg_double(struct procpool_call *call, size_t i, double *ret)
{
	return procpool_value_double(procpool_arg(call, i), ret)
		       ? 0
		       : mismatch(call, i, "a float, or an int of at most 2^53");
}

int procpool_arg_string(struct procpool_call *call, size_t i, const char **ret, size_t *ret_size)
{
	return procpool_value_string(procpool_arg(call, i), ret, ret_size)
		       ? 0
		       : mismatch(call, i, "a string");
}

int procpool_arg_bytes(struct procpool_call *call, size_t i, const void **ret, size_t *ret_size)
{
	return procpool_value_bytes(procpool_arg(call, i), ret, ret_size)
		       ? 0
		       : mismatch(call, i, "bytes or a string");
}

int procpool_arg_text(struct procpool_call *call, size_t i, const char **ret)
{
	const void *bytes;
	size_t size;
	if (procpool_arg_bytes(call, i, &bytes, &size))
		return -1;
	if (memchr(bytes, '\0', size))
		return procpool_arg_fail(call, "argument %zu of %s must not contain NUL", i + 1,
					 call->function);
	struct call_text *text = malloc(sizeof(*text) + size + 1);
	if (!text)
		return procpool_fail_memory(call);
	memcpy(text->text, bytes, size);
	text->text[size] = '\0';
	text->next = call->texts;
	call->texts = text;
	*ret = text->text;
	return 0;
}
