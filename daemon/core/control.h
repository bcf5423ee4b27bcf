/* SPDX-License-Identifier: MIT */
/*
 * What an administrator does to pools and workers, besides recycle: hold them, empty them, have
 * more or fewer of them, end one.
 *
 * A pool that is paused begins nothing; one that drains takes no jobs. Both last until it is
 * resumed, or the daemon ends, and are independent of each other: one that is paused while it
 * drains is not done before it is resumed. False, of those that can fail: *ret_error, held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/outcome.h"

struct core;
struct pool;
struct session;
struct worker;

/* What has been sent ahead and not begun waits again. */
bool control_pause(struct pool *pool, uint64_t now_us, struct outcome *ret_error);
bool control_resume(struct pool *pool, struct outcome *ret_error);

/* Replies to msgid when nothing waits or runs any more, or as not-ready at until_us (TIME_NEVER;
 * now or before: at once). */
bool control_drain(struct session *session, uint32_t msgid, struct pool *pool, uint64_t until_us,
		   uint64_t now_us, struct outcome *ret_error);
/* Answers those who wait for a drain, if it is done. */
void control_check_drained(struct pool *pool);

/* From now on the pool has min to max workers: 1 <= min <= max <= POOL_WORKERS_MAX. */
bool control_scale(struct pool *pool, unsigned min, unsigned max, uint64_t now_us,
		   struct outcome *ret_error);

/* The worker with that pid in a pool that the session may know of, or NULL. */
struct worker *control_find_worker(struct core *core, const struct session *session, pid_t pid);
/* Ends it at once: what runs in it is lost. */
void control_kill(struct worker *worker, uint64_t now_us);
