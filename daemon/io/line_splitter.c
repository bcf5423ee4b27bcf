/* SPDX-License-Identifier: MIT */
#include "io/line_splitter.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"

struct receiver {
	line_fn fn;
	void *data;
};

static void hand_out(struct line_splitter *splitter, struct receiver to)
{
	to.fn(to.data, splitter->line ? splitter->line : "", splitter->size);
	splitter->size = 0;
}

static void append(struct line_splitter *splitter, const void *bytes, size_t size,
		   struct receiver to)
{
	if (!splitter->line)
		splitter->line = malloc(LINE_BYTES_MAX);
	if (!splitter->line)
		return;
	if (splitter->size + size > LINE_BYTES_MAX)
		hand_out(splitter, to);
	memcpy(splitter->line + splitter->size, bytes, size);
	splitter->size += size;
}

/* Of the bytes begun, the first is no character. */
static void append_escaped(struct line_splitter *splitter, struct receiver to)
{
	char escape[TEXT_ESCAPE_SIZE];
	text_escape(escape, splitter->begun[0]);
	append(splitter, escape, sizeof(escape), to);
	splitter->begun_size--;
	memmove(splitter->begun, splitter->begun + 1, splitter->begun_size);
}

/* Takes all characters and bytes that are none out of those begun. */
static void settle(struct line_splitter *splitter, bool complete, struct receiver to)
{
	while (splitter->begun_size > 0) {
		int n = text_character(splitter->begun, splitter->begun_size);
		if (n > 0) {
			append(splitter, splitter->begun, (size_t)n, to);
			splitter->begun_size = 0;
			return;
		}
		if (!complete &&
		    (n == TEXT_CUT || (splitter->begun_size == 1 && splitter->begun[0] == '\r')))
			return;
		append_escaped(splitter, to);
	}
}

static void end_line(struct line_splitter *splitter, struct receiver to)
{
	if (splitter->begun_size == 1 && splitter->begun[0] == '\r')
		splitter->begun_size = 0;
	settle(splitter, true, to);
	hand_out(splitter, to);
}

void line_splitter_feed(struct line_splitter *splitter, const uint8_t *bytes, size_t size,
			line_fn fn, void *data)
{
	struct receiver to = {fn, data};
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n') {
			end_line(splitter, to);
			continue;
		}
		splitter->begun[splitter->begun_size++] = bytes[i];
		settle(splitter, false, to);
	}
	if (!line_splitter_has_rest(splitter))
		line_splitter_fini(splitter);
}

void line_splitter_end(struct line_splitter *splitter, line_fn fn, void *data)
{
	struct receiver to = {fn, data};
	if (line_splitter_has_rest(splitter))
		end_line(splitter, to);
	line_splitter_fini(splitter);
}

void line_splitter_fini(struct line_splitter *splitter)
{
	free(splitter->line);
	*splitter = (struct line_splitter){0};
}
