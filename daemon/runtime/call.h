/* SPDX-License-Identifier: MIT */
/*
 * One call of a function: its arguments, and what becomes of it. One struct procpool_call serves
 * all calls of a worker, one after the other, and keeps its buffers; the functions of
 * <procpool/module.h> work on it.
 *
 * What the function hands over is trusted only after call_value() has checked it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool/module.h"
#include "proto/error.h"
#include "proto/page.h"
#include "runtime/progress.h"
#include "runtime/settings.h"

#define CALL_TYPE_MAX    63U
#define CALL_MESSAGE_MAX 16384U

enum call_source {
	CALL_NIL,      /* nothing was returned */
	CALL_SCALAR,   /* in the writer, well-formed and flat */
	CALL_WRITER,   /* in the writer */
	CALL_BORROWED, /* elsewhere, and stays there until it is told */
	CALL_SPLIT,    /* its head in the writer, and its payload likewise elsewhere */
};

/* Text that procpool_arg_text() handed out. */
struct call_text {
	struct call_text *next;
	char text[];
};

struct procpool_call {
	const struct settings *settings;
	const char *function;
	uint64_t job;     /* 0: an initializer */
	unsigned attempt; /* from 1 */
	uint64_t element; /* its word in the page (page_element); 0: an initializer */
	struct page *page;
	struct progress progress;

	const uint8_t *args; /* arg_count values, one after the other */
	const uint8_t *args_end;
	size_t arg_count;
	const uint8_t *cursor; /* argument cursor_index begins here: where the last look-up ended */
	size_t cursor_index;
	struct call_text *texts; /* owned */

	enum call_source source;
	struct procpool_value borrowed;
	struct procpool_writer writer;

	enum error_code error; /* ERR_NONE: no failure so far */
	char type[CALL_TYPE_MAX + 1];
	char *message; /* owned; NULL where there was no memory for it */
	struct procpool_writer data;
	struct procpool_value failure; /* the whole error map, where the runtime wrote it itself:
					  borrowed until call_end(); size 0: it is made of these */
};

void call_init(struct procpool_call *call, const struct settings *settings);
void call_fini(struct procpool_call *call);

/* The next call: of this function, with `count` values that lie one after the other. */
static inline void call_begin(struct procpool_call *call, const char *function, const uint8_t *args,
			      const uint8_t *args_end, size_t count)
{
	call->function = function;
	call->args = call->cursor = args;
	call->args_end = args_end;
	call->arg_count = count;
	call->cursor_index = 0;
	call->source = CALL_NIL;
}

/*
 * After the function has returned `status`: 0 and its value, borrowed until the next call (of one
 * that is split, its head; call->borrowed has to follow); or -1, and call->error is set, because it
 * failed or what it returned cannot be sent.
 */
int call_value(struct procpool_call *call, int status, struct procpool_value *ret);

/* The call returns what is written there: one value, well-formed and flat. */
struct procpool_writer *call_return_scalar(struct procpool_call *call);

/*
 * The call returns bytes, a string or an ext of a payload that stays where it is until it has been
 * told: large ones are not copied. CALL_SPLIT comes of those.
 */
void call_return_bytes(struct procpool_call *call, struct procpool_value payload);
void call_return_string(struct procpool_call *call, struct procpool_value payload);
void call_return_ext(struct procpool_call *call, int8_t type, struct procpool_value payload);

/* Whether a value of at most size_max bytes can be sent: it is well-formed, and nests no deeper
 * than values may. */
bool call_can_tell(const struct procpool_call *call, struct procpool_value value, size_t size_max);

/* Records a failure with a code of its own. Returns -1. */
int call_fail(struct procpool_call *call, enum error_code code, const char *type,
	      const char *format, ...) PROCPOOL_PRINTF(4, 5);

/* Writes the failure's error map (WORKER.md, "error"). */
void call_write_error(struct procpool_call *call, struct procpool_writer *w);

/* Forgets a failure, and gives back what a large call made grow. Once after each call that failed,
 * and wherever call_is_large(). */
void call_end(struct procpool_call *call);

/* Whether the function told of its progress faster than that is passed on: progress_end() is due.
 */
static inline bool call_has_kept_progress(const struct procpool_call *call)
{
	return call->progress.kept.size > 0;
}

#define CALL_KEPT_BYTES 65536U
static inline bool call_is_large(const struct procpool_call *call)
{
	return call->texts || call->data.size > 0 || call->writer.capacity > CALL_KEPT_BYTES;
}
