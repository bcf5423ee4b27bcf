/* SPDX-License-Identifier: MIT */
/*
 * Tasks that failed and whose caller allowed it run again, each time after a longer pause.
 *
 * Only what is certainly over is retried: a task whose failure was told, or whose worker has ended.
 * In a pause it counts as waiting, but the scheduler does not see it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "proto/error.h"

struct core;

/* The pause after the first attempt, doubled after each further one up to the longest. */
#define RETRY_PAUSE_US     UINT64_C(100000)
#define RETRY_PAUSE_MAX_US UINT64_C(10000000)

/* Whether a task of the job may run again after this attempt. */
bool retry_is_allowed(const struct job *job, uint32_t attempt);

/* Tasks of a job failed with this code in an attempt. True: they will run again; false: that was
 * the last time. */
bool retry_tasks(struct core *core, struct job *job, struct range range, uint32_t attempt,
		 enum error_code code, uint64_t now_us);

/* The pause is over. */
void retry_resume(struct core *core, struct returned *returned);

/* The job ends: no pause of it ends any more. */
void retry_clear(struct core *core, struct job *job);

/* What its session was charged for the pauses, until the job ends. */
uint64_t retry_charged_bytes(const struct job *job);
