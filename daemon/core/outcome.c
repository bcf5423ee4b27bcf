/* SPDX-License-Identifier: MIT */
#include "core/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "proto/reply.h"
#include "proto/problem.h"

#define MESSAGE_BYTES_MAX 4096

/* The map header's pairs are counted in the low bits of this one byte (fixmap). */
#define PAIRS_MAX 15

void outcome_fini(struct outcome *outcome)
{
	blob_unref(outcome->value.blob);
	*outcome = (struct outcome){0};
}

struct procpool_writer *error_builder_add(struct error_builder *b, const char *key)
{
	if (b->pairs < PAIRS_MAX)
		b->pairs++;
	procpool_write_string(&b->writer, key);
	return &b->writer;
}

void error_builder_add_string(struct error_builder *b, const char *key, const char *text)
{
	procpool_write_string(error_builder_add(b, key), text);
}

void error_builder_add_int(struct error_builder *b, const char *key, int64_t n)
{
	procpool_write_int(error_builder_add(b, key), n);
}

void error_builder_add_value(struct error_builder *b, const char *key, struct procpool_value value)
{
	procpool_write_value(error_builder_add(b, key), value);
}

static void begin(struct error_builder *b, enum error_code code)
{
	procpool_writer_init(&b->writer);
	b->code = code;
	b->pairs = 0;
	procpool_write_map(&b->writer, 0);
	error_builder_add_string(b, "code", error_name(code));
}

void error_builder_begin_v(struct error_builder *b, enum error_code code, const char *format,
			   va_list args)
{
	char message[MESSAGE_BYTES_MAX];
	vsnprintf(message, sizeof(message), format, args);
	begin(b, code);
	error_builder_add_string(b, "message", message);
}

void error_builder_begin(struct error_builder *b, enum error_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_builder_begin_v(b, code, format, args);
	va_end(args);
}

struct outcome error_builder_end(struct error_builder *b)
{
	/* Without memory, the shortest error that needs none. */
	static const uint8_t bare[] = "\x82\xa4"
				      "code\xad"
				      "out-of-memory\xa7"
				      "message\xb0"
				      "no memory left..";
	struct outcome outcome = {b->code, {NULL, bare, sizeof(bare) - 1}};
	if (!b->writer.error) {
		b->writer.data[0] = (uint8_t)(0x80 | b->pairs);
		struct blob *blob = blob_copy(b->writer.data, b->writer.size);
		if (blob)
			outcome.value = span_of_blob(blob);
	}
	procpool_writer_fini(&b->writer);
	return outcome;
}

struct outcome error_outcome(enum error_code code, const char *format, ...)
{
	struct error_builder b;
	va_list args;
	va_start(args, format);
	error_builder_begin_v(&b, code, format, args);
	va_end(args);
	return error_builder_end(&b);
}

struct outcome outcome_nil(void)
{
	static const uint8_t nil = 0xc0;
	return (struct outcome){ERR_NONE, {NULL, &nil, 1}};
}

struct outcome outcome_of_writer(struct procpool_writer *w)
{
	struct blob *blob = w->error ? NULL : blob_copy(w->data, w->size);
	procpool_writer_fini(w);
	if (!blob)
		return error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
	return (struct outcome){ERR_NONE, span_of_blob(blob)};
}

struct outcome error_no_such_pool(struct slice name)
{
	return error_outcome(ERR_NO_SUCH_POOL,
			     "there is no pool %s; the method pools lists those there are",
			     problem_quote(name).text);
}

struct outcome error_denied_in_pool(const char *pool, unsigned rights)
{
	const char *right = access_right_name(rights);
	return error_outcome(ERR_DENIED,
			     "you may not %s in pool %s: ask the administrator for the right to %s "
			     "there (access { %s } in procpoold.conf, or a group that has it)",
			     right, pool, right, right);
}

struct outcome error_denied_job(uint64_t job, const char *pool)
{
	return error_outcome(ERR_DENIED,
			     "job %llu is another user's: ask the administrator for the right to "
			     "administer pool %s (access { administer } in procpoold.conf)",
			     (unsigned long long)job, pool);
}

struct outcome error_pool_closed(const char *name)
{
	return error_outcome(ERR_POOL_CLOSED, "pool %s is closed and takes no more jobs", name);
}

struct outcome error_over_limit(const char *limit)
{
	struct error_builder b;
	error_builder_begin(&b, ERR_BUSY, "the limit %s is reached", limit);
	error_builder_add_string(&b, "limit", limit);
	return error_builder_end(&b);
}

static void take_string(struct error_builder *b, struct procpool_value error, const char *key)
{
	struct procpool_value value = procpool_value_get(error, key);
	const void *text;
	size_t size;
	if (procpool_value_bytes(value, &text, &size))
		procpool_write_string_n(error_builder_add(b, key), text, size);
}

void error_builder_add_said(struct error_builder *b, struct procpool_value error)
{
	take_string(b, error, "type");
	take_string(b, error, "traceback");
	struct procpool_value data = procpool_value_get(error, "data");
	if (data.size > 0)
		error_builder_add_value(b, "data", data);
}

struct outcome error_from_worker(struct procpool_value error)
{
	const char *name;
	size_t size;
	enum error_code code = ERR_NONE;
	if (procpool_value_string(procpool_value_get(error, "code"), &name, &size))
		code = error_from_name(name, size);
	if (!error_is_workers(code))
		code = ERR_FUNCTION_FAILED;

	struct error_builder b;
	begin(&b, code);
	take_string(&b, error, "message");
	if (b.pairs == 1)
		error_builder_add_string(&b, "message", "the function failed");
	error_builder_add_said(&b, error);
	return error_builder_end(&b);
}

struct outcome error_with_int(struct outcome error, const char *key, int64_t n)
{
	struct error_builder b = {.code = error.code};
	struct error_number number = {key, n};
	error_copy(&b.writer, span_value(error.value), &number, 1);
	b.pairs = (unsigned)procpool_value_count(procpool_writer_value(&b.writer));
	outcome_fini(&error);
	return error_builder_end(&b);
}

struct outcome error_with_value(struct outcome error, const char *key, struct procpool_value value)
{
	if (value.size == 0)
		return error;
	struct error_builder b = {.code = error.code};
	error_copy(&b.writer, span_value(error.value), NULL, 0);
	b.pairs = (unsigned)procpool_value_count(span_value(error.value));
	error_builder_add_value(&b, key, value);
	outcome_fini(&error);
	return error_builder_end(&b);
}

struct outcome error_with_string(struct outcome error, const char *key, const char *text)
{
	struct procpool_writer w;
	if (!text || *text == '\0')
		return error;
	procpool_writer_init(&w);
	procpool_write_string(&w, text);
	error = error_with_value(error, key, procpool_writer_value(&w));
	procpool_writer_fini(&w);
	return error;
}
