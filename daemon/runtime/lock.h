/* SPDX-License-Identifier: MIT */
/*
 * A lock for one thread that takes and leaves it all the time, and others that hardly ever do.
 *
 * A mutex costs two locked instructions and two calls each time; here the frequent thread pays one
 * locked instruction, and leaves by a plain store. The store wakes nobody: who waits for it looks
 * again every LOCK_RETRY_MS. So lock_leave() is for sections that are short and that others rarely
 * wait for, lock_release() for all else. Without contention neither enters the kernel.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#define LOCK_RETRY_MS 1

enum lock_state {
	LOCK_FREE,
	LOCK_HELD,
	LOCK_AWAITED, /* held, and perhaps somebody sleeps until it is free */
};

struct lock {
	_Atomic int state; /* enum lock_state */
};

#define LOCK_INIT                                                                                  \
	{                                                                                          \
		LOCK_FREE                                                                          \
	}

/* lock_take() where it is not free. */
void lock_await(struct lock *lock);

/* False: another thread holds it. */
static inline bool lock_try(struct lock *lock)
{
	int expected = LOCK_FREE;
	return atomic_compare_exchange_strong_explicit(&lock->state, &expected, LOCK_HELD,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void lock_take(struct lock *lock)
{
	if (!lock_try(lock))
		lock_await(lock);
}

/* Gives it up and wakes one who waits. */
void lock_release(struct lock *lock);

/* Gives it up by one store. */
static inline void lock_leave(struct lock *lock)
{
	atomic_store_explicit(&lock->state, LOCK_FREE, memory_order_release);
}
