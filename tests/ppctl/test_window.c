/* SPDX-License-Identifier: MIT */
#include "window.h"

#include <string.h>

#include "test.h"

static struct slot *add(struct window *window, const char *item)
{
	return window_add(window, item, strlen(item));
}

static void end(struct window *window, struct slot *slot, enum slot_state state, const char *result)
{
	text_add_string(&slot->result, result);
	window_end(window, slot, state);
}

static void test_items_leave_in_the_order_in_which_they_came(void **state)
{
	(void)state;
	struct window window;
	window_init(&window, 3, &window);
	struct slot *a = add(&window, "a"), *b = add(&window, "b"), *c = add(&window, "c");
	assert_true(window_is_full(&window));
	assert_ptr_equal(c->owner, &window);

	end(&window, c, SLOT_DONE, "C");
	end(&window, b, SLOT_FAILED, "B");
	assert_null(window_oldest(&window));
	end(&window, a, SLOT_DONE, "A");
	assert_ptr_equal(window_oldest(&window), a);
	assert_int_equal(a->number, 1);
	window_pop(&window);

	struct slot *d = add(&window, "d");
	assert_ptr_equal(d, a);
	assert_int_equal(d->number, 4);
	assert_int_equal(d->result.size, 0);
	assert_ptr_equal(window_oldest(&window), b);
	window_pop(&window);
	window_pop(&window);
	assert_null(window_oldest(&window));
	end(&window, d, SLOT_DONE, "");
	window_pop(&window);
	assert_true(window_is_empty(&window));
	assert_null(window_oldest(&window));
	window_fini(&window);
}

static void test_bytes_held_are_counted(void **state)
{
	(void)state;
	struct window window;
	window_init(&window, 2, NULL);
	struct slot *a = add(&window, "12345");
	add(&window, "1");
	assert_int_equal(window.held_bytes, 6);
	end(&window, a, SLOT_DONE, "123");
	assert_int_equal(window.held_bytes, 9);
	window_pop(&window);
	assert_int_equal(window.held_bytes, 1);
	window_fini(&window);
}

static void test_large_items_give_their_memory_back(void **state)
{
	(void)state;
	static char big[100000];
	struct window window;
	window_init(&window, 2, NULL);
	struct slot *a = window_add(&window, big, sizeof(big));
	window_end(&window, a, SLOT_DONE);
	window_pop(&window);
	assert_int_equal(a->item.capacity, 0);
	window_fini(&window);
}

static void test_the_oldest_that_waits(void **state)
{
	(void)state;
	struct window window;
	window_init(&window, 3, NULL);
	assert_null(window_waiting(&window));
	struct slot *a = add(&window, "a"), *b = add(&window, "b");
	assert_ptr_equal(window_waiting(&window), a);
	a->state = SLOT_RUNNING;
	assert_ptr_equal(window_waiting(&window), b);
	window_fini(&window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_leave_in_the_order_in_which_they_came),
		cmocka_unit_test(test_bytes_held_are_counted),
		cmocka_unit_test(test_large_items_give_their_memory_back),
		cmocka_unit_test(test_the_oldest_that_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
