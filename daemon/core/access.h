/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: three rights, each with a list of users and groups that have it, for the daemon
 * and for each pool. What no list grants is denied.
 *
 * To administer includes to observe; neither includes to call. Names are numbers here: whoever
 * reads the configuration has looked them up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Bits of a set. */
enum access_right {
	ACCESS_CALL = 1,       /* functions, and what becomes of the calls */
	ACCESS_OBSERVE = 2,    /* what there is and what happens, but no arguments and results */
	ACCESS_ADMINISTER = 4, /* what there is, and results and calls of others */
	ACCESS_ALL = 7,
};

/* "call", "observe" or "administer": the least of the rights of a set. */
const char *access_right_name(unsigned rights);

/* Who is at the other end, as the kernel said when it connected. */
struct identity {
	uid_t uid;
	gid_t *groups; /* owned, ascending; the primary one and the supplementary ones */
	size_t group_count;
};

struct access_list {
	bool given;    /* it was said, perhaps that nobody has it; else another list counts */
	bool everyone; /* has it */
	uid_t *users;  /* owned, as groups */
	size_t user_count;
	gid_t *groups;
	size_t group_count;
};

struct access {
	struct access_list call, observe, administer;
};

/* Takes over the groups (NULL where there are none), and sorts them. */
void identity_init(struct identity *identity, uid_t uid, gid_t *groups, size_t group_count);
void identity_fini(struct identity *identity);

/* 0 or -ENOMEM. */
int access_list_add_user(struct access_list *list, uid_t uid);
int access_list_add_group(struct access_list *list, gid_t gid);
/* Nobody is in it, and it was not given. */
void access_list_fini(struct access_list *list);

void access_fini(struct access *access);

/* What was not given is as in the other, which is copied. 0 or -ENOMEM. */
int access_complete(struct access *access, const struct access *other);

/* The rights that the lists grant. */
unsigned access_rights(const struct access *access, const struct identity *identity);

/* Whether they grant anything to anybody. */
bool access_grants(const struct access *access);

/* Whether both grant the same, in whatever order they say it. */
bool access_equal(const struct access *a, const struct access *b);
