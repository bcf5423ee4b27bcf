/* SPDX-License-Identifier: MIT */
/*
 * The environment of a runtime: the daemon's, without what a service manager said to the daemon
 * alone, with what its pool adds, with how many threads libraries should start, and with the place
 * where the daemon itself is found, so that calls made in a worker come to it.
 */
#pragma once

#include <stdbool.h>

/*
 * A new array of "NAME=value"s, most of them borrowed; to be freed as a whole with free(). NULL
 * without memory. added: NULL-terminated, or NULL; what is there replaces the daemon's, and what
 * is there without a '=' is removed. clear: nothing of the daemon's is in it. other_user: nor is
 * what is true of the daemon's user; what is removed is in it as a "NAME", for launched.c. threads:
 * for OMP_NUM_THREADS and its like, where neither the daemon's environment nor added names them; 0:
 * does not say. socket: for PROCPOOL_SOCKET, which it becomes whatever the daemon's environment and
 * added say: all of its "NAME=value", borrowed too; NULL where the daemon cannot be named: then
 * there is none.
 */
char **environment_make(char *const *added, bool clear, bool other_user, unsigned threads,
			char *socket);

/* Whether there is the variable, with a value or without a '='. It is a "NAME" or a "NAME=value".
 */
bool environment_has(char *const *environment, const char *variable);
