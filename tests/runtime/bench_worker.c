/* SPDX-License-Identifier: MIT */
/*
 * What one worker costs a task, with nothing of the daemon in it: a forked worker of
 * procpool-runtime with its page, fed and drained by this program. Usage: bench_worker RUNTIME
 * [FUNCTION [PART]]: of the module demo; of so many calls only the part, 0.1 a tenth. Another
 * runtime than the native one will do as well.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "procpool/value.h"
#include "proto/frame.h"
#include "proto/limit_table.h"
#include "proto/page.h"
#include "proto/worker.h"

struct peer {
	int fd;
	struct frame_scanner scanner;
};

struct tally {
	uint64_t results;
	uint64_t messages;
};

static double clock_s(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
		assert(n > 0);
		data += n;
		size -= (size_t)n;
	}
}

static void send_writer(int fd, struct procpool_writer *w)
{
	assert(!w->error);
	send_all(fd, w->data, w->size);
	procpool_writer_reset(w);
}

static double part; /* of the calls that there would be */

/* Waits for one message, of that number; returns its last element if that is an integer. */
static uint64_t await_message(int fd, enum worker_message number)
{
	static uint8_t data[1 << 16];
	struct frame_scanner scanner;
	enum frame_status status = FRAME_MORE;
	uint64_t last = 0;
	size_t size = 0, used;
	frame_scanner_init(&scanner, sizeof(data), FRAME_DEPTH_MAX);
	for (; status == FRAME_MORE; size++) {
		ssize_t n = recv(fd, data + size, 1, 0);
		if (n != 1) {
			fprintf(stderr, "the runtime has ended\n");
			exit(EXIT_FAILURE);
		}
		status = frame_scan(&scanner, data + size, 1, &used);
	}
	if (status != FRAME_DONE || data[1] != number) {
		fprintf(stderr, "unexpected message: %.*s\n", (int)size, (const char *)data);
		exit(EXIT_FAILURE);
	}
	struct procpool_value message = {data, size};
	procpool_value_uint(procpool_value_at(message, procpool_value_count(message) - 1), &last);
	return last;
}

static int start_runtime(const char *path)
{
	int pair[2];
	int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	assert(r == 0);
	pid_t pid = fork();
	assert(pid >= 0);
	if (pid == 0) {
		dup2(pair[1], WORKER_FD);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	return pair[0];
}

static void send_start(int fd)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, 2);
	procpool_write_int(&w, MSG_START);
	procpool_write_map(&w, 9);
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, "bench");
	procpool_write_string(&w, "worker");
	procpool_write_int(&w, 0);
	procpool_write_string(&w, "workers");
	procpool_write_int(&w, 1);
	procpool_write_string(&w, "modules");
	procpool_write_array(&w, 1);
	procpool_write_string(&w, "demo");
	procpool_write_string(&w, "initializer");
	procpool_write_nil(&w);
	procpool_write_string(&w, "initargs");
	procpool_write_array(&w, 0);
	procpool_write_string(&w, "message_bytes");
	procpool_write_uint(&w, LIMITS_DEFAULT.message_bytes);
	procpool_write_string(&w, "value_depth");
	procpool_write_uint(&w, LIMITS_DEFAULT.value_depth);
	procpool_write_string(&w, "page");
	procpool_write_bool(&w, false);
	send_writer(fd, &w);
	procpool_writer_fini(&w);
}

static int fork_worker(int spawner, struct page **ret_page, pid_t *ret_pid)
{
	static const uint8_t message[] = {0x92, MSG_FORK, 1};
	int pair[2], fds[2];
	fds[1] = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = ftruncate(fds[1], sizeof(struct page));
	assert(r == 0);
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	assert(r == 0);
	*ret_page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
	assert(*ret_page != MAP_FAILED);
	fds[0] = pair[1];

	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct iovec iov = {(void *)message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fds)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	ssize_t n = sendmsg(spawner, &msg, 0);
	assert(n == (ssize_t)sizeof(message));
	close(fds[0]);
	close(fds[1]);
	*ret_pid = (pid_t)await_message(spawner, MSG_FORKED);
	await_message(pair[0], MSG_READY);
	return pair[0];
}

/* Counts the results in what has arrived; blocks for at least one read. */
static void drain(struct peer *peer, struct tally *tally)
{
	static uint8_t data[1 << 20];
	static size_t kept;
	ssize_t n = recv(peer->fd, data + kept, sizeof(data) - kept, 0);
	assert(n > 0);
	size_t size = kept + (size_t)n, at = 0;
	for (;;) {
		size_t begin = at, used;
		frame_scanner_reset(&peer->scanner);
		if (begin == size ||
		    frame_scan(&peer->scanner, data + begin, size - begin, &used) != FRAME_DONE)
			break;
		at = begin + used;
		struct procpool_value message = {data + begin, used};
		assert(message.data[1] == MSG_RESULT);
		tally->results += procpool_value_count(procpool_value_at(message, 4));
		tally->messages++;
	}
	kept = size - at;
	memmove(data, data + at, kept);
}

static void write_task(struct procpool_writer *w, uint32_t seq, const char *function,
		       uint32_t items)
{
	procpool_write_array(w, 6);
	procpool_write_int(w, MSG_TASK);
	procpool_write_uint(w, seq);
	procpool_write_uint(w, 71001);
	procpool_write_string(w, function);
	procpool_write_bool(w, false);
	procpool_write_array(w, items);
	for (uint32_t i = 0; i < items; i++)
		procpool_write_uint(w, 100000 + i);
}

/* `total` elements, `items` in a message, at most `ahead` messages unanswered. */
static void measure(const char *title, int fd, struct page *page, pid_t pid, const char *function,
		    uint64_t total, uint32_t items, uint32_t ahead)
{
	static uint32_t seq;
	total = (uint64_t)(part * (double)total);
	struct peer peer = {.fd = fd};
	struct tally tally = {0};
	struct procpool_writer w;
	frame_scanner_init(&peer.scanner, SIZE_MAX, FRAME_DEPTH_MAX);
	procpool_writer_init(&w);
	uint64_t sent = 0;
	clockid_t cpu;
	clock_getcpuclockid(pid, &cpu);
	double cpu_began = clock_s(cpu), began = clock_s(CLOCK_MONOTONIC);
	while (tally.results < total) {
		while (sent < total && sent - tally.results < (uint64_t)ahead * items) {
			page_offer(page, ++seq);
			write_task(&w, seq, function, items);
			sent += items;
		}
		if (w.size > 0)
			send_writer(fd, &w);
		drain(&peer, &tally);
	}
	double took = clock_s(CLOCK_MONOTONIC) - began, used = clock_s(cpu) - cpu_began;
	printf("%-34s %8.1f ns an element, %8.1f ns of the worker's CPU, %.0f elements in a result "
	       "message\n",
	       title, 1e9 * took / (double)total, 1e9 * used / (double)total,
	       (double)total / (double)tally.messages);
	procpool_writer_fini(&w);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	const char *function = argc > 2 ? argv[2] : "demo.inc";
	int spawner = start_runtime(argv[1]);
	await_message(spawner, MSG_HELLO);
	send_start(spawner);
	await_message(spawner, MSG_READY);
	struct page *page;
	pid_t pid;
	int fd = fork_worker(spawner, &page, &pid);
	part = argc > 3 ? strtod(argv[3], NULL) : 1;
	measure("map, 10000 in a message, 2 ahead", fd, page, pid, function, 10000000, 10000, 2);
	measure("map, 1000 in a message, 4 ahead", fd, page, pid, function, 4000000, 1000, 4);
	measure("map, 100 in a message, 16 ahead", fd, page, pid, function, 4000000, 100, 16);
	measure("apply, 250 ahead", fd, page, pid, function, 1000000, 1, 250);
	measure("apply, 128 ahead", fd, page, pid, function, 1000000, 1, 128);
	measure("apply, 64 ahead", fd, page, pid, function, 1000000, 1, 64);
	measure("apply, one at a time", fd, page, pid, function, 100000, 1, 1);
	close(fd);
	close(spawner);
	wait(NULL);
	return EXIT_SUCCESS;
}
