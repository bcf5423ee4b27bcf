/* SPDX-License-Identifier: MIT */
/* How a worker ended, and the errors that tell it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"
#include "core/worker.h"

struct worker_end {
	int signal;              /* 0: it exited */
	int exit_status;         /* -1: not known */
	const char *reason;      /* what the daemon knows more, for people; or NULL */
	const char *stderr_tail; /* the last of its standard error since it last answered, for
				    people; or NULL */
	uint64_t max_rss_bytes;  /* the most that was resident of it; 0: not known */
	uint64_t memory_bytes;   /* the system killed it when it used so much; 0: it did not */
	struct outcome error;    /* of a worker that was not ready: what it said; owned */
	bool transient;          /* it could not be started for want of resources */
};

/* worker-lost, or out-of-memory: what a task that ran in it fails with. Held. */
struct outcome worker_end_lost(const struct worker_end *end, const struct worker *worker);

/* initializer-failed: why it never was ready, where it did not say so itself. Held. */
struct outcome worker_end_failed_start(const struct worker_end *end, const struct worker *worker);

/* What it used of memory when it was killed for using too much; 0: it was not. */
uint64_t worker_end_used_bytes(const struct worker_end *end, const struct worker *worker);

/* What goes with a worker that has ended, before the core is told: by what its page says. */
struct worker_loss {
	const struct job *job; /* of the task that ran; NULL: none did */
	uint32_t task;         /* its place there */
	uint32_t attempt;
	uint64_t ran_us;
	/* Tasks that had begun, are not answered, and somebody waits for: */
	uint64_t lost;
	uint64_t again;            /* and that run again */
	enum stop_reason stopping; /* whether it was to stop */
};
struct worker_loss worker_end_loss(struct worker *worker, uint64_t now_us);
