/* SPDX-License-Identifier: MIT */
/*
 * What a process that the launcher starts is to be, in a memory file that goes to it with its other
 * descriptors: it is read by the program procpool-exec (launched.c), as the process's own user.
 *
 * A head of fixed size, and strings with their ends behind it: the arguments, the variables, the
 * working directory. Both programs are of one build; what is read is checked all the same.
 */
#pragma once

#include <sys/resource.h>

#include "core/process_settings.h"

/* More than the system takes for a program. */
#define LAUNCH_SPEC_BYTES_MAX (8 << 20)

struct launch_spec {
	char **argv;
	char **environment;               /* "NAME=value"; "NAME" is not to be there */
	struct process_settings settings; /* but the environment */
	rlim_t descriptors;               /* soft limit; 0: as it is */
	char *bytes;                      /* owned, of one that was read: where the strings are */
};

/* Writes it to a new file, whose descriptor is the caller's. 0 or a negative errno. */
int launch_spec_write(const struct launch_spec *spec, int *ret_fd);

/* Reads it. 0 or a negative errno: -EPROTO where it is none. */
int launch_spec_read(int fd, struct launch_spec *ret);
/* Of one that was read. */
void launch_spec_fini(struct launch_spec *spec);
