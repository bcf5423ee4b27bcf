/* SPDX-License-Identifier: MIT */
/*
 * The byte stream of one connection: a socket that never blocks, what is queued for it, and what
 * it brought, cut into messages. Knows nothing of what messages mean.
 *
 * Bytes to send are appended to `out` by whoever writes requests and leave by link_flush().
 * Received bytes stay where recv() put them until link_receive() is called again, so that
 * messages are read in place. Buffers grow with bytes that are there, never with lengths that a
 * peer declares.
 *
 * After a failure to send, reading goes on: what the daemon answered before it went is still
 * there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool/value.h"
#include "proto/frame.h"

struct sockaddr_un;

struct link {
	int fd;                     /* owned, or -1 */
	bool connected;             /* else fd is a socket that waits for room in a backlog */
	bool send_failed;           /* nothing more can be sent */
	struct procpool_writer out; /* [0, out_sent) is sent, the rest is queued */
	size_t out_sent;
	size_t out_peak; /* the most that was queued since nothing was */
	uint64_t sent;   /* bytes sent since link_open() */
	uint8_t *in; /* [in_start, in_end) is received, [in_start, in_scanned) has no end in it */
	size_t in_start, in_scanned, in_end, in_capacity;
	size_t in_peak; /* the largest in_end since the buffer was last empty */
	struct frame_scanner scanner;
};

/* An empty one. message_max: bytes of the largest message to receive. */
void link_init(struct link *link, size_t message_max);

/* Closes the socket and keeps the buffers. */
void link_close(struct link *link);

/* Closes the socket and frees the buffers; good for another link_open(). */
void link_fini(struct link *link);

/* Forgets what was queued and received, closes the socket and begins anew with a fresh one that is
 * not connected. 0 or a negative errno. */
int link_open(struct link *link, size_t message_max);

/*
 * Connects the fresh socket. wait_ms: how long to wait where the daemon's backlog is full, -1 for
 * as long as it takes, 0 not at all. 0 or a negative errno; -EAGAIN: not within that time. Any
 * failure leaves the socket good for another try.
 */
int link_connect(struct link *link, const struct sockaddr_un *address, int wait_ms);

/* How many bytes are queued. */
size_t link_queued(const struct link *link);

/* The place in the stream of the last byte queued: once `sent` has reached it, it has been sent. */
uint64_t link_queued_end(const struct link *link);

/* Sends what is possible now. A failure shows in send_failed. */
void link_flush(struct link *link);

enum link_receive {
	LINK_DRAINED, /* no more for now */
	LINK_MORE,    /* perhaps more */
	LINK_EOF,     /* the daemon has closed */
	LINK_FAILED,  /* errno says why */
};

/* Receives once. Messages taken before are gone. */
enum link_receive link_receive(struct link *link);

enum link_next {
	LINK_MESSAGE,
	LINK_CUT,       /* the next message is not complete yet */
	LINK_BAD,       /* the bytes are no MessagePack, or too deep */
	LINK_TOO_LARGE, /* the next message is larger than message_max */
};

/* Takes the next message received: one well-formed value, borrowed until link_receive(). */
enum link_next link_next(struct link *link, struct procpool_value *ret);

/*
 * Gives the buffer that a large value of the message taken last lies in away for memory of the
 * caller's, so that the value need not be copied: *memory (heap or NULL) and *capacity become the
 * buffer. False: not done, as it is small, or other bytes came behind it, or for want of memory.
 */
bool link_trade(struct link *link, struct procpool_value value, void **memory, size_t *capacity);
