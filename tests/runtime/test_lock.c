/* SPDX-License-Identifier: MIT */
#include "runtime/lock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 20000

struct shared {
	struct lock lock;
	uint64_t count; /* guarded by lock */
};

static void test_held_lock_is_not_taken_twice(void **state)
{
	(void)state;
	struct lock lock = LOCK_INIT;
	assert_true(lock_try(&lock));
	assert_false(lock_try(&lock));
	lock_leave(&lock);
	assert_true(lock_try(&lock));
	lock_release(&lock);
	lock_take(&lock);
	assert_false(lock_try(&lock));
}

static void *count_and_leave(void *data)
{
	struct shared *shared = data;
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&shared->lock);
		shared->count++;
		if (i % 64 == 0)
			sched_yield();
		lock_leave(&shared->lock);
	}
	return NULL;
}

static void *count_and_release(void *data)
{
	struct shared *shared = data;
	for (int i = 0; i < ROUNDS; i++) {
		while (!lock_try(&shared->lock))
			sched_yield();
		shared->count++;
		if (i % 64 == 0)
			sched_yield();
		lock_release(&shared->lock);
	}
	return NULL;
}

static void *wait_and_count(void *data)
{
	struct shared *shared = data;
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&shared->lock);
		shared->count++;
		lock_release(&shared->lock);
	}
	return NULL;
}

static void test_one_thread_at_a_time_holds_it(void **state)
{
	(void)state;
	struct shared shared = {.lock = LOCK_INIT};
	void *(*const bodies[])(void *) = {count_and_leave, count_and_release, wait_and_count};
	pthread_t threads[3];
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &shared), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(shared.count, 3 * ROUNDS);
}

static void *wait_once(void *data)
{
	struct shared *shared = data;
	lock_take(&shared->lock);
	shared->count++;
	lock_release(&shared->lock);
	return NULL;
}

/* However it is given up, who sleeps on it gets it. */
static void check_sleeper_gets_it(void (*give_up)(struct lock *lock))
{
	struct shared shared = {.lock = LOCK_INIT};
	pthread_t thread;
	lock_take(&shared.lock);
	assert_int_equal(pthread_create(&thread, NULL, wait_once, &shared), 0);
	while (atomic_load(&shared.lock.state) != LOCK_AWAITED)
		sched_yield();
	assert_int_equal(shared.count, 0);
	give_up(&shared.lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(shared.count, 1);
}

static void leave(struct lock *lock)
{
	lock_leave(lock);
}

static void test_sleeper_gets_a_lock_that_is_released(void **state)
{
	(void)state;
	check_sleeper_gets_it(lock_release);
}

static void test_sleeper_gets_a_lock_that_is_left(void **state)
{
	(void)state;
	check_sleeper_gets_it(leave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_lock_is_not_taken_twice),
		cmocka_unit_test(test_one_thread_at_a_time_holds_it),
		cmocka_unit_test(test_sleeper_gets_a_lock_that_is_released),
		cmocka_unit_test(test_sleeper_gets_a_lock_that_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
