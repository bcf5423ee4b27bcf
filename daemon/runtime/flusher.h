/* SPDX-License-Identifier: MIT */
/*
 * Sees to it that what is finished is not held back by a function that runs long.
 *
 * Results are collected in the outbox while tasks follow each other quickly, and no one knows which
 * task is going to be long. So a second thread looks every FLUSHER_TICK_US: if the worker is within
 * a function, the thread writes the outbox itself; if it is between two, it asks the worker to.
 *
 * The lock guards the outbox. The worker holds it except while a function runs and while it waits
 * for input, so that it pays one uncontended lock a call and no clock. The thread is started when
 * there is first something to hold back, and sleeps without wake-ups when there has been nothing
 * for a while: a worker that gets one call at a time never has it. If it cannot be started, the
 * worker writes before every call.
 */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/lock.h"
#include "runtime/outbox.h"

#define FLUSHER_TICK_US 500

struct flusher {
	struct lock lock;
	struct outbox *outbox; /* guarded by lock, like the times */
	uint64_t run_began_ns; /* what ran since is not accounted to any run yet */
	uint64_t element_ns;   /* mean time of an element in the last run */

	bool started;
	bool unavailable;   /* the thread could not be started */
	atomic_bool armed;  /* something waits in the outbox while functions run */
	atomic_bool wanted; /* the thread found the lock held: the worker is to write */
	atomic_bool parked;
	sem_t wake;
};

void flusher_init(struct flusher *flusher, struct outbox *outbox);

/* Now, in ns of the monotonic clock. */
uint64_t flusher_clock_ns(void);

/* The functions below need the lock held. */

/* Time begins to count for the next run: after waiting, when nothing has run. */
void flusher_restart_clock(struct flusher *flusher);

/* Time since the last run ended, which is taken as ended now; in us. */
uint32_t flusher_take_time(struct flusher *flusher);

/* Closes the open run with the time since the last one ended. */
void flusher_close_run(struct flusher *flusher);

/* Closes the open run and writes everything; no time counts meanwhile. */
int flusher_flush(struct flusher *flusher);

/* Before a function runs with something in the outbox. May write. */
int flusher_arm(struct flusher *flusher);

/*
 * Closes the run and writes from within a function that still runs: its own time so far is not
 * taken for that of the elements before it.
 */
int flusher_flush_early(struct flusher *flusher);

/* Sends a message from within a function that still runs. A failure is met again by the worker. */
void flusher_send_early(struct flusher *flusher, struct procpool_value message);
/* Likewise from any thread, the lock not held. */
void flusher_send(struct flusher *flusher, struct procpool_value message);

/* Adds a log line, [21, level, text], from any thread; the lock not held. */
void flusher_log(struct flusher *flusher, const char *level, const char *text);
