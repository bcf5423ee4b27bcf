/* SPDX-License-Identifier: MIT */
/*
 * The environment of a runtime: the daemon's, without what a service manager said to the daemon
 * alone, with what its pool adds, and with how many threads libraries should start.
 */
#pragma once

/*
 * A new array of "NAME=value"s, most of them borrowed; to be freed as a whole with free(). NULL
 * without memory. added: NULL-terminated, or NULL; what is there replaces the daemon's, and what
 * is there without a '=' is removed. threads: for OMP_NUM_THREADS and its like, where neither the
 * daemon's environment nor added names them; 0: does not say.
 */
char **environment_make(char *const *added, unsigned threads);
