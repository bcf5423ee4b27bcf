/* SPDX-License-Identifier: MIT */
/*
 * Deadlines, earliest first: a binary heap of timers that live inside what they belong to. The loop
 * sleeps until timer_heap_next(); nothing here reads a clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_NEVER UINT64_MAX

enum timer_kind {
	TIMER_WAIT,      /* a wait's time is over */
	TIMER_POOL,      /* a pool may try again to start workers */
	TIMER_RUNTIME,   /* a runtime had to be loaded, or gone, by now */
	TIMER_REBALANCE, /* work queued behind a long task while a worker idles */
	TIMER_EXPIRY,    /* what has not begun of a job fails */
	TIMER_RETRY,     /* tasks that failed may run again */
	TIMER_POOL_END,  /* a pool that is terminated has more jobs to be cancelled */
	TIMER_POOL_WAIT, /* the time of one who waits for a pool is over */
	TIMER_WATCH,     /* a task may have run too long, or did not stop */
	TIMER_WORKER,    /* a worker had to be ready, or gone, by now */
	TIMER_RETENTION, /* the oldest finished job is due to be forgotten */
	TIMER_CLOSE,     /* sessions have ended whose jobs have not all been cancelled */
	TIMER_IDLE,      /* a pool may have more workers than it needs */
	TIMER_HEALTH,    /* busy workers may have to be looked at */
	TIMER_GRACE,     /* what still runs at shutdown had its time */
};

struct timer {
	uint64_t at_us; /* microseconds of the monotonic clock */
	size_t place;   /* in the heap, from 1; 0: not armed */
	enum timer_kind kind;
};

struct timer_heap {
	struct timer **timers;
	size_t count;
	size_t capacity;
};

void timer_heap_init(struct timer_heap *heap);
/* Timers still armed are forgotten. */
void timer_heap_fini(struct timer_heap *heap);

/* Arms the timer, or moves it if it is armed. 0, or -ENOMEM. */
int timer_heap_set(struct timer_heap *heap, struct timer *timer, uint64_t at_us);

/* Does nothing to a timer that is not armed. */
void timer_heap_clear(struct timer_heap *heap, struct timer *timer);

/* When the earliest is due, or TIME_NEVER. */
uint64_t timer_heap_next(const struct timer_heap *heap);

/* Takes out the earliest that is due at now_us, or returns NULL. */
struct timer *timer_heap_pop(struct timer_heap *heap, uint64_t now_us);
