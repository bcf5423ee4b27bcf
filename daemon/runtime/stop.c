/* SPDX-License-Identifier: MIT */
/*
 * What a function that runs can know of being asked to stop (WORKER.md, "Stopping"). The daemon
 * writes to the page, nothing interrupts the function: it looks, or sleeps so that it is woken.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/call.h"

/* Longer than anybody waits, and it can still be added to the time. */
#define SLEEP_SECONDS_MAX 1e9

bool procpool_call_stopped(const struct procpool_call *call)
{
	return call->element != 0 && page_is_to_stop(call->page, call->element);
}

/* The time of the monotonic clock in so many seconds. */
static struct timespec deadline_in(double seconds)
{
	struct timespec t;
	time_t whole = (time_t)seconds;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += whole;
	t.tv_nsec += (long)((seconds - (double)whole) * 1e9);
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Until the futex is woken or is not `seen` any more, or the deadline; 0 or an errno. Shared with
 * the daemon, so not FUTEX_PRIVATE. */
static int futex_wait(_Atomic uint32_t *futex, uint32_t seen, const struct timespec *deadline)
{
	return syscall(SYS_futex, futex, FUTEX_WAIT_BITSET, seen, deadline, NULL,
		       FUTEX_BITSET_MATCH_ANY) < 0
		       ? errno
		       : 0;
}

int procpool_call_sleep(struct procpool_call *call, double seconds)
{
	struct page *page = call->page;
	if (!(seconds > 0))
		return procpool_call_stopped(call);
	if (seconds > SLEEP_SECONDS_MAX)
		seconds = SLEEP_SECONDS_MAX;
	struct timespec deadline = deadline_in(seconds);
	for (;;) {
		/* Read before looking: who asks afterwards changes it. */
		uint32_t seen = atomic_load(&page->stops);
		if (procpool_call_stopped(call))
			return 1;
		if (futex_wait(&page->stops, seen, &deadline) == ETIMEDOUT)
			return 0;
	}
}
