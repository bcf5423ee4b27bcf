/* SPDX-License-Identifier: MIT */
#include "io/account.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES_MIN 1024
#define ENTRY_BYTES_MAX (16U << 20) /* groups may have many members */

bool account_number(const char *text, id_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long n = strtoul(text, NULL, 10);
	if (digits == 0 || digits > 10 || text[digits] != '\0' || n >= UINT32_MAX)
		return false;
	*ret = (id_t)n;
	return true;
}

/* What functions that look up return where there is nothing differs. */
static int status_of(int error, const void *found)
{
	if (found)
		return ACCOUNT_FOUND;
	return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM
		       ? ACCOUNT_UNKNOWN
		       : -error;
}

static int find_user(const char *text, uid_t *ret_uid, gid_t *ret_gid, char **ret_name,
		     size_t bytes)
{
	struct passwd entry, *found = NULL;
	id_t id;
	char *buffer = malloc(bytes);
	if (!buffer)
		return -ENOMEM;
	int error = account_number(text, &id) ? getpwuid_r(id, &entry, buffer, bytes, &found)
					      : getpwnam_r(text, &entry, buffer, bytes, &found);
	int r = status_of(error, found);
	if (r == ACCOUNT_FOUND && ret_name) {
		*ret_name = strdup(found->pw_name);
		r = *ret_name ? r : -ENOMEM;
	}
	if (r == ACCOUNT_FOUND) {
		*ret_uid = found->pw_uid;
		*ret_gid = found->pw_gid;
	}
	free(buffer);
	return r;
}

static int find_group(const char *text, gid_t *ret_gid, char **ret_name, size_t bytes)
{
	struct group entry, *found = NULL;
	id_t id;
	char *buffer = malloc(bytes);
	if (!buffer)
		return -ENOMEM;
	int error = account_number(text, &id) ? getgrgid_r(id, &entry, buffer, bytes, &found)
					      : getgrnam_r(text, &entry, buffer, bytes, &found);
	int r = status_of(error, found);
	if (r == ACCOUNT_FOUND && ret_name) {
		*ret_name = strdup(found->gr_name);
		r = *ret_name ? r : -ENOMEM;
	}
	if (r == ACCOUNT_FOUND)
		*ret_gid = found->gr_gid;
	free(buffer);
	return r;
}

int account_find_user(const char *name_or_number, uid_t *ret_uid, gid_t *ret_gid, char **ret_name)
{
	int r = -ERANGE;
	for (size_t bytes = ENTRY_BYTES_MIN; r == -ERANGE && bytes <= ENTRY_BYTES_MAX; bytes *= 4)
		r = find_user(name_or_number, ret_uid, ret_gid, ret_name, bytes);
	return r;
}

int account_find_group(const char *name_or_number, gid_t *ret_gid, char **ret_name)
{
	int r = -ERANGE;
	for (size_t bytes = ENTRY_BYTES_MIN; r == -ERANGE && bytes <= ENTRY_BYTES_MAX; bytes *= 4)
		r = find_group(name_or_number, ret_gid, ret_name, bytes);
	return r;
}

bool account_has_group(const char *user, gid_t primary, gid_t group)
{
	gid_t *groups = NULL;
	bool has = false;
	int count = 0;
	if (getgrouplist(user, primary, NULL, &count) >= 0 || count <= 0)
		return primary == group;
	groups = reallocarray(NULL, (size_t)count, sizeof(*groups));
	if (groups && getgrouplist(user, primary, groups, &count) >= 0)
		for (int i = 0; i < count; i++)
			has = has || groups[i] == group;
	free(groups);
	return has;
}
