/* SPDX-License-Identifier: MIT */
/*
 * Calls that are answered when something has become of a pool. They go with their session, are
 * charged to it as calls of wait are, and are answered together: whoever waits for the same of a
 * pool shares the outcome.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/outcome.h"

struct pool;
struct session;

enum pool_wait_kind {
	POOL_WAIT_RECYCLE, /* fresh code serves, or does not */
};

struct pool_wait {
	enum pool_wait_kind kind;
	struct session *session;
	struct pool *pool;
	uint32_t msgid;
	LIST_ENTRY(pool_wait) of_session;
	LIST_ENTRY(pool_wait) of_pool;
};
LIST_HEAD(pool_wait_list, pool_wait);

/* False: the session may not have more, and *ret_error says so. */
bool pool_wait_add(struct session *session, uint32_t msgid, struct pool *pool,
		   enum pool_wait_kind kind, struct outcome *ret_error);

/* Whether somebody waits for that. */
bool pool_waits_for(const struct pool *pool, enum pool_wait_kind kind);

/* Answers all who wait for that with the outcome (borrowed). */
void pool_waits_answer(struct pool *pool, enum pool_wait_kind kind, const struct outcome *outcome);

/* Without an answer. */
void pool_wait_drop(struct pool_wait *wait);
