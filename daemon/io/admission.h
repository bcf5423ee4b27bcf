/* SPDX-License-Identifier: MIT */
/*
 * Who connects, and what whoever is not served is told.
 *
 * The kernel noted user and groups when the peer connected. They are the identity; the pid that it
 * noted, too, may be another process's by now and is never looked at. A user cannot choose its
 * groups, and has at most IDENTITY_GROUPS_MAX: a quarter of a mebibyte for each of the connections
 * that it may have, so that they are charged to no account.
 */
#pragma once

#include <stdint.h>

#include "core/access.h"

#define IDENTITY_GROUPS_MAX                                                                        \
	65536U /* as the kernel's NGROUPS_MAX; with the primary one, one more                      \
		*/

/* 0, or a negative errno: it cannot be told who that is. */
int admission_identify(int fd, struct identity *ret);

/* Says why a connection is not served, and closes it. */

/* limit: the name of the limit that forbids it, or NULL. */
void admission_refuse_busy(int fd, const char *limit);
/* It has no right at all. */
void admission_refuse_denied(int fd);

/* How often that was; the log has a line a second of it at most. */
struct denials {
	uint64_t logged_us; /* 0: never */
	uint64_t untold;    /* since then */
};
void denials_note(struct denials *denials, uid_t uid, uint64_t now_us);
