/* SPDX-License-Identifier: MIT */
/* How a worker ended, and the errors that tell it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"

struct worker;

struct worker_end {
	int signal;              /* 0: it exited */
	int exit_status;         /* -1: not known */
	const char *reason;      /* what the daemon knows more, for people; or NULL */
	const char *stderr_tail; /* the last of its standard error since it last answered, for
				    people; or NULL */
	uint64_t memory_bytes;   /* the system killed it when it used so much; 0: it did not */
	struct outcome error;    /* of a worker that was not ready: what it said; owned */
	bool transient;          /* it could not be started for want of resources */
};

/* worker-lost, or out-of-memory: what a task that ran in it fails with. Held. */
struct outcome worker_end_lost(const struct worker_end *end, const struct worker *worker);

/* initializer-failed: why it never was ready, where it did not say so itself. Held. */
struct outcome worker_end_failed_start(const struct worker_end *end, const struct worker *worker);
