/* SPDX-License-Identifier: MIT */
#include "io/input.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/blob.h"

/* From this many bytes of payload on, they are received straight into the blob: below it, two calls
 * of recv cost more than the copy. */
#define DIRECT_MIN 16384

void input_init(struct input *input, size_t size_max, unsigned depth_max)
{
	*input = (struct input){.size_max = size_max};
	frame_scanner_init(&input->scanner, size_max, depth_max);
}

void input_fini(struct input *input)
{
	free(input->kept);
	blob_unref(input->blob);
	*input = (struct input){0};
}

static ssize_t receive(int fd, uint8_t *data, size_t size)
{
	ssize_t n;
	do
		n = recv(fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The outcome of a recv that brought no bytes. */
static int no_bytes(ssize_t n)
{
	return n == 0 ? INPUT_EOF : n == -EAGAIN ? INPUT_BLOCKED : (int)n;
}

static void forget_frame_handed_out(struct input *input)
{
	if (input->blob_done) {
		blob_unref(input->blob);
		input->blob = NULL;
		input->blob_done = false;
	}
}

/* Room for `size` more bytes in the blob, which at least doubles: so that each byte is moved less
 * than twice on average, and never more is asked for than twice what has arrived. */
static int grow_blob(struct input *input, size_t size)
{
	struct blob *blob = input->blob;
	if (blob->capacity - blob->size >= size)
		return 0;
	size_t capacity = 2 * blob->capacity;
	if (capacity - blob->size < size)
		capacity = blob->size + size;
	blob = blob_grow(blob, capacity);
	if (!blob)
		return -ENOMEM;
	input->blob = blob;
	return 0;
}

static int append_to_blob(struct input *input, const uint8_t *data, size_t size)
{
	int r = grow_blob(input, size);
	if (r == 0 && size > 0) {
		memcpy(input->blob->data + input->blob->size, data, size);
		input->blob->size += size;
	}
	return r;
}

static bool in_long_payload(const struct input *input)
{
	return input->blob && input->scanner.payload >= DIRECT_MIN;
}

/* The rest of a long string, behind what the blob has of it and not a byte further. */
static int receive_payload(struct input *input, int fd)
{
	struct blob *blob = input->blob;
	if (blob->size == blob->capacity) {
		int r = grow_blob(input, 1);
		if (r < 0)
			return r;
		blob = input->blob;
	}
	size_t size = blob->capacity - blob->size;
	if (size > input->scanner.payload)
		size = (size_t)input->scanner.payload;
	if (size > INPUT_SCRATCH_BYTES)
		size = INPUT_SCRATCH_BYTES;
	ssize_t n = receive(fd, blob->data + blob->size, size);
	if (n <= 0)
		return no_bytes(n);
	/* The window is in the blob; scanning moves blob->size to its end. */
	input->start = input->scanned = blob->data + blob->size;
	input->end = input->scanned + n;
	input->received += (uint64_t)n;
	return INPUT_BYTES;
}

/* Puts back what was kept: it becomes the window, with room behind it. Returns its size. */
static size_t restore_kept(struct input *input, struct input_scratch *scratch)
{
	size_t size = input->kept_size;
	if (size > 0)
		memcpy(scratch->data, input->kept, size);
	input->start = scratch->data;
	input->scanned = scratch->data + input->kept_scanned;
	input->end = scratch->data + size;
	free(input->kept);
	input->kept = NULL;
	input->kept_size = input->kept_scanned = 0;
	return size;
}

int input_receive(struct input *input, int fd, struct input_scratch *scratch)
{
	assert(input->scanned == input->end);
	forget_frame_handed_out(input);
	if (input_paused(input)) {
		restore_kept(input, scratch);
		return INPUT_BYTES;
	}
	if (in_long_payload(input))
		return receive_payload(input, fd);

	/* Received behind the place of what is kept, so that nothing moves unless something came.
	 */
	size_t kept = input->kept_size;
	ssize_t n = receive(fd, scratch->data + kept, INPUT_SCRATCH_BYTES - kept);
	if (n <= 0)
		return no_bytes(n);
	restore_kept(input, scratch);
	input->end += n;
	input->received += (uint64_t)n;
	return INPUT_BYTES;
}

int input_feed(struct input *input, const void *data, size_t size, struct input_scratch *scratch)
{
	assert(input->scanned == input->end && !input_paused(input) && size <= INPUT_FEED_MAX);
	forget_frame_handed_out(input);
	restore_kept(input, scratch);
	if (size > 0)
		memcpy(scratch->data + (input->end - scratch->data), data, size);
	input->end += size;
	input->received += size;
	return INPUT_BYTES;
}

/* Moves [data, data + size) to the input's own buffer. */
static int keep(struct input *input, const uint8_t *data, size_t size, size_t scanned)
{
	if (size > 0) {
		input->kept = malloc(size);
		if (!input->kept)
			return -ENOMEM;
		memcpy(input->kept, data, size);
	}
	input->kept_size = size;
	input->kept_scanned = scanned;
	input->start = input->scanned = input->end = NULL;
	return 0;
}

/* Bytes that the scanner took belong to the blob; those of receive_payload() are in place already.
 */
static int take_into_blob(struct input *input, const uint8_t *data, size_t size)
{
	struct blob *blob = input->blob;
	if (data >= blob->data && data < blob->data + blob->capacity) {
		blob->size += size;
		return 0;
	}
	return append_to_blob(input, data, size);
}

/* All is scanned: moves the begun of a frame out of the window. */
static int park(struct input *input)
{
	size_t size = (size_t)(input->end - input->start);
	if (size < INPUT_KEEP_MAX) {
		if (size > 0)
			return keep(input, input->start, size, size);
	} else {
		input->blob = blob_create(2 * size);
		if (!input->blob)
			return -ENOMEM;
		memcpy(input->blob->data, input->start, size);
		input->blob->size = size;
	}
	input->start = input->scanned = input->end = NULL;
	return 0;
}

/* A frame has ended where the window is scanned to. False: it was skipped. */
static bool end_frame(struct input *input, struct frame *ret)
{
	bool skipped = input->skipping;
	if (skipped) {
		input->skipping = false;
		input->scanner.size_max = input->size_max;
	} else if (input->blob) {
		input->blob_done = true;
		*ret = (struct frame){input->blob->data, input->blob->size, input->blob};
	} else {
		*ret = (struct frame){input->start, (size_t)(input->scanned - input->start), NULL};
	}
	input->start = input->scanned;
	input->ended = input->received - (uint64_t)(input->end - input->scanned);
	return !skipped;
}

/* Shows the begun of a frame that is too large, and has the scanner skip the rest. */
static int begin_skipping(struct input *input, struct frame *ret)
{
	struct frame_scanner *scanner = &input->scanner;
	*ret = (struct frame){input->start, (size_t)(input->scanned - input->start), NULL};
	if (input->blob) {
		input->blob_done = true;
		*ret = (struct frame){input->blob->data, input->blob->size, NULL};
	}
	if (ret->size > INPUT_HEAD_MAX)
		ret->size = INPUT_HEAD_MAX;
	input->skipping = true;
	input->start = input->scanned;

	/* The scanner has kept the header that went too far, and would only take it with the next
	 * byte: which, if this header is all that was missing, is another frame's. */
	uint8_t header[FRAME_HEADER_MAX];
	size_t size = scanner->header_size, used;
	memcpy(header, scanner->header, size);
	scanner->header_size = 0;
	scanner->size_max = SIZE_MAX;
	int status = frame_scan(scanner, header, size, &used);
	if (status == FRAME_DONE) {
		struct frame skipped;
		end_frame(input, &skipped);
	}
	return status == FRAME_TOO_DEEP ? FRAME_TOO_DEEP : FRAME_TOO_LARGE;
}

int input_next(struct input *input, struct frame *ret)
{
	forget_frame_handed_out(input);
	while (input->scanned < input->end) {
		const uint8_t *from = input->scanned;
		size_t used;
		int status = frame_scan(&input->scanner, from, (size_t)(input->end - from), &used);
		input->scanned += used;
		if (input->skipping) {
			input->start = input->scanned;
		} else if (input->blob) {
			int r = take_into_blob(input, from, used);
			if (r < 0)
				return r;
			input->start = input->scanned;
		}
		if (status == FRAME_TOO_LARGE)
			return begin_skipping(input, ret);
		if (status != FRAME_DONE && status != FRAME_MORE)
			return status;
		if (status == FRAME_DONE && end_frame(input, ret))
			return FRAME_DONE;
	}
	int r = park(input);
	return r < 0 ? r : FRAME_MORE;
}

size_t input_held(const struct input *input)
{
	return input->blob && !input->blob_done ? input->blob->size : 0;
}

void input_skip(struct input *input, struct frame *ret)
{
	assert(input_held(input) > 0 && input->scanned == input->end);
	struct blob *blob = input->blob;
	*ret = (struct frame){blob->data, blob->size < INPUT_HEAD_MAX ? blob->size : INPUT_HEAD_MAX,
			      NULL};
	input->blob_done = true;
	input->skipping = true;
	input->scanner.size_max = SIZE_MAX;
}

int input_pause(struct input *input)
{
	if (input->start == input->end)
		return 0;
	return keep(input, input->start, (size_t)(input->end - input->start),
		    (size_t)(input->scanned - input->start));
}
