/* SPDX-License-Identifier: MIT */
/*
 * Tasks that take longer than their pool's slow_us: noted once when they have ended, for whoever
 * executes actions to log. One that still runs then is noted, too, since one that hangs never ends:
 * when its worker's health is looked at, up to a second or two later, so that it costs no timer.
 *
 * Results come in batches, with one time for all: of a batch that took so long, one task did. What
 * is lost with its worker is told with that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/pool.h"

/* Whether tasks that took us together are to be noted. */
static inline bool slow_is(const struct pool *pool, uint64_t us)
{
	uint64_t slow_us = pool->spec->slow_us;
	return slow_us > 0 && us > slow_us;
}

/* The next `count` tasks of the chunk that are not answered took us together, slow_is(), and ended
 * so. */
void slow_ended(struct worker *worker, const struct chunk *chunk, uint32_t count, uint64_t us,
		enum error_code code);

/* The worker has been quiet for a while. */
void slow_look(struct worker *worker, uint64_t now_us);
