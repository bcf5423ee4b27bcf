/* SPDX-License-Identifier: MIT */
#include "runtime/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/large.h"

/* A buffer that one large message made larger than this is given back. */
#define KEPT_BYTES (1U << 20)
/* A read has at least so much room. */
#define ROOM_MIN (CHANNEL_BUFFER_BYTES / 2)

int channel_init(struct channel *channel, int fd, bool receives_fds)
{
	memset(channel, 0, sizeof(*channel));
	channel->fd = fd;
	channel->receives_fds = receives_fds;
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		channel->fds[i] = -1;
	frame_scanner_init(&channel->scanner, SIZE_MAX, FRAME_DEPTH_MAX);
	channel->data = malloc(CHANNEL_BUFFER_BYTES);
	if (!channel->data)
		return -ENOMEM;
	channel->capacity = CHANNEL_BUFFER_BYTES;
	return 0;
}

static void close_fds(struct channel *channel)
{
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++) {
		if (channel->fds[i] >= 0)
			close(channel->fds[i]);
		channel->fds[i] = -1;
	}
}

void channel_fini(struct channel *channel)
{
	close_fds(channel);
	large_free(channel->data, channel->capacity);
	channel->data = NULL;
}

int channel_next(struct channel *channel, struct procpool_value *ret)
{
	size_t used;
	if (channel->scanned == channel->begin)
		channel->landing_count = channel->refused = 0;
	if (channel->scanned == channel->end)
		return CHANNEL_EMPTY;
	enum frame_status status = frame_scan(&channel->scanner, channel->data + channel->scanned,
					      channel->end - channel->scanned, &used);
	channel->scanned += used;
	if (status == FRAME_MORE)
		return CHANNEL_EMPTY;
	if (status != FRAME_DONE)
		return -EPROTO;
	*ret = (struct procpool_value){channel->data + channel->begin,
				       channel->scanned - channel->begin};
	channel->begin = channel->scanned;
	return CHANNEL_MESSAGE;
}

static int resize(struct channel *channel, size_t capacity)
{
	uint8_t *data = large_resize(channel->data, channel->capacity, capacity);
	if (!data)
		return -ENOMEM;
	channel->data = data;
	channel->capacity = capacity;
	return 0;
}

/* Makes room behind the bytes that are there: what is left of a message moves to the front. */
static int make_room(struct channel *channel)
{
	size_t left = channel->end - channel->begin;
	if (channel->begin > 0) {
		memmove(channel->data, channel->data + channel->begin, left);
		channel->scanned -= channel->begin;
		channel->end = left;
		channel->begin = 0;
	}
	if (left == 0 && channel->capacity > KEPT_BYTES)
		return resize(channel, CHANNEL_BUFFER_BYTES);
	/* The scanner knows how much of a long string is still to come. */
	size_t missing = (size_t)channel->scanner.payload;
	if (missing < ROOM_MIN)
		missing = ROOM_MIN;
	if (channel->capacity - left >= missing)
		return 0;
	size_t needed = left + missing + CHANNEL_BUFFER_BYTES;
	size_t doubled = channel->capacity * 2;
	return resize(channel,
		      left <= channel->capacity / 2 || needed > doubled ? needed : doubled);
}

static void keep_fds(struct channel *channel, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		close_fds(channel);
		memcpy(channel->fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
}

/* Where the rest of the payload that has begun is to land; NULL: it does not. */
static uint8_t *landing_place(struct channel *channel)
{
	const struct frame_scanner *scanner = &channel->scanner;
	size_t have = (size_t)(scanner->payload_size - scanner->payload);
	size_t at = channel->end - channel->begin - have;
	size_t count = channel->landing_count;
	if (scanner->payload == 0)
		return NULL;
	if (count > 0 && channel->landings[count - 1].at == at)
		return channel->landings[count - 1].memory + have;
	if (!channel->land || scanner->payload < CHANNEL_LAND_MIN ||
	    count == CHANNEL_LANDINGS_MAX || channel->refused == at)
		return NULL;
	uint8_t *memory = channel->land(channel->land_data, (size_t)scanner->payload_size);
	if (!memory) {
		channel->refused = at;
		return NULL;
	}
	memcpy(memory, channel->data + channel->end - have, have);
	channel->landings[channel->landing_count++] = (struct channel_landing){at, memory};
	return memory + have;
}

/*
 * How much is read behind the bytes that are there: beyond what is known to come, no more than the
 * smallest buffer holds. A buffer that a large message has left would else take the next one's
 * payload before it was known, and it could not land.
 */
static size_t room_size(const struct channel *channel)
{
	size_t size = channel->capacity - channel->end;
	size_t wanted = (size_t)channel->scanner.payload + CHANNEL_BUFFER_BYTES;
	return size < wanted ? size : wanted;
}

static ssize_t receive(struct channel *channel)
{
	void *room = channel->data + channel->end;
	size_t size = room_size(channel);
	void *landing = landing_place(channel);
	if (landing)
		return recv(channel->fd, landing, (size_t)channel->scanner.payload, 0);
	if (!channel->receives_fds)
		return recv(channel->fd, room, size, 0);

	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(channel->fds))];
	} control;
	struct iovec iov = {room, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(channel->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n > 0)
		keep_fds(channel, &msg);
	return n;
}

int channel_fill(struct channel *channel)
{
	int r = make_room(channel);
	if (r < 0)
		return r;
	ssize_t n = receive(channel);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return CHANNEL_EMPTY;
	if (n < 0)
		return errno == ECONNRESET ? CHANNEL_EOF : -errno;
	if (n == 0)
		return CHANNEL_EOF;
	channel->end += (size_t)n;
	return CHANNEL_EMPTY;
}

int channel_wait(struct channel *channel, struct procpool_value *ret)
{
	int r;
	while ((r = channel_next(channel, ret)) == CHANNEL_EMPTY) {
		r = channel_fill(channel);
		if (r != CHANNEL_EMPTY)
			return r;
	}
	return r;
}

const uint8_t *channel_landed(const struct channel *channel, struct procpool_value message,
			      const uint8_t *payload)
{
	size_t at = (size_t)(payload - message.data);
	for (size_t i = 0; i < channel->landing_count; i++)
		if (channel->landings[i].at == at)
			return channel->landings[i].memory;
	return NULL;
}

void channel_take_fds(struct channel *channel, int ret[CHANNEL_FDS_MAX])
{
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++) {
		ret[i] = channel->fds[i];
		channel->fds[i] = -1;
	}
}

int channel_send(int fd, struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	while (msg.msg_iovlen > 0) {
		ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		size_t sent = (size_t)n;
		while (msg.msg_iovlen > 0 && sent >= msg.msg_iov->iov_len) {
			sent -= msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen > 0) {
			msg.msg_iov->iov_base = (uint8_t *)msg.msg_iov->iov_base + sent;
			msg.msg_iov->iov_len -= sent;
		}
	}
	return 0;
}
