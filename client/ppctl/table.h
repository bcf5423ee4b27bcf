/* SPDX-License-Identifier: MIT */
/* Arrays of maps, as the observing methods return them, as tables for people. */
#pragma once

#include <stddef.h>

#include "procpool/value.h"

struct text;

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER, /* aligned to the right */
	COLUMN_AGE,    /* a Unix time, shown as what has passed since */
	COLUMN_LONG,   /* text that is cut where the terminal ends */
	COLUMN_ERROR,  /* an error, shown as its message */
};

struct column {
	const char *key;
	const char *title;
	enum column_kind kind;
};

/* A line for each map of the array; keys that are absent or nil are "-". An empty array prints
 * nothing. */
void table_write(struct text *out, struct procpool_value rows, const struct column *columns,
		 size_t count);

/* One map, a line for each of its keys. */
void table_write_map(struct text *out, struct procpool_value map);
