/* SPDX-License-Identifier: MIT */
#include "runtime/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

/* What a message needs beside the value that it carries. */
#define ENVELOPE_BYTES 64U

static const uint8_t encoded_nil[] = {0xc0};

void call_init(struct procpool_call *call, const struct settings *settings)
{
	memset(call, 0, sizeof(*call));
	call->settings = settings;
	call->attempt = 1;
}

static void free_texts(struct procpool_call *call)
{
	while (call->texts) {
		struct call_text *text = call->texts;
		call->texts = text->next;
		free(text);
	}
}

void call_end(struct procpool_call *call)
{
	free_texts(call);
	if (call->writer.capacity > CALL_KEPT_BYTES)
		procpool_writer_fini(&call->writer);
	procpool_writer_fini(&call->data);
	free(call->message);
	call->message = NULL;
	call->failure = (struct procpool_value){0};
	call->error = ERR_NONE;
}

void call_fini(struct procpool_call *call)
{
	call_end(call);
	procpool_writer_fini(&call->writer);
	progress_fini(&call->progress);
}

/* How a value is no value to be sent, or ERR_NONE. */
static enum error_code check(const struct procpool_call *call, struct procpool_value value,
			     size_t envelope)
{
	size_t size_max = call->settings->message_bytes;
	if (size_max < envelope || value.size > size_max - envelope)
		return ERR_TOO_LARGE;
	struct frame_header header;
	if (value.size > 0 && frame_header_decode(value.data, value.size, &header) == 0 &&
	    header.kind != PROCPOOL_ARRAY && header.kind != PROCPOOL_MAP)
		return header.size + header.payload == value.size ? ERR_NONE : ERR_FUNCTION_FAILED;

	struct frame_scanner scanner;
	size_t used;
	frame_scanner_init(&scanner, value.size, call->settings->value_depth);
	switch (frame_scan(&scanner, value.data, value.size, &used)) {
	case FRAME_DONE:
		return used == value.size ? ERR_NONE : ERR_FUNCTION_FAILED;
	case FRAME_TOO_DEEP:
		return ERR_TOO_LARGE;
	default:
		return ERR_FUNCTION_FAILED;
	}
}

bool call_can_tell(const struct procpool_call *call, struct procpool_value value, size_t size_max)
{
	return value.size > 0 && value.size <= size_max &&
	       check(call, value, ENVELOPE_BYTES) == ERR_NONE;
}

static int refuse_size(struct procpool_call *call, size_t size)
{
	return call_fail(call, ERR_TOO_LARGE, NULL,
			 "the value of %s has %zu bytes, the limit is %zu", call->function, size,
			 call->settings->message_bytes - ENVELOPE_BYTES);
}

static int checked_size(struct procpool_call *call, size_t size)
{
	return size > call->settings->message_bytes - ENVELOPE_BYTES ? refuse_size(call, size) : 0;
}

/* The error of a value that check() refused. */
static int refuse(struct procpool_call *call, enum error_code code, struct procpool_value value)
{
	if (code != ERR_TOO_LARGE)
		return call_fail(call, code, "ValueError",
				 "%s did not return one well-formed value: the counts of its "
				 "arrays and maps do "
				 "not match what was written",
				 call->function);
	if (value.size > call->settings->message_bytes - ENVELOPE_BYTES)
		return refuse_size(call, value.size);
	return call_fail(call, code, NULL, "the value of %s nests deeper than %u levels",
			 call->function, call->settings->value_depth);
}

static int checked(struct procpool_call *call, struct procpool_value value)
{
	enum error_code code = check(call, value, ENVELOPE_BYTES);
	return code != ERR_NONE ? refuse(call, code, value) : 0;
}

/* The value of a function that has returned one, whatever its source. */
static int take_value(struct procpool_call *call, struct procpool_value *ret)
{
	struct procpool_value value =
		call->source == CALL_BORROWED
			? call->borrowed
			: (struct procpool_value){call->writer.data, call->writer.size};
	int r = 0;
	if (call->source == CALL_NIL)
		value = (struct procpool_value){encoded_nil, sizeof(encoded_nil)};
	else if (call->source == CALL_SPLIT)
		r = checked_size(call, value.size + call->borrowed.size);
	else
		r = checked(call, value);
	if (r == 0)
		*ret = value;
	return r;
}

int call_value(struct procpool_call *call, int status, struct procpool_value *ret)
{
	const struct procpool_writer *w = &call->writer;
	if (call->error != ERR_NONE)
		return -1;
	if (call->source == CALL_SCALAR && status == 0 && !w->error && w->size <= CALL_KEPT_BYTES) {
		*ret = (struct procpool_value){w->data, w->size};
		return 0; /* as most do */
	}
	bool written = call->source != CALL_NIL && call->source != CALL_BORROWED;
	if (written && w->error == ENOMEM)
		return procpool_fail_memory(call);
	if (written && w->error)
		return call_fail(call, ERR_TOO_LARGE, NULL,
				 "%s returned more than 2^32-1 bytes or elements", call->function);
	if (status != 0)
		return call_fail(call, ERR_FUNCTION_FAILED, NULL,
				 "%s failed (%d) without saying why", call->function, status);
	return take_value(call, ret);
}

static int fail(struct procpool_call *call, enum error_code code, const char *type,
		const char *format, va_list args)
{
	call->error = code;
	snprintf(call->type, sizeof(call->type), "%s", type ? type : "");
	free(call->message);
	if (vasprintf(&call->message, format, args) < 0)
		call->message = NULL;
	return -1;
}

int call_fail(struct procpool_call *call, enum error_code code, const char *type,
	      const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fail(call, code, type, format, args);
	va_end(args);
	return -1;
}

int procpool_vfail(struct procpool_call *call, const char *type, const char *format, va_list args)
{
	return fail(call, ERR_FUNCTION_FAILED, type, format, args);
}

int procpool_fail(struct procpool_call *call, const char *type, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	procpool_vfail(call, type, format, args);
	va_end(args);
	return -1;
}

int procpool_fail_memory(struct procpool_call *call)
{
	return call_fail(call, ERR_OUT_OF_MEMORY, NULL,
			 "%s: the worker has no memory for this call", call->function);
}

struct procpool_writer *procpool_fail_data(struct procpool_call *call)
{
	procpool_writer_reset(&call->data);
	return &call->data;
}

static void write_pair(struct procpool_writer *w, const char *key, const char *text,
		       size_t size_max)
{
	procpool_write_string(w, key);
	procpool_write_string_n(w, text, strnlen(text, size_max));
}

void call_write_error(struct procpool_call *call, struct procpool_writer *w)
{
	if (call->failure.size > 0) {
		procpool_write_value(w, call->failure);
		return;
	}
	struct procpool_value data = procpool_writer_value(&call->data);
	if (check(call, data, ENVELOPE_BYTES + CALL_MESSAGE_MAX + CALL_TYPE_MAX) != ERR_NONE)
		data = (struct procpool_value){0};
	bool has_type = call->type[0] != '\0';
	procpool_write_map(w, 2U + has_type + (data.size > 0));
	write_pair(w, "code", error_name(call->error), CALL_MESSAGE_MAX);
	write_pair(w, "message", call->message ? call->message : "(no memory for the message)",
		   CALL_MESSAGE_MAX);
	if (has_type)
		write_pair(w, "type", call->type, CALL_TYPE_MAX);
	if (data.size > 0) {
		procpool_write_string(w, "data");
		procpool_write_value(w, data);
	}
}

const char *procpool_call_function(const struct procpool_call *call)
{
	return call->function;
}

const char *procpool_call_pool(const struct procpool_call *call)
{
	return call->settings->pool;
}

uint64_t procpool_call_job(const struct procpool_call *call)
{
	return call->job;
}

unsigned procpool_call_attempt(const struct procpool_call *call)
{
	return call->attempt;
}

unsigned procpool_call_worker(const struct procpool_call *call)
{
	return call->settings->worker;
}

unsigned procpool_call_workers(const struct procpool_call *call)
{
	return call->settings->workers;
}
