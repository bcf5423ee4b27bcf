/* SPDX-License-Identifier: MIT */
/*
 * Where map's items come from: the command line, or a descriptor whose bytes end in items at each
 * newline or NUL. No more of the descriptor is read than asked for; memory is one read or one item,
 * whatever is larger.
 */
#pragma once

#include <stdbool.h>

#include "text.h"

enum items_status {
	ITEMS_READY,     /* an item */
	ITEMS_MORE,      /* none without items_read() */
	ITEMS_END,       /* there are no more */
	ITEMS_TOO_LARGE, /* one that is larger than size_max was skipped */
};

struct items {
	int fd; /* -1: from argv; borrowed */
	char delimiter;
	bool eof;
	bool skipping; /* in an item that is too large */
	size_t size_max;
	struct text buffer;
	size_t begin; /* of the next item in buffer */
	size_t seen;  /* bytes of buffer known to have no delimiter after begin */
	char **argv;  /* borrowed */
	int argc;
};

void items_init_fd(struct items *items, int fd, char delimiter, size_t size_max);
void items_init_argv(struct items *items, char **argv, int argc);
void items_fini(struct items *items);
/* The next item, borrowed until the next items_read(). A last one needs no delimiter. */
enum items_status items_next(struct items *items, const char **ret, size_t *ret_size);
/* Reads once, after ITEMS_MORE. 0 or a negative errno; -EAGAIN and -EINTR come up like others. */
int items_read(struct items *items);
