/* SPDX-License-Identifier: MIT */
/* The world's configuration is replaced: world_update(). */
#include "../unit/test.h"
#include "world.h"

/* Those that were just added are of this kind. */
static void play_added(struct world *world, enum fake_kind kind, const char *const *functions)
{
	struct pool *pool;
	TAILQ_FOREACH (pool, &world->core.pools, in_core)
		if (pool->change == UPDATE_ADDED)
			world_play(world, pool, kind, functions);
}

uint32_t world_update(struct world *world, struct session *session, struct pool_spec **specs,
		      size_t count, enum fake_kind kind, const char *const *functions)
{
	static const char *const restart[] = {"socket", NULL};
	struct update_plan plan = {.specs = specs, .count = count, .restart = restart};
	uint32_t msgid = ++world->last_msgid;
	struct outcome done;
	if (core_update(&world->core, session, msgid, &plan, world->now_us, &done))
		play_added(world, kind, functions);
	else
		core_reply(&world->core, session, msgid, &done);
	outcome_fini(&done);
	for (size_t i = 0; i < count; i++)
		pool_spec_unref(specs[i]);
	world_settle(world);
	return msgid;
}
