/* SPDX-License-Identifier: MIT */
/*
 * Whom and what a line of the log is about (log.h): fields filled in from what is known of a pool,
 *a process of it, or a session. Borrowed from these.
 *
 *	struct log_fields fields = about_pool(pool);
 *	log_event(LOG_LEVEL_INFO, &fields, "pool %s: paused", fields.pool);
 */
#pragma once

#include "io/log.h"

struct call;
struct channel;
struct pool;
struct session;
struct worker;

/* Of one that a session has opened, with its user. */
struct log_fields about_pool(const struct pool *pool);

/* With its pool. */
struct log_fields about_worker(const struct worker *worker);

/* A runtime's process: as its worker, if it is one. */
struct log_fields about_channel(const struct channel *channel);

struct log_fields about_session(const struct session *session);

/* What a session wants of a pool: with the user who asks. */
struct log_fields about_call(const struct call *call, const struct pool *pool);

/* How loudly the log tells what is that grave in a pool of the daemon's: of one that a session has
 * opened, its owner is told, and of all others nobody needs to know. */
enum log_level about_level(const struct pool *pool, enum log_level level);
