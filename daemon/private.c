/* SPDX-License-Identifier: MIT */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/process.h"

#define SOCKET_NAME "procpoold.sock"

/* What a service manager said to the creator is not meant for its private daemon. */
static const char *const creators_own[] = {
	"LISTEN_FDS",    "LISTEN_FDNAMES", "LISTEN_PID",
	"NOTIFY_SOCKET", "WATCHDOG_PID",   "WATCHDOG_USEC",
};

/* ---- to the background ---- */

/* Closes all descriptors but the standard streams, which are there then, and one to be kept. */
static int keep_descriptors(int kept)
{
	int null;
	do
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (null >= 0 && null <= STDERR_FILENO && fcntl(null, F_SETFD, 0) == 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -errno;
	unsigned from = STDERR_FILENO + 1;
	if (kept >= 0 && (unsigned)kept > from && close_range(from, (unsigned)kept - 1, 0) < 0)
		return -errno;
	if (kept >= 0)
		from = (unsigned)kept + 1;
	return close_range(from, ~0U, 0) < 0 ? -errno : 0;
}

/* The process that was started: waits until the daemon has told that it serves, or has ended. */
__attribute__((noreturn)) static void stay_behind(pid_t daemon, int told)
{
	char byte;
	ssize_t n;
	int status;
	do
		n = read(told, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(daemon, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static int go_to_background(struct private_life *life)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int error = errno;
		close(fds[0]);
		close(fds[1]);
		return -error;
	}
	if (pid > 0) {
		close(fds[1]);
		stay_behind(pid, fds[0]);
	}
	close(fds[0]);
	life->launcher = fds[1];
	return setsid() < 0 ? -errno : 0;
}

/* ---- its directory ---- */

static int make_directory_in(struct private_life *life, const char *parent)
{
	char *path;
	if (asprintf(&path, "%s/procpool-XXXXXX", parent) < 0)
		return -ENOMEM;
	if (!mkdtemp(path)) {
		int error = errno;
		free(path);
		return -error;
	}
	life->directory = path;
	return 0;
}

/* Whether nobody else can move away what lies there, and put something else in its place. */
static bool is_own(const char *directory)
{
	struct stat status;
	return directory && directory[0] == '/' && stat(directory, &status) == 0 &&
	       S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
	       (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Where the user has no directory of his own, or another's, as after su, there is /tmp. */
static int make_directory(struct private_life *life)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int r = is_own(runtime) ? make_directory_in(life, runtime) : -ENOENT;
	if (r < 0 && r != -ENOMEM)
		r = make_directory_in(life, "/tmp");
	if (r < 0)
		return r;
	/* What is locked is not too old to be kept (systemd-tmpfiles(8)). */
	life->lock = open(life->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (life->lock >= 0)
		flock(life->lock, LOCK_EX | LOCK_NB);
	if (asprintf(&life->socket, "%s/" SOCKET_NAME, life->directory) < 0) {
		life->socket = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* ---- all of it ---- */

/* Writes the sentence and returns the error. */
static int failure(int error, char **ret_error, const char *what)
{
	if (asprintf(ret_error, "%s: %s", what, strerror(-error)) < 0)
		*ret_error = NULL;
	return error;
}

int private_begin(struct private_life *life, int creator, char **ret_error)
{
	*life = (struct private_life){.creator.fd = -1, .lock = -1, .launcher = -1};
	int r = keep_descriptors(creator);
	if (r < 0)
		return failure(r, ret_error, "cannot close what was inherited");
	r = creator_init(&life->creator, creator);
	if (r == -EBADF)
		return failure(r, ret_error, "--creator is no pidfd");
	if (r < 0)
		return failure(r, ret_error, "cannot watch the creator");
	process_reset_signals();
	for (size_t i = 0; i < sizeof(creators_own) / sizeof(*creators_own); i++)
		unsetenv(creators_own[i]);
	r = go_to_background(life);
	if (r < 0)
		return failure(r, ret_error, "cannot go to the background");
	r = make_directory(life);
	return r < 0 ? failure(r, ret_error, "cannot make a directory in $XDG_RUNTIME_DIR or /tmp")
		     : 0;
}

int private_tell(struct private_life *life)
{
	char *line;
	int size = asprintf(&line, "%s\n", life->socket);
	if (size < 0)
		return -ENOMEM;
	int r = write(STDOUT_FILENO, line, (size_t)size) == size ? 0 : -EPIPE;
	free(line);
	if (r < 0)
		return r;
	if (dup2(STDIN_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	(void)!write(life->launcher, "", 1);
	close(life->launcher);
	life->launcher = -1;
	return 0;
}

void private_fini(struct private_life *life)
{
	if (life->directory)
		rmdir(life->directory);
	free(life->directory);
	free(life->socket);
	if (life->lock >= 0)
		close(life->lock);
	if (life->launcher >= 0)
		close(life->launcher);
	creator_fini(&life->creator);
	*life = (struct private_life){.creator.fd = -1, .lock = -1, .launcher = -1};
}
