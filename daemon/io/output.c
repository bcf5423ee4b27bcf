/* SPDX-License-Identifier: MIT */
#include "io/output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/blob.h"

#define IOVECS_MAX 64
/* Sent bytes are moved out of the way from this many on, if they are at least half of the buffer:
 * so each byte is moved less than once on average. */
#define COMPACT_BYTES 65536

/* What the next sendmsg takes. */
struct batch {
	struct iovec iovecs[IOVECS_MAX];
	size_t count;
	size_t bytes;
	bool with_fds; /* the first byte is the one that fds[0] belongs to */
};

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void drop(struct output *output)
{
	for (size_t i = output->slice_first; i < output->slice_count; i++)
		blob_unref(output->slices[i].blob);
	for (size_t i = 0; i < output->fds_count; i++)
		close_all(output->fds[i].fds, output->fds[i].count);
	free(output->slices);
	free(output->fds);
	procpool_writer_fini(&output->buffer);
	*output = (struct output){.total = output->total};
}

/* The stream ends here: nothing more is kept, nothing more is taken. */
static int fail(struct output *output, int error)
{
	drop(output);
	output->buffer.error = error;
	return -error;
}

void output_init(struct output *output)
{
	*output = (struct output){0};
}

void output_fini(struct output *output)
{
	drop(output);
}

uint8_t *output_reserve(struct output *output, size_t size)
{
	struct procpool_writer *buffer = &output->buffer;
	if (buffer->error)
		return NULL;
	if (buffer->capacity - buffer->size < size) {
		size_t capacity = buffer->capacity ? buffer->capacity : 512;
		while (capacity - buffer->size < size && capacity <= SIZE_MAX / 2)
			capacity *= 2;
		uint8_t *data =
			capacity - buffer->size < size ? NULL : realloc(buffer->data, capacity);
		if (!data) {
			buffer->error = ENOMEM;
			return NULL;
		}
		buffer->data = data;
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->size;
}

void output_commit(struct output *output, size_t size)
{
	assert(size <= output->buffer.capacity - output->buffer.size);
	output->buffer.size += size;
}

void output_append(struct output *output, const void *data, size_t size)
{
	uint8_t *room = output_reserve(output, size);
	if (room && size > 0) {
		memcpy(room, data, size);
		output->buffer.size += size;
	}
}

/* Room for one more slice, where those sent already are moved out of the way first. */
static bool reserve_slice(struct output *output)
{
	if (output->slice_count < output->slice_capacity)
		return true;
	if (output->slice_first > output->slice_count / 2) {
		output->slice_count -= output->slice_first;
		memmove(output->slices, output->slices + output->slice_first,
			output->slice_count * sizeof(*output->slices));
		output->slice_first = 0;
		return true;
	}
	size_t capacity = output->slice_capacity ? 2 * output->slice_capacity : 8;
	struct output_slice *slices = reallocarray(output->slices, capacity, sizeof(*slices));
	if (!slices)
		return false;
	output->slices = slices;
	output->slice_capacity = capacity;
	return true;
}

void output_append_blob(struct output *output, struct blob *blob, size_t offset, size_t size)
{
	assert(offset <= blob->size && size <= blob->size - offset);
	if (size <= OUTPUT_COPY_MAX) {
		output_append(output, blob->data + offset, size);
		return;
	}
	if (output->buffer.error)
		return;
	if (!reserve_slice(output)) {
		output->buffer.error = ENOMEM;
		return;
	}
	output->slices[output->slice_count++] = (struct output_slice){
		.at = output->base + output->buffer.size,
		.blob = blob_ref(blob),
		.offset = offset,
		.size = size,
	};
	output->slice_bytes += size;
}

void output_attach_fds(struct output *output, const int *fds, size_t count)
{
	assert(count > 0 && count <= OUTPUT_FDS_MAX);
	struct output_fds *grown = NULL;
	if (!output->buffer.error)
		grown = reallocarray(output->fds, output->fds_count + 1, sizeof(*grown));
	if (!grown) {
		if (!output->buffer.error)
			output->buffer.error = ENOMEM;
		close_all(fds, count);
		return;
	}
	output->fds = grown;
	struct output_fds *attached = &grown[output->fds_count++];
	attached->at = output->base + output->buffer.size;
	attached->count = count;
	memcpy(attached->fds, fds, count * sizeof(*fds));
}

void output_append_with_fds(struct output *output, const void *data, size_t size, const int *fds,
			    size_t count)
{
	assert(size > 0);
	output_attach_fds(output, fds, count);
	output_append(output, data, size);
}

static void batch_add(struct batch *batch, void *data, size_t size, size_t budget)
{
	if (size > budget - batch->bytes)
		size = budget - batch->bytes;
	batch->iovecs[batch->count++] = (struct iovec){.iov_base = data, .iov_len = size};
	batch->bytes += size;
}

/* Buffer and slices in order, up to the budget or to a byte that carries descriptors: these go with
 * the first byte of a sendmsg only. */
static void batch_gather(struct batch *batch, const struct output *output, size_t budget)
{
	uint64_t at = output->base + output->sent;
	uint64_t end = output->base + output->buffer.size;
	size_t slice = output->slice_first;

	batch->count = 0;
	batch->bytes = 0;
	batch->with_fds = false;
	while (batch->count < IOVECS_MAX && batch->bytes < budget) {
		if (slice < output->slice_count && output->slices[slice].at == at) {
			const struct output_slice *s = &output->slices[slice++];
			batch_add(batch, s->blob->data + s->offset, s->size, budget);
			continue;
		}
		if (at == end)
			break;
		size_t fds = batch->with_fds;
		if (fds < output->fds_count && output->fds[fds].at == at) {
			if (batch->bytes > 0)
				break;
			batch->with_fds = true;
			fds++;
		}
		uint64_t stop = end;
		if (slice < output->slice_count && output->slices[slice].at < stop)
			stop = output->slices[slice].at;
		if (fds < output->fds_count && output->fds[fds].at < stop)
			stop = output->fds[fds].at;
		batch_add(batch, output->buffer.data + (at - output->base), (size_t)(stop - at),
			  budget);
		at = stop;
	}
}

/* Returns the bytes sent, or a negative errno. */
static ssize_t batch_send(struct batch *batch, const struct output *output, int fd)
{
	struct msghdr message = {.msg_iov = batch->iovecs, .msg_iovlen = batch->count};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(OUTPUT_FDS_MAX * sizeof(int))];
	} control;
	if (batch->with_fds) {
		size_t size = output->fds[0].count * sizeof(int);
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(size);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(header), output->fds[0].fds, size);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void forget_first_fds(struct output *output)
{
	close_all(output->fds[0].fds, output->fds[0].count);
	if (--output->fds_count > 0) {
		memmove(output->fds, output->fds + 1, output->fds_count * sizeof(*output->fds));
		return;
	}
	free(output->fds);
	output->fds = NULL;
}

static size_t consume_slice(struct output *output, size_t size)
{
	struct output_slice *slice = &output->slices[output->slice_first];
	if (size > slice->size)
		size = slice->size;
	slice->offset += size;
	slice->size -= size;
	output->slice_bytes -= size;
	if (slice->size == 0) {
		blob_unref(slice->blob);
		output->slice_first++;
	}
	return size;
}

/* Forgets the first `size` unsent bytes. */
static void consume(struct output *output, size_t size)
{
	output->total += size;
	while (size > 0) {
		uint64_t at = output->base + output->sent;
		uint64_t stop = output->base + output->buffer.size;
		if (output->slice_first < output->slice_count) {
			stop = output->slices[output->slice_first].at;
			if (stop == at) {
				size -= consume_slice(output, size);
				continue;
			}
		}
		size_t take = stop - at < size ? (size_t)(stop - at) : size;
		output->sent += take;
		size -= take;
	}
}

/* Makes room of what was sent, and gives memory back that a burst has left. */
static void tidy(struct output *output)
{
	struct procpool_writer *buffer = &output->buffer;
	if (output->sent == buffer->size ||
	    (output->sent >= COMPACT_BYTES && output->sent >= buffer->size / 2)) {
		output->base += output->sent;
		buffer->size -= output->sent;
		if (buffer->size > 0)
			memmove(buffer->data, buffer->data + output->sent, buffer->size);
		output->sent = 0;
	}
	if (output->slice_first == output->slice_count)
		output->slice_first = output->slice_count = 0;
	if (output_size(output) > 0)
		return;
	if (buffer->capacity > OUTPUT_SPARE_BYTES)
		procpool_writer_fini(buffer);
	free(output->slices);
	output->slices = NULL;
	output->slice_capacity = 0;
}

int output_flush(struct output *output, int fd, size_t budget)
{
	if (output->buffer.error)
		return fail(output, output->buffer.error);

	struct batch batch = {.bytes = 0};
	int status = OUTPUT_EMPTY;
	while (status == OUTPUT_EMPTY && output_size(output) > 0) {
		if (budget == 0) {
			status = OUTPUT_MORE;
			break;
		}
		batch_gather(&batch, output, budget);
		ssize_t n = batch_send(&batch, output, fd);
		if (n == -EAGAIN) {
			status = OUTPUT_BLOCKED;
			break;
		}
		if (n < 0)
			return fail(output, (int)-n);
		if (batch.with_fds)
			forget_first_fds(output);
		consume(output, (size_t)n);
		budget -= (size_t)n;
		/* A stream socket takes less than it was given only when it is full. */
		if ((size_t)n < batch.bytes)
			status = OUTPUT_BLOCKED;
	}
	tidy(output);
	return status;
}
