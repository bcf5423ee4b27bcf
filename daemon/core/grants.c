/* SPDX-License-Identifier: MIT */
#include "core/grants.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/core.h"

/* ---- of one session ---- */

static void set_any(struct granted *granted)
{
	granted->any = 0;
	for (unsigned i = 0; i < granted->count; i++)
		granted->any |= granted->rights[i];
}

static void set_rights(struct granted *granted, const struct grants *grants, unsigned number)
{
	const struct grant *grant = &grants->list[number];
	granted->rights[number] =
		grant->refs > 0 ? (uint8_t)access_rights(&grant->access, &granted->identity) : 0;
}

/* Room for the rights by so many lists, which are none yet. */
static int extend(struct granted *granted, unsigned count)
{
	if (count <= granted->count)
		return 0;
	uint8_t *rights = reallocarray(granted->rights, count, sizeof(*rights));
	if (!rights)
		return -ENOMEM;
	for (unsigned i = granted->count; i < count; i++)
		rights[i] = 0;
	granted->rights = rights;
	granted->count = count;
	return 0;
}

int granted_init(struct granted *granted, const struct core *core, struct identity *identity)
{
	const struct grants *grants = &core->grants;
	*granted = (struct granted){.identity = *identity};
	*identity = (struct identity){0};
	if (extend(granted, grants->count) < 0) {
		granted_fini(granted);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < grants->count; i++)
		set_rights(granted, grants, i);
	set_any(granted);
	return 0;
}

void granted_fini(struct granted *granted)
{
	identity_fini(&granted->identity);
	free(granted->rights);
	*granted = (struct granted){0};
}

unsigned grants_any(const struct core *core, const struct identity *identity)
{
	unsigned any = 0;
	for (unsigned i = 0; i < core->grants.count; i++)
		if (core->grants.list[i].refs > 0)
			any |= access_rights(&core->grants.list[i].access, identity);
	return any;
}

/* ---- of all ---- */

static void tell_sessions(struct core *core, unsigned number)
{
	struct session *session;
	LIST_FOREACH (session, &core->sessions, in_core) {
		set_rights(&session->granted, &core->grants, number);
		set_any(&session->granted);
	}
}

static bool find(const struct grants *grants, const struct access *access, unsigned *ret_number)
{
	for (unsigned i = 0; i < grants->count; i++) {
		if (grants->list[i].refs == 0 || !access_equal(&grants->list[i].access, access))
			continue;
		*ret_number = i;
		return true;
	}
	return false;
}

/* A number that is free, for which every session has room. */
static int find_free(struct core *core, unsigned *ret_number)
{
	struct grants *grants = &core->grants;
	unsigned number = 0;
	while (number < grants->count && grants->list[number].refs > 0)
		number++;
	struct session *session;
	LIST_FOREACH (session, &core->sessions, in_core)
		if (extend(&session->granted, number + 1) < 0)
			return -ENOMEM;
	if (number == grants->count) {
		struct grant *list = reallocarray(grants->list, number + 1, sizeof(*list));
		if (!list)
			return -ENOMEM;
		grants->list = list;
		grants->list[grants->count++] = (struct grant){0};
	}
	*ret_number = number;
	return 0;
}

int grants_take(struct core *core, const struct access *access, unsigned *ret_number)
{
	struct access copy = {0};
	unsigned number;
	if (find(&core->grants, access, ret_number)) {
		core->grants.list[*ret_number].refs++;
		return 0;
	}
	if (access_complete(&copy, access) < 0 || find_free(core, &number) < 0) {
		access_fini(&copy);
		return -ENOMEM;
	}
	core->grants.list[number] = (struct grant){copy, 1};
	tell_sessions(core, number);
	*ret_number = number;
	return 0;
}

void grants_release(struct core *core, unsigned number)
{
	struct grant *grant = &core->grants.list[number];
	assert(number < core->grants.count && grant->refs > 0);
	if (--grant->refs > 0)
		return;
	access_fini(&grant->access);
	tell_sessions(core, number);
}

void grants_fini(struct core *core)
{
	for (unsigned i = 0; i < core->grants.count; i++)
		assert(core->grants.list[i].refs == 0);
	free(core->grants.list);
	core->grants = (struct grants){0};
}
