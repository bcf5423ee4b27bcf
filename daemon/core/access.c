/* SPDX-License-Identifier: MIT */
#include "core/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Kept ascending and without doubles, so that what means the same is the same. */
_Static_assert(sizeof(uid_t) == sizeof(gid_t), "users and groups are kept alike");

static int compare(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;
	return x < y ? -1 : x > y;
}

static bool has(const gid_t *ids, size_t count, gid_t id)
{
	return count > 0 && bsearch(&id, ids, count, sizeof(id), compare);
}

static int add(gid_t **ids, size_t *count, gid_t id)
{
	if (has(*ids, *count, id))
		return 0;
	gid_t *longer = reallocarray(*ids, *count + 1, sizeof(id));
	if (!longer)
		return -ENOMEM;
	size_t place = *count;
	for (; place > 0 && longer[place - 1] > id; place--)
		longer[place] = longer[place - 1];
	longer[place] = id;
	*ids = longer;
	(*count)++;
	return 0;
}

const char *access_right_name(unsigned rights)
{
	if (rights & ACCESS_CALL)
		return "call";
	return rights & ACCESS_OBSERVE ? "observe" : "administer";
}

void identity_init(struct identity *identity, uid_t uid, gid_t *groups, size_t group_count)
{
	*identity = (struct identity){uid, groups, group_count};
	for (size_t i = 1; i < group_count; i++)
		if (groups[i - 1] > groups[i]) {
			qsort(groups, group_count, sizeof(*groups), compare);
			break;
		}
}

void identity_fini(struct identity *identity)
{
	free(identity->groups);
	identity->groups = NULL;
	identity->group_count = 0;
}

int access_list_add_user(struct access_list *list, uid_t uid)
{
	return add(&list->users, &list->user_count, uid);
}

int access_list_add_group(struct access_list *list, gid_t gid)
{
	return add(&list->groups, &list->group_count, gid);
}

void access_list_fini(struct access_list *list)
{
	free(list->users);
	free(list->groups);
	*list = (struct access_list){0};
}

void access_fini(struct access *access)
{
	access_list_fini(&access->call);
	access_list_fini(&access->observe);
	access_list_fini(&access->administer);
}

static int list_complete(struct access_list *list, const struct access_list *other)
{
	int r = 0;
	if (list->given)
		return 0;
	access_list_fini(list);
	list->given = other->given;
	list->everyone = other->everyone;
	for (size_t i = 0; r == 0 && i < other->user_count; i++)
		r = access_list_add_user(list, other->users[i]);
	for (size_t i = 0; r == 0 && i < other->group_count; i++)
		r = access_list_add_group(list, other->groups[i]);
	return r;
}

int access_complete(struct access *access, const struct access *other)
{
	int r = list_complete(&access->call, &other->call);
	if (r == 0)
		r = list_complete(&access->observe, &other->observe);
	return r < 0 ? r : list_complete(&access->administer, &other->administer);
}

static bool list_grants(const struct access_list *list, const struct identity *identity)
{
	if (list->everyone || has(list->users, list->user_count, identity->uid))
		return true;
	for (size_t i = 0; i < list->group_count; i++)
		if (has(identity->groups, identity->group_count, list->groups[i]))
			return true;
	return false;
}

unsigned access_rights(const struct access *access, const struct identity *identity)
{
	unsigned rights = 0;
	if (list_grants(&access->call, identity))
		rights |= ACCESS_CALL;
	if (list_grants(&access->observe, identity))
		rights |= ACCESS_OBSERVE;
	if (list_grants(&access->administer, identity))
		rights |= ACCESS_ADMINISTER | ACCESS_OBSERVE;
	return rights;
}

static bool list_has_any(const struct access_list *list)
{
	return list->everyone || list->user_count > 0 || list->group_count > 0;
}

bool access_grants(const struct access *access)
{
	return list_has_any(&access->call) || list_has_any(&access->observe) ||
	       list_has_any(&access->administer);
}

static bool same_ids(const gid_t *a, size_t a_count, const gid_t *b, size_t b_count)
{
	return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof(*a)) == 0);
}

static bool list_equal(const struct access_list *a, const struct access_list *b)
{
	return a->everyone == b->everyone &&
	       same_ids(a->users, a->user_count, b->users, b->user_count) &&
	       same_ids(a->groups, a->group_count, b->groups, b->group_count);
}

bool access_equal(const struct access *a, const struct access *b)
{
	return list_equal(&a->call, &b->call) && list_equal(&a->observe, &b->observe) &&
	       list_equal(&a->administer, &b->administer);
}
