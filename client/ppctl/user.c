/* SPDX-License-Identifier: MIT */
#include "user.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static void add_id(struct text *out, const char *name, id_t id)
{
	if (name)
		text_addf(out, "%s (%u)", name, id);
	else
		text_addf(out, "%u", id);
}

void user_add_uid(struct text *out, uid_t uid)
{
	const struct passwd *passwd = getpwuid(uid);
	add_id(out, passwd ? passwd->pw_name : NULL, uid);
}

void user_add_gid(struct text *out, gid_t gid)
{
	const struct group *group = getgrgid(gid);
	add_id(out, group ? group->gr_name : NULL, gid);
}

static bool has_group(const struct user *user, gid_t gid)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return true;
	return false;
}

enum membership user_membership(const struct user *user, gid_t primary, const struct group *group)
{
	if (!group)
		return MEMBERSHIP_NO_GROUP;
	if (has_group(user, group->gr_gid))
		return MEMBERSHIP_MEMBER;
	if (primary == group->gr_gid)
		return MEMBERSHIP_LATER;
	for (char **name = group->gr_mem; *name; name++)
		if (strcmp(*name, user->name) == 0)
			return MEMBERSHIP_LATER;
	return MEMBERSHIP_NONE;
}

static void read_groups(struct user *user)
{
	int count = getgroups(0, NULL);
	user->groups = calloc(count > 0 ? (size_t)count + 1 : 1, sizeof(*user->groups));
	if (!user->groups)
		text_no_memory();
	if (count > 0)
		count = getgroups(count, user->groups);
	user->group_count = count > 0 ? (size_t)count : 0;
	if (!has_group(user, user->gid))
		user->groups[user->group_count++] = user->gid;
}

void user_init(struct user *user)
{
	struct text number = {0};
	*user = (struct user){.uid = geteuid(), .gid = getegid()};
	const struct passwd *passwd = getpwuid(user->uid);
	gid_t primary = passwd ? passwd->pw_gid : user->gid;
	text_addf(&number, "%u", user->uid);
	user->name = strdup(passwd ? passwd->pw_name : text_cstring(&number));
	text_fini(&number);
	if (!user->name)
		text_no_memory();
	read_groups(user);
	user->membership = user_membership(user, primary, getgrnam(USER_GROUP));
	user->worker = user_membership(user, primary, getgrnam(USER_WORKER_GROUP));
}

bool user_may_join(const struct user *user)
{
	return user->membership == MEMBERSHIP_NONE &&
	       (user->worker == MEMBERSHIP_NONE || user->worker == MEMBERSHIP_NO_GROUP);
}

void user_fini(struct user *user)
{
	free(user->name);
	free(user->groups);
}

void user_write(struct procpool_writer *w, const struct user *user)
{
	static const char *const memberships[] = {
		[MEMBERSHIP_NO_GROUP] = "no-group",
		[MEMBERSHIP_NONE] = "none",
		[MEMBERSHIP_LATER] = "later",
		[MEMBERSHIP_MEMBER] = "member",
	};
	procpool_write_map(w, 5);
	procpool_write_string(w, "uid");
	procpool_write_uint(w, user->uid);
	procpool_write_string(w, "name");
	procpool_write_string(w, user->name);
	procpool_write_string(w, "gid");
	procpool_write_uint(w, user->gid);
	procpool_write_string(w, "groups");
	procpool_write_array(w, user->group_count);
	for (size_t i = 0; i < user->group_count; i++)
		procpool_write_uint(w, user->groups[i]);
	procpool_write_string(w, "membership");
	procpool_write_string(w, memberships[user->membership]);
}
