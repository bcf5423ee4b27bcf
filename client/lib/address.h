/* SPDX-License-Identifier: MIT */
/* Where a client looks for the daemon's socket (PROTOCOL.md, "Transport"). */
#pragma once

#include <sys/un.h>

#define ADDRESS_MAX 2

struct address_list {
	unsigned count;
	struct sockaddr_un at[ADDRESS_MAX]; /* sun_path is NUL-terminated */
};

/*
 * The places to try, in order. path: the only one, or NULL for the environment and the well-known
 * ones. 0, or -ENAMETOOLONG.
 */
int address_search(const char *path, struct address_list *ret);
