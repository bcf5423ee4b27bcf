/* SPDX-License-Identifier: MIT */
/*
 * The frames that arrive on one stream socket: one recv per wake-up, split where messages end.
 *
 *	int r = input_receive(&input, fd, scratch);        INPUT_BYTES: there is something to split
 *	while ((r = input_next(&input, &frame)) == FRAME_DONE)
 *		... frame.data, frame.size ...
 *	                                                   FRAME_MORE: until the next wake-up
 *
 * All inputs of a loop share one scratch buffer, in which frames are handed out in place, so that
 *an idle connection holds no memory. What is left of a frame cut by the end of the bytes moves to a
 *small buffer of the input's own, and from INPUT_KEEP_MAX bytes on to a blob, that grows with what
 *arrives and never by what a header declares; the payload of a long string is then received
 *straight into it.
 *
 * Between input_receive() and FRAME_MORE the input has bytes in the scratch buffer: whoever stops
 * earlier, and means to go on, calls input_pause() before another input receives.
 *
 * A frame over the limit is reported once and then skipped without being stored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"

struct blob;

#define INPUT_SCRATCH_BYTES (256U << 10)
#define INPUT_KEEP_MAX      (64U << 10) /* a partial frame from this size on lives in a blob */
#define INPUT_HEAD_MAX      32          /* bytes of a too large frame that are shown */

/* Scratch memory shared by the inputs of one loop: INPUT_SCRATCH_BYTES, owned by the loop. */
struct input_scratch {
	uint8_t data[INPUT_SCRATCH_BYTES];
};

/* One message, borrowed until the next call with its input. */
struct frame {
	const uint8_t *data;
	size_t size;
	struct blob *blob; /* holds data where the frame is large: ref it to keep it; else NULL */
};

struct input {
	struct frame_scanner scanner;
	size_t size_max;

	/* The window: bytes received and not handed out, in the scratch buffer. [start, scanned)
	 * belong to the frame begun. */
	const uint8_t *start, *scanned, *end;

	uint8_t *kept; /* what moved out of the window: kept_size bytes, of which kept_scanned
			  scanned */
	size_t kept_size, kept_scanned;

	struct blob *blob; /* the begun of a large frame; or a frame handed out, if blob_done */
	bool blob_done;

	bool skipping;     /* inside a frame that was reported as too large */
	uint64_t received; /* bytes received ever */
	uint64_t ended;    /* bytes of all frames that ended: where the frame begun begins */
};

/* What a receive came to. Negative: the errno with which the stream ended. */
enum input_status {
	INPUT_BYTES = 0, /* split them with input_next() */
	INPUT_BLOCKED,   /* nothing there */
	INPUT_EOF, /* the peer has ended its stream; input_in_frame() tells whether inside a frame
		    */
};

/* Frames of at most size_max bytes and depth_max nested containers. */
void input_init(struct input *input, size_t size_max, unsigned depth_max);
void input_fini(struct input *input);

/*
 * Makes bytes available: those put aside by input_pause() if there are any, else by one recv of at
 * most INPUT_SCRATCH_BYTES. Returns enum input_status or a negative errno (-ECONNRESET, -ENOMEM,
 * ...).
 */
int input_receive(struct input *input, int fd, struct input_scratch *scratch);

/*
 * The same with bytes from elsewhere, as though they had been received next (copied to the scratch
 * buffer; at most INPUT_FEED_MAX). Not while paused.
 */
#define INPUT_FEED_MAX (INPUT_SCRATCH_BYTES - INPUT_KEEP_MAX)
int input_feed(struct input *input, const void *data, size_t size, struct input_scratch *scratch);

/*
 * The next frame. Returns
 *   FRAME_DONE       *ret is a frame
 *   FRAME_MORE       no complete frame is there: receive again at the next wake-up
 *   FRAME_TOO_LARGE  a frame began that is larger than size_max: *ret shows its first bytes, at
 * most INPUT_HEAD_MAX of those that came before the limit showed. Go on calling: the rest is
 * skipped FRAME_INVALID, FRAME_TOO_DEEP  the stream cannot be followed any further: call nothing
 * but fini -ENOMEM          likewise
 */
int input_next(struct input *input, struct frame *ret);

/* Puts the rest of the window aside, so that the scratch buffer is free. 0 or -ENOMEM. */
int input_pause(struct input *input);

/* Bytes of a large frame that has begun and not ended; after FRAME_MORE. */
size_t input_held(const struct input *input);

/* After FRAME_MORE and where input_held(): gives the begun of the frame up and skips the rest, as
 * of one that is too large. *ret shows its first bytes. */
void input_skip(struct input *input, struct frame *ret);

/* Whether bytes were put aside by input_pause(): they wait for input_receive(), which no
 * readability of the socket will announce. */
static inline bool input_paused(const struct input *input)
{
	return input->kept_scanned < input->kept_size;
}

/* Whether a frame was begun and has not ended (skipped ones included). After FRAME_MORE;
 * input->ended tells it from an earlier one. */
static inline bool input_in_frame(const struct input *input)
{
	return input->received > input->ended;
}
