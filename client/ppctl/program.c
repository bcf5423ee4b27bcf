/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"
#include "text.h"

#define OUTPUT_MAX 16384U

static bool start(char *const argv[], int out, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	if (posix_spawn_file_actions_init(&actions) != 0)
		text_no_memory();
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	int r = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0;
}

/* Reads up to the end of the stream. False: that did not come in time. */
static bool read_all(int fd, int64_t deadline_ms, struct text *out)
{
	for (;;) {
		int64_t left = deadline_ms - session_now_ms();
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		if (left <= 0)
			return false;
		int r = poll(&poll_fd, 1, (int)left);
		if (r < 0 && errno != EINTR)
			return false;
		if (r <= 0)
			continue;
		char bytes[1024];
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		if (out->size < OUTPUT_MAX)
			text_add(out, bytes, (size_t)n);
	}
}

/* Whether it exits in time; it has closed its output, which need not be the same. */
static bool await_exit(pid_t pid, int64_t deadline_ms)
{
	int fd = pidfd_open(pid, 0), r = -1;
	if (fd < 0)
		return false;
	do {
		int64_t left = deadline_ms - session_now_ms();
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		r = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	close(fd);
	return r > 0;
}

static enum program_status reap(pid_t pid, bool in_time)
{
	int status;
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return PROGRAM_FAILED;
	if (!in_time)
		return PROGRAM_LATE;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return PROGRAM_MISSING;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PROGRAM_DONE : PROGRAM_FAILED;
}

enum program_status program_run(char *const argv[], int timeout_ms, struct text *out)
{
	int fds[2];
	pid_t pid;
	int64_t deadline_ms = session_now_ms() + timeout_ms;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return PROGRAM_MISSING;
	bool started = start(argv, fds[1], &pid);
	close(fds[1]);
	bool in_time =
		started && read_all(fds[0], deadline_ms, out) && await_exit(pid, deadline_ms);
	close(fds[0]);
	return started ? reap(pid, in_time) : PROGRAM_MISSING;
}
