/* SPDX-License-Identifier: MIT */
/*
 * What a worker sends: packed in the page's outbox, where it survives the worker's death, and
 * written to the channel in few large writes (WORKER.md, "Outbox").
 *
 * Values of consecutive elements of one task message share one result message, the open run. Each
 * becomes part of it by one store; its count and time are filled in when it is closed.
 *
 * Without a shared page the outbox works the same on a private one.
 *
 * Not thread-safe; see flusher.h. Every function that may write returns 0 or a negative errno,
 * -EPIPE where the daemon is gone; nothing can be sent after that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "procpool/value.h"
#include "proto/page.h"

/* Writes all of it: channel_send(), perhaps with something around it. 0 or negative errno. */
typedef int (*outbox_send_fn)(int fd, struct iovec *iov, size_t count);

struct outbox {
	struct page *page;
	int fd;
	outbox_send_fn send;
	uint64_t written; /* stream offset: all bytes ever written to fd */
	uint32_t used;    /* bytes packed */
	uint32_t values;  /* in the open run; 0: there is none */
	uint32_t run;     /* where the open run's message begins */
};

void outbox_init(struct outbox *outbox, struct page *page, int fd);

/* So many bytes were written to fd before: the stream offset of what comes now. Nothing is packed
 * yet. */
void outbox_start_at(struct outbox *outbox, uint64_t written);

/* Whether there is nothing to write. */
static inline bool outbox_is_empty(const struct outbox *outbox)
{
	return outbox->used == 0;
}

/* Begins a run with its first value. False: it does not fit. No run may be open. */
bool outbox_open_run(struct outbox *outbox, uint32_t seq, uint32_t first,
		     struct procpool_value value);

/* Extends the open run by the value of the next element. False: it does not fit. */
static inline bool outbox_extend_run(struct outbox *outbox, struct procpool_value value)
{
	if (value.size > PAGE_OUTBOX_BYTES - outbox->used)
		return false;
	memcpy(outbox->page->outbox + outbox->used, value.data, value.size);
	outbox->used += (uint32_t)value.size;
	outbox->values++;
	page_commit(outbox->page, outbox->used, outbox->values);
	return true;
}

/* Ends the open run, if there is one: all its elements together took so long. */
void outbox_close_run(struct outbox *outbox, uint32_t microseconds);

/* Adds a whole message, perhaps given in two parts. No run may be open. */
int outbox_add(struct outbox *outbox, struct procpool_value head, struct procpool_value body);

/* Writes everything. No run may be open. */
int outbox_flush(struct outbox *outbox);
