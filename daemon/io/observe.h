/* SPDX-License-Identifier: MIT */
/* What the observing methods show: the state of pools, workers, functions and jobs as MessagePack.
 */
#pragma once

#include <stdint.h>

#include "procpool/value.h"

struct core;
struct job;
struct pool;
struct server;
struct session;

/* Of what the session may know. */
void observe_pools(const struct server *server, const struct session *session,
		   struct procpool_writer *w);
void observe_workers(const struct server *server, const struct session *session,
		     struct procpool_writer *w);
/* pool NULL: of all. By name. */
void observe_functions(const struct server *server, const struct session *session,
		       const struct pool *pool, struct procpool_writer *w);
void observe_stats(const struct server *server, struct procpool_writer *w);
/* A job that the session may know of: what only its user and administrators may know is left out
 * for others. */
void observe_job(struct core *core, const struct session *session, const struct job *job,
		 struct procpool_writer *w);

/* Which jobs, by ascending id. */
struct observe_jobs_filter {
	uint64_t limit;
	uint64_t after;
	const char *state; /* borrowed, not terminated; NULL: any */
	size_t state_size;
	const char *pool;
	size_t pool_size;
};
void observe_jobs(struct server *server, const struct session *session,
		  const struct observe_jobs_filter *filter, struct procpool_writer *w);
