/* SPDX-License-Identifier: MIT */
/*
 * The unsent output of one stream socket.
 *
 * Small bytes are copied one behind the other into one growing buffer; large ones stay in their
 * blob, which is referenced and noted as a slice that belongs between two bytes of the buffer.
 * Sending walks both in order. Whoever builds messages appends and flushes once per turn of the
 * loop.
 *
 * Memory that runs out is remembered, as in struct procpool_writer: appending never fails on the
 * spot, the next flush returns -ENOMEM, and the stream ends there, because a message with a hole in
 * it would say something else.
 *
 * Embedded in its owner. Does not own the socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool/value.h"

struct blob;

#define OUTPUT_COPY_MAX    4096       /* slices up to this many bytes are copied */
#define OUTPUT_BUDGET      (1U << 20) /* the usual budget of one flush */
#define OUTPUT_FDS_MAX     4          /* descriptors attached to one message */
#define OUTPUT_SPARE_BYTES 16384      /* an empty output keeps a buffer of at most this size */

struct output_slice {
	uint64_t at;       /* comes before the buffer's byte with this number */
	struct blob *blob; /* referenced */
	size_t offset;
	size_t size; /* not 0 */
};

struct output_fds {
	uint64_t at; /* sent with the buffer's byte with this number */
	size_t count;
	int fds[OUTPUT_FDS_MAX]; /* owned */
};

struct output {
	struct procpool_writer buffer; /* bytes [sent, size) are unsent */
	size_t sent;
	uint64_t base; /* number of the buffer's first byte; bytes in slices are not numbered */

	struct output_slice *slices; /* [slice_first, slice_count) are unsent, by `at` */
	size_t slice_first, slice_count, slice_capacity;
	size_t slice_bytes;

	struct output_fds *fds; /* [0, fds_count), by `at` */
	size_t fds_count;

	uint64_t total; /* bytes sent ever: compare to see progress */
};

/* What a flush came to. Negative: the errno with which the stream ended (-EPIPE, -ECONNRESET, ...).
 */
enum output_status {
	OUTPUT_EMPTY = 0, /* everything is sent */
	OUTPUT_BLOCKED,   /* the socket takes no more now: wait until it is writable */
	OUTPUT_MORE, /* the budget is used up, the socket may well take more: go on next turn */
};

void output_init(struct output *output);

/* Drops what is unsent: frees memory, unrefs blobs, closes attached descriptors. */
void output_fini(struct output *output);

/* Unsent bytes. */
static inline size_t output_size(const struct output *output)
{
	return output->buffer.size - output->sent + output->slice_bytes;
}

/*
 * Where messages are built in place: whatever is written to it with procpool_write_*() is appended.
 * Borrowed until the next call of another function here; do not reset it. What was begun must be
 * complete before the next flush.
 */
static inline struct procpool_writer *output_writer(struct output *output)
{
	return &output->buffer;
}

/* Appends a copy. */
void output_append(struct output *output, const void *data, size_t size);

/* Appends size bytes of the blob from offset on: a reference to it, or a copy where they are few.
 */
void output_append_blob(struct output *output, struct blob *blob, size_t offset, size_t size);

/*
 * Appends a copy (size not 0) with count (at most OUTPUT_FDS_MAX) descriptors attached to its first
 * byte. Takes the descriptors, whatever happens: they are closed when sent or dropped.
 */
void output_append_with_fds(struct output *output, const void *data, size_t size, const int *fds,
			    size_t count);

/* The same for the message that comes next, built with output_writer(). */
void output_attach_fds(struct output *output, const int *fds, size_t count);

/*
 * Room for size bytes to be filled in by the caller, who then commits as many as it used, or none.
 * NULL without memory.
 */
uint8_t *output_reserve(struct output *output, size_t size);
void output_commit(struct output *output, size_t size);

/*
 * Sends, without blocking and without SIGPIPE, until all is sent, the socket is full, or `budget`
 * bytes are. Returns enum output_status or a negative errno; after that, every flush fails
 * likewise.
 */
int output_flush(struct output *output, int fd, size_t budget);
