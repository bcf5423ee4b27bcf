/* SPDX-License-Identifier: MIT */
/*
 * A listening Unix socket: one that a service manager passed in, or one bound here.
 *
 * A socket bound here has its mode, 0600 or 0666, from its first moment (umask, no chmod) and is
 * guarded by a lock file beside it, PATH.lock, held as long as the listener lives: only its holder
 * removes a stale socket or binds, so that of two daemons that start together exactly one wins.
 * Binding under another name and renaming was rejected: it cannot tell a stale socket from one that
 * somebody bound a moment ago, and the loser would go on listening where nobody can reach it. Both
 * files are removed at the end, if they are still the ones made here. A passed socket is never
 * unlinked.
 *
 * ret_error: on failure a sentence for people, to be freed (NULL without memory).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LISTENER_BACKLOG    4096
#define LISTENER_PASSED_MAX 16

struct listener {
	int fd;      /* owned, non-blocking; -1: none */
	int reserve; /* a descriptor to be given up for an accept when there are none left; -1: none
		      */
	int lock;    /* PATH.lock, locked; -1: passed */
	bool passed;
	bool shared; /* made here, for every user to connect */
	char *path;  /* owned; as given; of a passed socket where it is, or its name */
	dev_t dev;   /* of the socket's file */
	ino_t ino;
};

/* The place where a daemon of this user listens unless told otherwise: 0 and *ret to be freed, or
 * -ENOENT where there is no $XDG_RUNTIME_DIR, with *ret_error. */
int listener_default_path(char **ret, char **ret_error);

enum listener_flag {
	LISTENER_MAKE_DIRECTORY = 1, /* a missing last directory of the path is made (0700, for root
				      * 0755), as for the default path */
	LISTENER_SHARED = 2, /* every user may connect, and rights decide what comes of it; else
			      * only the own user and root */
};

/* Binds path and listens. Fails with -EADDRINUSE where somebody listens there. */
int listener_bind(struct listener *listener, const char *path, unsigned flags, char **ret_error);

/*
 * Takes the listening Unix stream sockets that a service manager passed (LISTEN_FDS), and removes
 * them from the environment. Their names (LISTEN_FDNAMES) are procpoold, procpoold.socket, or none.
 * Returns how many (0: none were passed), or a negative errno, when one of them is something else
 * or there are more than max; nothing is taken then.
 */
int listener_take_passed(struct listener listeners[], size_t max, char **ret_error);

/* Closes, and removes the socket and the lock made here. Takes a finished one, or one that failed
 * to be made, too. */
void listener_fini(struct listener *listener);

enum listener_status {
	LISTENER_ACCEPTED = 0, /* *ret_fd is a connection, owned by the caller */
	LISTENER_BLOCKED,      /* nobody waits */
	LISTENER_FULL, /* *ret_fd is a connection that takes the last descriptor, the reserve: say
			* why it cannot be served, close it, and call listener_refill() */
	LISTENER_STARVED, /* there is no descriptor, not even to see whether somebody waits: stop
			   * watching until one was closed, then listener_refill() */
};

/*
 * Accepts one connection, close-on-exec and non-blocking. Returns enum listener_status or a
 * negative errno: the listener itself is unusable.
 */
int listener_accept(struct listener *listener, int *ret_fd);

/* The absolute path of the socket, also of one that was passed: 0 and *ret to be freed; -ENOENT
 * where it has none, -ENOMEM. */
int listener_place(const struct listener *listener, char **ret);

/* Gets the reserve descriptor back. False: there is still none. */
bool listener_refill(struct listener *listener);
