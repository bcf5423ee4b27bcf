/* SPDX-License-Identifier: MIT */
/* Users and groups of the system, by name or number. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum account_status {
	ACCOUNT_FOUND = 0,
	ACCOUNT_UNKNOWN, /* there is none of that name or number */
};

/* Whether it is a number that a user or a group can have. */
bool account_number(const char *text, id_t *ret);

/* Returns enum account_status, or a negative errno where the system cannot say. *ret_name may be
 * NULL, else to be freed. The group is the user's primary one. */
int account_find_user(const char *name_or_number, uid_t *ret_uid, gid_t *ret_gid, char **ret_name);
int account_find_group(const char *name_or_number, gid_t *ret_gid, char **ret_name);

/* Whether the user, whose primary group is given, is in a group. */
bool account_has_group(const char *user, gid_t primary, gid_t group);
