/* SPDX-License-Identifier: MIT */
/*
 * Makes lines that can be logged (text.h) of the bytes of a stream, as they come. A line longer
 * than LINE_BYTES_MAX is handed out in pieces; what a line end has not followed yet is kept until
 * it does, or until the owner does not want to wait for it any longer. Without memory, text is
 * lost.
 *
 * Has memory only while something is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES_MAX 1024U /* as shown */

struct line_splitter {
	char *line; /* LINE_BYTES_MAX of room, or NULL; owned */
	size_t size;
	uint8_t begun[4]; /* of a character that is not complete, or a carriage return */
	uint8_t begun_size;
};

/* Takes a line, without its end. */
typedef void (*line_fn)(void *data, const char *line, size_t size);

/* Of a zeroed splitter, or one in use. */
void line_splitter_feed(struct line_splitter *splitter, const uint8_t *bytes, size_t size,
			line_fn fn, void *data);

/* Hands out what is kept, if there is something, and frees the memory. */
void line_splitter_end(struct line_splitter *splitter, line_fn fn, void *data);

/* Drops what is kept. */
void line_splitter_fini(struct line_splitter *splitter);

/* Whether something is kept. */
static inline bool line_splitter_has_rest(const struct line_splitter *splitter)
{
	return splitter->size > 0 || splitter->begun_size > 0;
}
