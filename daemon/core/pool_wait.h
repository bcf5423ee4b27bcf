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
#include "core/timer_heap.h"

struct pool;
struct session;

enum pool_wait_kind {
	POOL_WAIT_RECYCLE, /* fresh code serves, or does not */
	POOL_WAIT_OPEN,    /* its first worker is ready, or it cannot be opened */
	POOL_WAIT_JOIN,    /* it has ended */
	POOL_WAIT_DRAIN,   /* it takes no jobs, and has none */
};

struct pool_wait {
	enum pool_wait_kind kind;
	struct session *session;
	struct pool *pool;
	uint32_t msgid;
	struct timer timer;
	LIST_ENTRY(pool_wait) of_session;
	LIST_ENTRY(pool_wait) of_pool;
};
LIST_HEAD(pool_wait_list, pool_wait);

/* NULL: the session may not have more, and *ret_error says so. */
struct pool_wait *pool_wait_add(struct session *session, uint32_t msgid, struct pool *pool,
				enum pool_wait_kind kind, struct outcome *ret_error);

/* From then on it is answered with not-ready. */
void pool_wait_set_end(struct pool_wait *wait, uint64_t at_us);
/* It is then. */
struct outcome error_pool_not_ready(const struct pool *pool);
void pool_wait_over(struct pool_wait *wait);

/* Whether somebody waits for that. */
bool pool_waits_for(const struct pool *pool, enum pool_wait_kind kind);

/* Answers all who wait for that with the outcome (borrowed). */
void pool_waits_answer(struct pool *pool, enum pool_wait_kind kind, const struct outcome *outcome);

/* Without an answer. */
void pool_wait_drop(struct pool_wait *wait);
