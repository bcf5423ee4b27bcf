/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define IN_CAPACITY ((size_t)256 << 10)
#define KEEP_BYTES  ((size_t)1 << 20) /* a buffer that grew beyond this does not stay so */
/* The socket holds so much, where the system allows it, so that large requests take few turns. */
#define SOCKET_BYTES (1 << 20)

void link_init(struct link *link, size_t message_max)
{
	memset(link, 0, sizeof(*link));
	link->fd = -1;
	procpool_writer_init(&link->out);
	frame_scanner_init(&link->scanner, message_max, FRAME_DEPTH_MAX);
}

void link_close(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->connected = false;
}

void link_fini(struct link *link)
{
	link_close(link);
	procpool_writer_fini(&link->out);
	free(link->in);
	link_init(link, link->scanner.size_max);
}

int link_open(struct link *link, size_t message_max)
{
	link_fini(link);
	link_init(link, message_max);
	link->in = malloc(IN_CAPACITY);
	if (!link->in)
		return -ENOMEM;
	link->in_capacity = IN_CAPACITY;
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0)
		return -errno;
	setsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
	return 0;
}

/* Whether connect() and send() block; wait_ms bounds the former. */
static int set_blocking(int fd, int wait_ms)
{
	struct timeval tv = {0};
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, wait_ms ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) < 0)
		return -errno;
	if (wait_ms > 0) {
		tv.tv_sec = wait_ms / 1000;
		tv.tv_usec = wait_ms % 1000 * 1000;
	}
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

int link_connect(struct link *link, const struct sockaddr_un *address, int wait_ms)
{
	int r = set_blocking(link->fd, wait_ms);
	if (r < 0)
		return r;
	/* A Unix socket's connect() that a signal interrupts has not begun anything. */
	do
		r = connect(link->fd, (const struct sockaddr *)address, sizeof(*address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (wait_ms != 0)
		r = set_blocking(link->fd, 0);
	link->connected = r == 0;
	return r;
}

size_t link_queued(const struct link *link)
{
	return link->out.size - link->out_sent;
}

uint64_t link_queued_end(const struct link *link)
{
	return link->sent + link_queued(link);
}

/* Makes room at the front of `out` once more is sent than is queued, so that each byte moves at
 * most once on average. One that a large message grew is let go of when what came after it was
 * small. */
static void drop_sent(struct link *link)
{
	size_t queued = link_queued(link);
	if (queued == 0) {
		if (link->out.capacity > KEEP_BYTES && link->out_peak <= IN_CAPACITY)
			procpool_writer_fini(&link->out);
		link->out_peak = 0;
	}
	if (queued > link->out_sent)
		return;
	if (queued > 0)
		memmove(link->out.data, link->out.data + link->out_sent, queued);
	link->out.size = queued;
	link->out_sent = 0;
}

void link_flush(struct link *link)
{
	if (!link->connected || link->send_failed)
		return;
	if (link_queued(link) > link->out_peak)
		link->out_peak = link_queued(link);
	while (link_queued(link) > 0) {
		ssize_t n = send(link->fd, link->out.data + link->out_sent, link_queued(link),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				/* The daemon sees the end of our stream and ends its own. */
				link->send_failed = true;
				shutdown(link->fd, SHUT_WR);
			}
			break;
		}
		link->out_sent += (size_t)n;
		link->sent += (uint64_t)n;
	}
	if (link->out_sent > 0)
		drop_sent(link);
}

/* An empty buffer begins at its front again; one that a large message grew shrinks when what came
 * after it was small. */
static void reset_empty(struct link *link)
{
	if (link->in_capacity > KEEP_BYTES && link->in_peak <= IN_CAPACITY) {
		uint8_t *in = realloc(link->in, IN_CAPACITY);
		if (in) {
			link->in = in;
			link->in_capacity = IN_CAPACITY;
		}
	}
	link->in_start = link->in_scanned = link->in_end = link->in_peak = 0;
}

/* Room to receive behind in_end: what is left of a message moves to the front, or the buffer grows.
 * False without memory. */
static bool make_room(struct link *link)
{
	size_t left = link->in_end - link->in_start;
	if (left == 0 && link->in_end > 0)
		reset_empty(link);
	if (link->in_capacity - link->in_end >= link->in_capacity / 2)
		return true;
	if (left <= link->in_capacity / 2) {
		memmove(link->in, link->in + link->in_start, left);
		link->in_scanned -= link->in_start;
		link->in_end = left;
		link->in_start = 0;
		return true;
	}
	if (link->in_end < link->in_capacity)
		return true;
	uint8_t *in = realloc(link->in, link->in_capacity * 2);
	if (!in)
		return false;
	link->in = in;
	link->in_capacity *= 2;
	return true;
}

enum link_receive link_receive(struct link *link)
{
	if (!make_room(link)) {
		errno = ENOMEM;
		return LINK_FAILED;
	}
	size_t room = link->in_capacity - link->in_end;
	ssize_t n;
	do
		n = recv(link->fd, link->in + link->in_end, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return LINK_EOF;
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? LINK_DRAINED : LINK_FAILED;
	link->in_end += (size_t)n;
	if (link->in_end - link->in_start > link->in_peak)
		link->in_peak = link->in_end - link->in_start;
	/* A short read saves the call that would say EAGAIN; the next poll() finds what came since.
	 */
	return (size_t)n < room ? LINK_DRAINED : LINK_MORE;
}

enum link_next link_next(struct link *link, struct procpool_value *ret)
{
	size_t used;
	enum frame_status status = frame_scan(&link->scanner, link->in + link->in_scanned,
					      link->in_end - link->in_scanned, &used);
	link->in_scanned += used;
	switch (status) {
	case FRAME_DONE:
		ret->data = link->in + link->in_start;
		ret->size = link->in_scanned - link->in_start;
		link->in_start = link->in_scanned;
		return LINK_MESSAGE;
	case FRAME_MORE:
		return LINK_CUT;
	case FRAME_TOO_LARGE:
		return LINK_TOO_LARGE;
	case FRAME_INVALID:
	case FRAME_TOO_DEEP:
		break;
	}
	return LINK_BAD;
}

bool link_trade(struct link *link, struct procpool_value value, void **memory, size_t *capacity)
{
	uintptr_t offset = (uintptr_t)value.data - (uintptr_t)link->in;
	if (value.size < IN_CAPACITY || offset >= link->in_end || link->in_scanned < link->in_end)
		return false;
	if (*capacity < IN_CAPACITY) {
		void *fresh = malloc(IN_CAPACITY);
		if (!fresh)
			return false;
		free(*memory);
		*memory = fresh;
		*capacity = IN_CAPACITY;
	}
	void *in = link->in;
	size_t in_capacity = link->in_capacity;
	link->in = *memory;
	link->in_capacity = *capacity;
	link->in_start = link->in_scanned = link->in_end = link->in_peak = 0;
	*memory = in;
	*capacity = in_capacity;
	return true;
}
