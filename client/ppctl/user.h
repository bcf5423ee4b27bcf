/* SPDX-License-Identifier: MIT */
/* Who this process is, as a daemon sees it: the user and the groups of the kernel's, which need not
 * be those of /etc/group since the user logged in. */
#pragma once

#include <grp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "procpool/value.h"

struct text;

/* The group whose members may call, unless the configuration says else. */
#define USER_GROUP "procpool"

/* The group of those that pools may run as. The other is the daemon's, and the launcher starts
 * nothing as a member of that. */
#define USER_WORKER_GROUP "procpool-worker"

enum membership {
	MEMBERSHIP_NO_GROUP, /* there is no such group */
	MEMBERSHIP_NONE,
	MEMBERSHIP_LATER, /* since the session began: it has it from the next one on */
	MEMBERSHIP_MEMBER,
};

struct user {
	uid_t uid;
	gid_t gid;
	char *name;    /* owned; the number where it has no name */
	gid_t *groups; /* owned; the primary one among them */
	size_t group_count;
	enum membership membership; /* in USER_GROUP */
	enum membership worker;     /* in USER_WORKER_GROUP */
};

void user_init(struct user *user);
void user_fini(struct user *user);

/* Whether it helps to put the user into USER_GROUP, and harms nothing. */
bool user_may_join(const struct user *user);

/* Of a user with those groups in a group (NULL: there is none) as the system's lists have it.
 * primary: the primary group that the lists have for the user. */
enum membership user_membership(const struct user *user, gid_t primary, const struct group *group);

/* Appends the name, or the number of one without. */
void user_add_uid(struct text *out, uid_t uid);
void user_add_gid(struct text *out, gid_t gid);

/* The user as a map. */
void user_write(struct procpool_writer *w, const struct user *user);
