/* SPDX-License-Identifier: MIT */
/* <procpool/module.h>, "Results". */
#include <errno.h>
#include <stdint.h>

#include "procpool/module.h"
#include "runtime/call.h"

/* Whatever was returned before is forgotten. */
static struct procpool_writer *restart(struct procpool_call *call, enum call_source source)
{
	call->source = source;
	procpool_writer_reset(&call->writer);
	return &call->writer;
}

struct procpool_writer *procpool_result(struct procpool_call *call)
{
	return restart(call, CALL_WRITER);
}

static int done(struct procpool_call *call)
{
	return call->writer.error ? -1 : 0;
}

int procpool_return_nil(struct procpool_call *call)
{
	call->source = CALL_NIL;
	return 0;
}

int procpool_return_bool(struct procpool_call *call, bool b)
{
	procpool_write_bool(restart(call, CALL_SCALAR), b);
	return done(call);
}

int procpool_return_int(struct procpool_call *call, int64_t i)
{
	procpool_write_int(restart(call, CALL_SCALAR), i);
	return done(call);
}

int procpool_return_uint(struct procpool_call *call, uint64_t i)
{
	procpool_write_uint(restart(call, CALL_SCALAR), i);
	return done(call);
}

int procpool_return_double(struct procpool_call *call, double d)
{
	procpool_write_double(restart(call, CALL_SCALAR), d);
	return done(call);
}

int procpool_return_string(struct procpool_call *call, const char *text)
{
	procpool_write_string(restart(call, CALL_SCALAR), text);
	return done(call);
}

int procpool_return_string_n(struct procpool_call *call, const char *text, size_t size)
{
	procpool_write_string_n(restart(call, CALL_SCALAR), text, size);
	return done(call);
}

int procpool_return_bytes(struct procpool_call *call, const void *data, size_t size)
{
	procpool_write_bytes(restart(call, CALL_SCALAR), data, size);
	return done(call);
}

struct procpool_writer *call_return_scalar(struct procpool_call *call)
{
	return restart(call, CALL_SCALAR);
}

/* A payload from so many bytes on does not fit into the outbox. */
#define SPLIT_MIN PAGE_OUTBOX_BYTES

/* The head of a value with that many bytes of payload. */
static void return_split(struct procpool_call *call, uint8_t first, struct procpool_value payload)
{
	size_t size = payload.size;
	uint8_t head[] = {first, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
			  (uint8_t)size};
	struct procpool_writer *w = restart(call, CALL_SPLIT);
	procpool_write_value(w, (struct procpool_value){head, sizeof(head)});
	if (size > UINT32_MAX && !w->error)
		w->error = EINVAL;
	call->borrowed = payload;
}

void call_return_bytes(struct procpool_call *call, struct procpool_value payload)
{
	if (payload.size >= SPLIT_MIN)
		return_split(call, 0xc6, payload);
	else
		procpool_write_bytes(restart(call, CALL_SCALAR), payload.data, payload.size);
}

void call_return_string(struct procpool_call *call, struct procpool_value payload)
{
	if (payload.size >= SPLIT_MIN)
		return_split(call, 0xdb, payload);
	else
		procpool_write_string_n(restart(call, CALL_SCALAR), (const char *)payload.data,
					payload.size);
}

void call_return_ext(struct procpool_call *call, int8_t type, struct procpool_value payload)
{
	if (payload.size >= SPLIT_MIN) {
		uint8_t byte = (uint8_t)type;
		return_split(call, 0xc9, payload);
		procpool_write_value(&call->writer, (struct procpool_value){&byte, 1});
	} else {
		procpool_write_ext(restart(call, CALL_SCALAR), type, payload.data, payload.size);
	}
}

int procpool_return_value(struct procpool_call *call, struct procpool_value value)
{
	uintptr_t args = (uintptr_t)call->args, at = (uintptr_t)value.data;
	if (at >= args && at < (uintptr_t)call->args_end &&
	    value.size <= (uintptr_t)call->args_end - at) {
		call->source = CALL_BORROWED;
		call->borrowed = value;
		return 0;
	}
	procpool_write_value(restart(call, CALL_WRITER), value);
	return done(call);
}
