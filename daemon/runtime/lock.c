/* SPDX-License-Identifier: MIT */
#include "runtime/lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void lock_await(struct lock *lock)
{
	const struct timespec retry = {.tv_nsec = LOCK_RETRY_MS * 1000000L};
	/* Whoever got it this way leaves it marked as awaited: others may wait too. */
	while (atomic_exchange_explicit(&lock->state, LOCK_AWAITED, memory_order_acquire) !=
	       LOCK_FREE)
		syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, LOCK_AWAITED, &retry, NULL, 0);
}

void lock_release(struct lock *lock)
{
	if (atomic_exchange_explicit(&lock->state, LOCK_FREE, memory_order_release) == LOCK_AWAITED)
		syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
