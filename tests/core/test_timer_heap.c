/* SPDX-License-Identifier: MIT */
#include "core/timer_heap.h"

#include "../unit/test.h"

#define TIMERS 300

static void test_nothing_is_due_where_nothing_is_armed(void **state)
{
	(void)state;
	struct timer_heap heap;
	struct timer timer = {0};
	timer_heap_init(&heap);
	assert_true(timer_heap_next(&heap) == TIME_NEVER);
	assert_null(timer_heap_pop(&heap, TIME_NEVER - 1));
	timer_heap_clear(&heap, &timer);
	timer_heap_fini(&heap);
}

static void test_timer_is_due_at_its_time_and_once(void **state)
{
	(void)state;
	struct timer_heap heap;
	struct timer timer = {0};
	timer_heap_init(&heap);
	assert_int_equal(timer_heap_set(&heap, &timer, 100), 0);
	assert_int_equal(timer_heap_next(&heap), 100);
	assert_null(timer_heap_pop(&heap, 99));
	assert_ptr_equal(timer_heap_pop(&heap, 100), &timer);
	assert_int_equal(timer.place, 0);
	assert_null(timer_heap_pop(&heap, 100));
	assert_int_equal(timer_heap_set(&heap, &timer, 200), 0);
	timer_heap_fini(&heap);
	assert_int_equal(timer.place, 0);
}

/* Against the plainest implementation there is: an array that is searched. */
static void test_random_sets_moves_and_clears_come_out_in_order(void **state)
{
	(void)state;
	static struct timer timers[TIMERS];
	struct timer_heap heap;
	uint64_t random = 0x7137, now_us = 0;
	timer_heap_init(&heap);
	for (int i = 0; i < 20000; i++) {
		struct timer *timer = &timers[test_random(&random) % TIMERS];
		uint64_t dice = test_random(&random) % 10;
		if (dice < 7)
			timer_heap_set(&heap, timer, now_us + test_random(&random) % 1000);
		else if (dice < 9)
			timer_heap_clear(&heap, timer);
		else
			now_us += 50;
		uint64_t first_us = TIME_NEVER;
		for (int t = 0; t < TIMERS; t++)
			if (timers[t].place != 0 && timers[t].at_us < first_us)
				first_us = timers[t].at_us;
		assert_true(timer_heap_next(&heap) == first_us);
		struct timer *due = timer_heap_pop(&heap, now_us);
		assert_int_equal(due != NULL, first_us <= now_us);
		if (due)
			assert_int_equal(due->at_us, first_us);
	}
	timer_heap_fini(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_due_where_nothing_is_armed),
		cmocka_unit_test(test_timer_is_due_at_its_time_and_once),
		cmocka_unit_test(test_random_sets_moves_and_clears_come_out_in_order),
	};
	return cmocka_run_group_tests_name("timer_heap", tests, NULL, NULL);
}
