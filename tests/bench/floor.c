/* SPDX-License-Identifier: MIT */
/*
 * The floor under a round trip of apply: what it would cost if procpool did nothing at all.
 *
 * Three processes, client - relay - worker, over Unix stream sockets, exchange exactly the bytes of
 * `apply demo.inc [41]` and of its response. The relay waits in epoll and copies what one side sent
 *to the other, with nonblocking sockets; client and worker use blocking reads and writes. Nothing
 *is parsed, nothing is queued.
 *
 * Reads commands from standard input and answers each with a line of JSON:
 *
 *	apply COUNT	round trips, one after the other
 */
#include "samples.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* [0, 1000, "apply", ["demo.inc", [41]]] and [1, 1000, nil, 42] */
static const char REQUEST[] = "\x94\x00\xcd\x03\xe8\xa5"
			      "apply"
			      "\x92\xa8"
			      "demo.inc"
			      "\x91\x29";
static const char RESPONSE[] = "\x94\x01\xcd\x03\xe8\xc0\x2a";
#define REQUEST_SIZE  (sizeof(REQUEST) - 1)
#define RESPONSE_SIZE (sizeof(RESPONSE) - 1)

static void write_all(int fd, const char *data, size_t size)
{
	/* Messages far smaller than a socket's buffer, one under way: a short write cannot happen.
	 */
	if (write(fd, data, size) != (ssize_t)size)
		err(1, "write");
}

/* False at end of file. */
static bool read_all(int fd, char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, data + done, size - done);
		if (n < 0)
			err(1, "read");
		if (n == 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void worker_run(int fd)
{
	char request[REQUEST_SIZE];

	while (read_all(fd, request, sizeof(request)))
		write_all(fd, RESPONSE, RESPONSE_SIZE);
}

static void relay_watch(int epoll, int fd, int to)
{
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = (uint64_t)to << 32 | (uint32_t)fd};

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "relay");
}

static void relay_run(int client, int worker)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char buffer[65536];

	relay_watch(epoll, client, worker);
	relay_watch(epoll, worker, client);
	for (;;) {
		struct epoll_event events[16];
		int count = epoll_wait(epoll, events, 16, -1);
		for (int i = 0; i < count; i++) {
			int from = (int)(uint32_t)events[i].data.u64;
			ssize_t n = read(from, buffer, sizeof(buffer));
			if (n <= 0)
				return;
			write_all((int)(events[i].data.u64 >> 32), buffer, (size_t)n);
		}
	}
}

/* Forks a child that ends with its parent. Returns 0 in the child. */
static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void measure_apply(int fd, unsigned long count)
{
	struct samples samples = {0};
	char response[RESPONSE_SIZE];

	for (unsigned long i = 0; i < count; i++) {
		uint64_t start = clock_ns();
		write_all(fd, REQUEST, REQUEST_SIZE);
		if (!read_all(fd, response, sizeof(response)))
			errx(1, "the relay is gone");
		samples_add(&samples, clock_ns() - start);
	}
	samples_print(&samples, NULL);
	samples_fini(&samples);
}

/* Starts relay and worker; returns the client's end. */
static int floor_start(void)
{
	int front[2], back[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, front) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, back) < 0)
		err(1, "socketpair");
	if (fork_bound() == 0) {
		close(front[0]);
		close(front[1]);
		close(back[0]);
		worker_run(back[1]);
		_exit(0);
	}
	if (fork_bound() == 0) {
		close(front[0]);
		close(back[1]);
		relay_run(front[1], back[0]);
		_exit(0);
	}
	close(front[1]);
	close(back[0]);
	close(back[1]);
	return front[0];
}

int main(void)
{
	int fd = floor_start();
	char line[64];
	unsigned long count;

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "apply %lu", &count) != 1)
			errx(2, "unknown command: %s", line);
		measure_apply(fd, count);
	}
	return 0;
}
