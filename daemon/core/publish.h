/* SPDX-License-Identifier: MIT */
/*
 * Telling subscribers: results and events of jobs, pools and workers go once to each session that
 * has a reason to get them and may know them now: what happens, whoever may observe; results and
 * progress of others' jobs, whoever may administer; the state of a pool, whoever has a right there.
 * Sessions that read too slowly miss them and are told how many.
 */
#pragma once

#include <stdint.h>

#include "procpool/value.h"

struct core;
struct job;
struct pool;
struct session;
struct worker;
struct worker_end;

/* The result of a job that has ended, to its subscribers; `except` has been told already (or NULL).
 */
void publish_result(struct core *core, struct job *job, struct session *except);

/* The result to one session, which is told in any case. */
void publish_result_to(struct core *core, struct job *job, struct session *session);

/* The state that a job has entered. */
void publish_job(struct core *core, struct job *job);

/* The state that it is in, to one session, which is told in any case. */
void publish_job_to(struct core *core, const struct job *job, struct session *session);

/* What a task of the job told of its progress. */
void publish_progress(struct core *core, struct job *job, uint32_t index,
		      struct procpool_value value);

/* The state of a pool. */
void publish_pool(struct pool *pool);

/* A worker that has become ready, or (end not NULL) one that was has gone. */
void publish_worker(struct worker *worker, const struct worker_end *end);
