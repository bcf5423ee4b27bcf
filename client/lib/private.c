/* SPDX-License-Identifier: MIT */
/*
 * Starting a daemon that belongs to this process (procpoold --private), and connecting to it.
 *
 * It watches a pidfd of this process, so the library remembers nothing of it: however this process
 * ends, the daemon ends, too. It goes to the background, so that it is no child that a wait() of
 * the program's would meet; what is a child here for a moment is reaped here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/pidfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"
#include "outcome.h"

#define PROGRAM    "procpoold"
#define FALLBACK   PROCPOOL_SBINDIR "/" PROGRAM
#define FIRST_FREE 10 /* descriptors from here on are in nobody's way while others are arranged */
#define CREATOR    3  /* the pidfd, in the daemon */

/* What is open here while it starts. Each owned, or -1. */
struct start {
	int creator;
	int reads, writes; /* the pipe on which it tells its path */
	pid_t launcher;    /* what goes to the background; 0: not started, or reaped */
};

/* Takes fd; a duplicate out of the way, or -1 with errno. */
static int move_up(int fd)
{
	if (fd < 0)
		return -1;
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE), error = errno;
	close(fd);
	errno = error;
	return moved;
}

/* 0 or a negative errno. */
static int open_descriptors(struct start *start)
{
	int fds[2];
	start->creator = move_up(pidfd_open(getpid(), 0));
	if (start->creator < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	start->reads = fds[0];
	start->writes = move_up(fds[1]);
	return start->writes < 0 ? -errno : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Its exit status, or -1 where this is not known: the program may not want to have children. */
static int reap(struct start *start)
{
	int status = -1;
	pid_t pid = start->launcher;
	start->launcher = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void start_fini(struct start *start)
{
	close_one(&start->creator);
	close_one(&start->reads);
	close_one(&start->writes);
	if (start->launcher > 0)
		kill(start->launcher, SIGKILL); /* nobody is told any more: the daemon ends */
	reap(start);
}

/* ---- starting ---- */

/* "procpoold --private --creator 3" and the caller's arguments, to be freed; NULL without memory.
 */
static char **make_argv(const char *const *arguments)
{
	static const char *const own[] = {PROGRAM, "--private", "--creator", "3"};
	const size_t own_count = sizeof(own) / sizeof(*own);
	size_t count = 0;
	while (arguments && arguments[count])
		count++;
	const char **argv = calloc(own_count + count + 1, sizeof(*argv));
	if (!argv)
		return NULL;
	memcpy(argv, own, sizeof(own));
	if (count > 0)
		memcpy(argv + own_count, arguments, count * sizeof(*argv));
	return (char **)argv;
}

/* The program that was told, else the one in $PATH, else the installed one. 0 or an errno. */
static int spawn(pid_t *pid, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const *argv)
{
	const char *told = secure_getenv("PROCPOOL_DAEMON");
	if (told && *told)
		return posix_spawn(pid, told, actions, attributes, argv, environ);
	/* A setuid program does not run what its user's $PATH says. */
	int error = getauxval(AT_SECURE)
			    ? ENOENT
			    : posix_spawnp(pid, PROGRAM, actions, attributes, argv, environ);
	return error != ENOENT ? error
			       : posix_spawn(pid, FALLBACK, actions, attributes, argv, environ);
}

/* In a session of its own from the first moment on, so that no Ctrl-C comes between. */
static int prepare(posix_spawnattr_t *attributes)
{
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID);
}

static int arrange(posix_spawn_file_actions_t *actions, const struct start *start)
{
	int error =
		posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, start->writes, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, start->creator, CREATOR);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(actions, CREATOR + 1);
	return error;
}

/* 0 or a negative errno. */
static int launch(struct start *start, const char *const *arguments)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char **argv = make_argv(arguments);
	if (!argv)
		return -ENOMEM;
	int error = posix_spawn_file_actions_init(&actions);
	if (error == 0) {
		error = posix_spawnattr_init(&attributes);
		if (error == 0) {
			error = prepare(&attributes);
			if (error == 0)
				error = arrange(&actions, start);
			if (error == 0)
				error = spawn(&start->launcher, &actions, &attributes, argv);
			posix_spawnattr_destroy(&attributes);
		}
		posix_spawn_file_actions_destroy(&actions);
	}
	if (error != 0)
		start->launcher = 0;
	free(argv);
	close_one(&start->writes);
	return -error;
}

/* Its path, as it tells it: 0, or a negative errno; -EPIPE: it has ended, -ETIMEDOUT. */
static int read_path(struct start *start, char *path, size_t size, int64_t deadline)
{
	size_t used = 0;
	while (used < size) {
		struct pollfd fd = {.fd = start->reads, .events = POLLIN};
		int ready = poll(&fd, 1, dispatch_remaining(deadline));
		ssize_t n = ready > 0 ? read(start->reads, path + used, size - used) : -1;
		if (ready == 0)
			return -ETIMEDOUT;
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
		if (used > 0 && path[used - 1] == '\n') {
			path[used - 1] = '\0';
			return 0;
		}
	}
	return -ENAMETOOLONG;
}

/* ---- what is said of it ---- */

static enum procpool_code not_found(struct procpool_outcome *out, int error)
{
	char message[512];
	const char *told = secure_getenv("PROCPOOL_DAEMON");
	if (told && *told)
		snprintf(message, sizeof(message),
			 "cannot start %.300s, which PROCPOOL_DAEMON names: %s", told,
			 strerrordesc_np(error));
	else if (error == ENOENT)
		snprintf(message, sizeof(message),
			 "there is no " PROGRAM " in $PATH, nor " FALLBACK
			 ": install procpool, or set PROCPOOL_DAEMON to its path");
	else
		snprintf(message, sizeof(message), "cannot start " PROGRAM ": %s",
			 strerrordesc_np(error));
	return outcome_fail(out, PROCPOOL_ERR_NO_DAEMON, error, message);
}

static enum procpool_code not_started(struct procpool_outcome *out, struct start *start, int error)
{
	char message[128];
	if (error == ETIMEDOUT)
		return outcome_fail(out, PROCPOOL_ERR_NO_DAEMON, error,
				    PROGRAM " --private did not listen in time");
	if (error != EPIPE)
		return outcome_fail(out, PROCPOOL_ERR_SYSTEM, error,
				    "cannot tell where " PROGRAM " --private listens");
	snprintf(message, sizeof(message),
		 PROGRAM " --private ended with status %d: it may have told why on standard error",
		 reap(start));
	return outcome_fail(out, PROCPOOL_ERR_NO_DAEMON, 0, message);
}

/* Starts one and tells where it listens. */
static enum procpool_code start_daemon(const char *const *arguments, int64_t deadline, char *path,
				       size_t size, struct procpool_outcome *out)
{
	struct start start = {.creator = -1, .reads = -1, .writes = -1};
	enum procpool_code code = PROCPOOL_OK;
	int r = open_descriptors(&start);
	if (r < 0) {
		code = outcome_fail(out, PROCPOOL_ERR_SYSTEM, -r, "no descriptors for a daemon");
	} else if ((r = launch(&start, arguments)) < 0) {
		code = r == -ENOMEM ? outcome_fail(out, PROCPOOL_ERR_NO_MEMORY, 0, NULL)
				    : not_found(out, -r);
	} else if ((r = read_path(&start, path, size, deadline)) < 0) {
		code = not_started(out, &start, -r);
	} else {
		reap(&start);
	}
	start_fini(&start);
	return code;
}

enum procpool_code procpool_connect_private(const char *const *arguments,
					    const struct procpool_connect_options *options,
					    struct procpool **ret, struct procpool_outcome *out)
{
	struct procpool_connect_options o = PROCPOOL_CONNECT_OPTIONS_INIT;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* with the newline */
	if (options && options->size == 0)
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	o.size = sizeof(o);
	if (o.path)
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	int64_t deadline = o.seconds > 0 ? dispatch_deadline(o.seconds) : -1;
	enum procpool_code code = start_daemon(arguments, deadline, path, sizeof(path), out);
	if (code != PROCPOOL_OK)
		return code;
	o.path = path;
	return procpool_connect(&o, ret, out);
}
