/* SPDX-License-Identifier: MIT */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define NOBODY ((struct listener){.fd = -1, .reserve = -1, .lock = -1})

/* Writes the sentence and returns the error. */
__attribute__((format(printf, 3, 4))) static int failure(int error, char **ret_error,
							 const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vasprintf(ret_error, format, args) < 0)
		*ret_error = NULL;
	va_end(args);
	return error;
}

int listener_default_path(char **ret, char **ret_error)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;
	int n;
	if (geteuid() == 0)
		n = asprintf(&path, "/run/procpool/procpoold.sock");
	else if (runtime && runtime[0] == '/')
		n = asprintf(&path, "%s/procpool/procpoold.sock", runtime);
	else
		return failure(
			-ENOENT, ret_error,
			"there is no default place for the socket, because XDG_RUNTIME_DIR is "
			"not set: name one with --socket PATH");
	if (n < 0)
		return failure(-ENOMEM, ret_error, "out of memory");
	*ret = path;
	return 0;
}

static int make_parent(const char *path, char **ret_error)
{
	char *parent = strdup(path);
	if (!parent)
		return failure(-ENOMEM, ret_error, "out of memory");
	int r = 0;
	char *slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		if (mkdir(parent, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
			r = failure(-errno, ret_error,
				    "cannot make the directory %s of the socket: %s", parent,
				    strerror(errno));
	}
	free(parent);
	return r;
}

/* Whether the file that the descriptor has open is still the one of that name. */
static bool is_still_named(int fd, const char *path)
{
	struct stat open, named;
	return fstat(fd, &open) == 0 && lstat(path, &named) == 0 && open.st_dev == named.st_dev &&
	       open.st_ino == named.st_ino;
}

static char *lock_path(const char *path)
{
	char *name;
	return asprintf(&name, "%s.lock", path) < 0 ? NULL : name;
}

/* Opens and locks the file. 0, or a negative errno. */
static int open_locked(const char *name, int *ret)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	*ret = fd;
	return 0;
}

/*
 * Takes the lock beside path, or fails where another daemon has it. Its holder removes the file at
 * its end, so the one that was locked may be nobody's any more: then there is another to try.
 */
static int take_lock(struct listener *listener, const char *path, char **ret_error)
{
	char *name = lock_path(path);
	if (!name)
		return failure(-ENOMEM, ret_error, "out of memory");
	int r = open_locked(name, &listener->lock);
	while (r == 0 && !is_still_named(listener->lock, name)) {
		close(listener->lock);
		listener->lock = -1;
		r = open_locked(name, &listener->lock);
	}
	if (r == -EWOULDBLOCK)
		r = failure(-EADDRINUSE, ret_error, "another procpoold serves %s", path);
	else if (r < 0)
		failure(r, ret_error, "cannot lock %s: %s", name, strerror(-r));
	free(name);
	return r;
}

static void drop_lock(struct listener *listener, const char *path)
{
	if (listener->lock < 0)
		return;
	char *name = lock_path(path);
	if (name && is_still_named(listener->lock, name))
		unlink(name);
	free(name);
	close(listener->lock);
	listener->lock = -1;
}

/* Whether somebody listens on the socket of that name: 0 nobody, or a negative errno. */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno
										    : -EADDRINUSE;
	close(fd);
	/* A full backlog, or a socket of another type: somebody's, too. */
	if (r == -EAGAIN || r == -EPROTOTYPE)
		r = -EADDRINUSE;
	return r == -ECONNREFUSED || r == -ENOENT ? 0 : r;
}

/* Removes what a dead daemon has left, and nothing else. */
static int remove_stale(const struct sockaddr_un *address, char **ret_error)
{
	const char *path = address->sun_path;
	struct stat named;
	if (lstat(path, &named) < 0)
		return errno == ENOENT ? 0
				       : failure(-errno, ret_error, "cannot look at %s: %s", path,
						 strerror(errno));
	if (!S_ISSOCK(named.st_mode))
		return failure(-EEXIST, ret_error,
			       "%s exists and is not a socket: remove it, or name another place",
			       path);
	int r = probe(address);
	if (r == -EADDRINUSE)
		return failure(r, ret_error, "somebody listens on %s already", path);
	if (r < 0)
		return failure(r, ret_error, "cannot tell whether somebody listens on %s: %s", path,
			       strerror(-r));
	if (unlink(path) < 0 && errno != ENOENT)
		return failure(-errno, ret_error, "cannot remove the stale socket %s: %s", path,
			       strerror(errno));
	return 0;
}

static int bind_and_listen(struct listener *listener, const struct sockaddr_un *address,
			   bool shared, char **ret_error)
{
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return failure(-errno, ret_error, "cannot make a socket: %s", strerror(errno));
	mode_t mask = umask(shared ? 0111 : 0177);
	int r = bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno
											   : 0;
	umask(mask);
	if (r < 0)
		return failure(r, ret_error, "cannot bind %s: %s", address->sun_path, strerror(-r));
	struct stat named;
	if (lstat(address->sun_path, &named) == 0) {
		listener->dev = named.st_dev;
		listener->ino = named.st_ino;
	}
	if (listen(listener->fd, LISTENER_BACKLOG) < 0)
		return failure(-errno, ret_error, "cannot listen on %s: %s", address->sun_path,
			       strerror(errno));
	return 0;
}

int listener_bind(struct listener *listener, const char *path, unsigned flags, char **ret_error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*listener = NOBODY;
	if (path[0] == '\0')
		return failure(-EINVAL, ret_error, "the path of the socket is empty");
	if (strlen(path) >= sizeof(address.sun_path))
		return failure(
			-ENAMETOOLONG, ret_error,
			"the path of the socket is %zu bytes long, and the system allows %zu: %s",
			strlen(path), sizeof(address.sun_path) - 1, path);
	strcpy(address.sun_path, path);
	listener->path = strdup(path);
	listener->shared = flags & LISTENER_SHARED;
	int r = listener->path ? 0 : failure(-ENOMEM, ret_error, "out of memory");
	if (r == 0 && (flags & LISTENER_MAKE_DIRECTORY))
		r = make_parent(path, ret_error);
	if (r == 0)
		r = take_lock(listener, path, ret_error);
	if (r == 0)
		r = remove_stale(&address, ret_error);
	if (r == 0)
		r = bind_and_listen(listener, &address, flags & LISTENER_SHARED, ret_error);
	if (r < 0)
		listener_fini(listener);
	else
		listener_refill(listener);
	return r;
}

/*
 * Whether a descriptor of that name is meant for clients: by the name that the units give it, by
 * the one that systemd gives where they give none, or by none. Any other is of a unit that wants
 * something else of its service, and what connects there must not get a pool.
 */
static bool is_our_name(const char *name)
{
	static const char *const ours[] = {"procpoold", "procpoold.socket", "unknown"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

/* Makes a passed descriptor a listener, or says why it cannot be one. */
static int take_passed(struct listener *listener, int fd, const char *name, char **ret_error)
{
	*listener = NOBODY;
	if (!is_our_name(name))
		return failure(-EINVAL, ret_error,
			       "the passed descriptor %s is not known here: give its socket unit "
			       "FileDescriptorName=procpoold",
			       name);
	int r = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0);
	if (r < 0)
		return failure(r, ret_error, "cannot look at the passed descriptor %s: %s", name,
			       strerror(-r));
	if (r == 0)
		return failure(-EINVAL, ret_error,
			       "the passed descriptor %s is not a listening Unix stream socket",
			       name);
	/* LISTEN_FDS's are close-on-exec already: sd_listen_fds() saw to it. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return failure(-errno, ret_error,
			       "cannot make the passed descriptor %s non-blocking: %s", name,
			       strerror(errno));
	listener->fd = fd;
	r = listener_place(listener, &listener->path);
	if (r == -ENOENT)
		listener->path = strdup(name);
	if (!listener->path) {
		*listener = NOBODY;
		return failure(-ENOMEM, ret_error, "out of memory");
	}
	listener->passed = true;
	return 0;
}

int listener_take_passed(struct listener listeners[], size_t max, char **ret_error)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int r = 0, taken = 0;
	if (count < 0)
		return failure(count, ret_error, "cannot make out which sockets were passed: %s",
			       strerror(-count));
	if ((size_t)count > max)
		r = failure(-E2BIG, ret_error, "%d sockets were passed, and at most %zu are taken",
			    count, max);
	while (r == 0 && taken < count) {
		const char *name = names ? names[taken] : "unknown";
		r = take_passed(&listeners[taken], SD_LISTEN_FDS_START + taken, name, ret_error);
		if (r == 0)
			listener_refill(&listeners[taken++]);
	}
	if (r < 0) {
		for (int i = 0; i < taken; i++)
			listener_fini(&listeners[i]);
		for (int i = taken; i < count; i++)
			close(SD_LISTEN_FDS_START + i);
	}
	for (int i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
	return r < 0 ? r : count;
}

/* Removes the socket's file if it is still the one made here. */
static void remove_socket(const struct listener *listener)
{
	struct stat named;
	if (listener->ino != 0 && lstat(listener->path, &named) == 0 &&
	    named.st_dev == listener->dev && named.st_ino == listener->ino)
		unlink(listener->path);
}

void listener_fini(struct listener *listener)
{
	/* While the lock is held; and before the socket is closed, so that it is never seen stale.
	 */
	if (listener->path && !listener->passed) {
		remove_socket(listener);
		drop_lock(listener, listener->path);
	}
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->reserve >= 0)
		close(listener->reserve);
	free(listener->path);
	*listener = NOBODY;
}

int listener_place(const struct listener *listener, char **ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(address) - 1; /* leaves a NUL at the end */
	if (getsockname(listener->fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	const char *path = address.sun_path;
	if (path[0] == '\0') /* unnamed, or abstract */
		return -ENOENT;
	char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] != '/' && !directory)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	int n = directory ? asprintf(ret, "%s/%s", directory, path) : asprintf(ret, "%s", path);
	free(directory);
	return n < 0 ? -ENOMEM : 0;
}

bool listener_refill(struct listener *listener)
{
	if (listener->reserve < 0)
		listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return listener->reserve >= 0;
}

/* One connection, or a negative errno; connections that ended while they waited are passed over. */
static int accept_one(int fd)
{
	int connection;
	do
		connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (connection < 0 && (errno == EINTR || errno == ECONNABORTED));
	return connection < 0 ? -errno : connection;
}

static bool is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

int listener_accept(struct listener *listener, int *ret_fd)
{
	int status = LISTENER_ACCEPTED;
	int fd = accept_one(listener->fd);
	if (is_shortage(fd) && listener->reserve >= 0) {
		close(listener->reserve);
		listener->reserve = -1;
		status = LISTENER_FULL;
		fd = accept_one(listener->fd);
		if (fd < 0)
			listener_refill(listener);
	}
	if (fd == -EAGAIN)
		return LISTENER_BLOCKED;
	if (is_shortage(fd))
		return LISTENER_STARVED;
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return status;
}
