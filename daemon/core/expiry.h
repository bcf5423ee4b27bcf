/* SPDX-License-Identifier: MIT */
/*
 * Deadlines for beginning: what of a job has not begun by then fails as expired.
 *
 * Also what was sent ahead to a worker is taken back and fails. What a worker is just about to
 * begin counts as begun, and so does what has failed and is to be retried.
 */
#pragma once

#include <stdint.h>

struct core;
struct job;

/* Arms the timer of a job that expires. 0 or -ENOMEM. */
int expiry_start(struct core *core, struct job *job, uint64_t now_us);

/* The time has come; or more of a map is to fail that has expired. */
void expiry_due(struct core *core, struct job *job, uint64_t now_us);

/* Some of the job was taken back, perhaps after its time. */
void expiry_recheck(struct core *core, struct job *job, uint64_t now_us);

/* The job ends. */
void expiry_clear(struct core *core, struct job *job);
