/* SPDX-License-Identifier: MIT */
/*
 * How a job or a task ended, as it goes on the wire: an encoded value, or an encoded error map.
 * Errors are encoded once, here, when they happen, so that nothing later can fail for them.
 */
#pragma once

#include <stdarg.h>
#include <stdint.h>

#include "core/span.h"
#include "proto/error.h"
#include "proto/slice.h"

struct outcome {
	enum error_code code; /* ERR_NONE: value is the result; else an error map */
	struct span value;
};

/* Gives up the reference that a held outcome has. */
void outcome_fini(struct outcome *outcome);

/*
 * An error under construction: a map whose number of pairs is filled in at the end.
 *
 *	struct error_builder b;
 *	error_builder_begin(&b, ERR_BUSY, "the user has %u jobs", n);
 *	error_builder_add_string(&b, "limit", name);
 *	outcome = error_builder_end(&b);        holds a blob
 */
struct error_builder {
	struct procpool_writer writer;
	enum error_code code;
	unsigned pairs;
};

void error_builder_begin(struct error_builder *b, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void error_builder_begin_v(struct error_builder *b, enum error_code code, const char *format,
			   va_list args);
void error_builder_add_string(struct error_builder *b, const char *key, const char *text);
void error_builder_add_int(struct error_builder *b, const char *key, int64_t n);
/* What an error of a worker, hostile, says besides code and message: type, traceback and data where
 * they have the right types. */
void error_builder_add_said(struct error_builder *b, struct procpool_value error);
void error_builder_add_value(struct error_builder *b, const char *key, struct procpool_value value);
/* Starts a pair; the caller writes exactly one value to the returned writer. */
struct procpool_writer *error_builder_add(struct error_builder *b, const char *key);
struct outcome error_builder_end(struct error_builder *b);

/* The value nil. */
struct outcome outcome_nil(void);

/* What was written as a value; finishes the writer. An error where there was no memory for it. */
struct outcome outcome_of_writer(struct procpool_writer *w);

/* An error without further keys. */
struct outcome error_outcome(enum error_code code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* no-such-pool */
struct outcome error_no_such_pool(struct slice name);

/* denied: what whoever has none of these rights (core/access.h) in a pool that it may know of is to
 * ask for; and who may know of a job, but not more. */
struct outcome error_denied_in_pool(const char *pool, unsigned rights);
struct outcome error_denied_job(uint64_t job, const char *pool);

/* pool-closed */
struct outcome error_pool_closed(const char *name);

/* busy: there is no room for another under the limit of this name. */
struct outcome error_over_limit(const char *limit);

/*
 * An error that came from a worker, hostile: takes over code, message, type, traceback and data
 * where they have the right types, and drops everything else. A code that a worker may not use
 * becomes function-failed.
 */
struct outcome error_from_worker(struct procpool_value error);

/* The same error with one more pair of an integer ("index", "job"); takes the outcome over. */
struct outcome error_with_int(struct outcome error, const char *key, int64_t n);

/* The same error with one more pair, unless the value is of size 0. */
struct outcome error_with_value(struct outcome error, const char *key, struct procpool_value value);
/* The same error with one more pair of a string, unless that is NULL or empty. */
struct outcome error_with_string(struct outcome error, const char *key, const char *text);
