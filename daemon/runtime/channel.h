/* SPDX-License-Identifier: MIT */
/*
 * The runtime's end of a socket to the daemon: whole messages in, bytes out, both blocking.
 *
 * A message is a view into the channel's buffer and lives until the next one is asked for. The
 * buffer starts at CHANNEL_BUFFER_BYTES, grows for a larger message, so that its bytes are read
 * where they stay, and shrinks after it.
 *
 * A large payload may instead land in memory of its reader's, so that it is never copied: its place
 * in the message is a hole then, of its size and never touched. So the message can be walked as any
 * other, and whoever reads a string, bin or ext of that size asks channel_landed() first.
 *
 * Descriptors arrive with the first byte of their message, and the kernel never returns those of
 * two messages in one read. So the first that arrived belong to the first message that is meant to
 * have some.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "procpool/value.h"
#include "proto/frame.h"

#define CHANNEL_BUFFER_BYTES 65536U
#define CHANNEL_FDS_MAX      4U
#define CHANNEL_LAND_MIN     (256U << 10) /* payloads from so many missing bytes on may land */
#define CHANNEL_LANDINGS_MAX 16           /* in one message; further ones do not land */

enum channel_status {
	CHANNEL_MESSAGE = 0,
	CHANNEL_EMPTY = 1, /* no complete message is in the buffer */
	CHANNEL_EOF = 2,
};

/*
 * Memory of `size` bytes where a payload is received (of an ext, the type is its first byte), or
 * NULL: in the channel's buffer as ever. It stays the giver's, who must keep it until the message
 * was handed out, or the channel has ended.
 */
typedef uint8_t *(*channel_land_fn)(void *data, size_t size);

struct channel_landing {
	size_t at; /* of the payload in the message */
	uint8_t *memory;
};

struct channel {
	int fd; /* not owned */

	uint8_t *data;
	size_t capacity;
	size_t begin;   /* where the next message starts */
	size_t scanned; /* how far the scanner has come, begin <= scanned <= end */
	size_t end;     /* bytes read */
	struct frame_scanner scanner;

	bool receives_fds;
	int fds[CHANNEL_FDS_MAX]; /* arrived and not yet taken, -1 where none; owned */

	channel_land_fn land; /* NULL: nothing lands */
	void *land_data;
	struct channel_landing landings[CHANNEL_LANDINGS_MAX]; /* of the message begun */
	size_t landing_count;
	size_t refused; /* where in it the last payload is that got no memory; 0: none */
};

/* Allocates the buffer. Descriptors that arrive are lost unless it receives them. */
int channel_init(struct channel *channel, int fd, bool receives_fds);
void channel_fini(struct channel *channel);

/* The next message in the buffer: CHANNEL_MESSAGE or CHANNEL_EMPTY; -EPROTO where it is none. */
int channel_next(struct channel *channel, struct procpool_value *ret);

/* One blocking read, which a signal or the socket's timeout may end. CHANNEL_EMPTY: perhaps there
 * is a message now; CHANNEL_EOF; negative errno. */
int channel_fill(struct channel *channel);

/* Waits for the next message: CHANNEL_MESSAGE, CHANNEL_EOF or negative errno. */
int channel_wait(struct channel *channel, struct procpool_value *ret);

/*
 * Where the payload at that address of the message that was last handed out has landed, or NULL: it
 * is in the message. Before the next message is asked for.
 */
const uint8_t *channel_landed(const struct channel *channel, struct procpool_value message,
			      const uint8_t *payload);

/* Takes the descriptors that came with a message; -1 where none did. The caller owns them. */
void channel_take_fds(struct channel *channel, int ret[CHANNEL_FDS_MAX]);

/* Writes all of it. 0, or negative errno: -EPIPE where the daemon is gone. Changes iov. */
int channel_send(int fd, struct iovec *iov, size_t count);
