/* SPDX-License-Identifier: MIT */
/*
 * Whether workers are able to do what they were sent, and keep within their memory.
 *
 * A worker that has answered nothing for a second is looked at, once a second until it answers: by
 * its page, and by what the system says of its process, which whoever executes actions finds out
 * (ACTION_CHECK_WORKER). One that is stopped by a signal never goes on by itself. One that has
 * begun nothing is wedged if it sleeps with a message before it, or else when it has had long
 * enough to get a processor. Both are killed, and what they had not begun runs elsewhere. How long
 * a task may run is not decided here, and what a debugger holds is left to it.
 *
 * Workers of a pool with a limit of memory are looked at five times a second while they run
 * something, and once after it; what uses more is killed. So the limit is soft: a worker may be far
 * above it for a moment. Where the system enforces the limit (worker->confined), this does not.
 *
 * The timer is armed only while something is under way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct core;
struct pool;
struct worker;

#define HEALTH_QUIET_US   1000000
#define HEALTH_STARVED_US 5000000
#define HEALTH_MEMORY_US  200000

/* What the system says of a worker's process. */
struct health_report {
	char state;         /* as in proc_pid_stat(5): 'R', 'S', 'T', …; 0: not known */
	bool unread;        /* it has not read all that it was sent */
	uint64_t rss_bytes; /* resident memory; 0: not known */
};

enum health {
	HEALTH_GOOD,
	HEALTH_STOPPED,
	HEALTH_WEDGED,
	HEALTH_OVER_MEMORY,
	HEALTH_COUNT,
};

/* For people: "it was stopped by a signal"; NULL of HEALTH_GOOD. */
const char *health_reason(enum health health);

/* A worker of the pool was given something to do. */
void health_watch(struct pool *pool, uint64_t now_us);

/* The timer is due. */
void health_check(struct core *core, uint64_t now_us);

/* What was found out of a worker. If it is not good, it is killed, and what it has not begun waits
 * again. */
enum health health_judge(struct worker *worker, struct health_report report, uint64_t now_us);
