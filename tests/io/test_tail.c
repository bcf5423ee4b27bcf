/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/tail.h"

static void add(struct tail *tail, const char *text, uint64_t turn)
{
	tail_add(tail, (const uint8_t *)text, strlen(text), turn);
}

static void assert_tail(const struct tail *tail, const char *expected)
{
	char text[TAIL_TEXT_SIZE];
	tail_text(tail, text);
	assert_string_equal(text, expected);
	assert_int_equal(tail_is_empty(tail), *expected == '\0');
}

static void test_a_quiet_worker_costs_nothing(void **state)
{
	(void)state;
	struct tail tail = {0};
	assert_tail(&tail, "");
	tail_answered(&tail, 5);
	tail_clear(&tail);
	assert_null(tail.ring);
	tail_fini(&tail);
}

static void test_the_last_bytes_are_kept(void **state)
{
	(void)state;
	struct tail tail = {0};
	char text[3 * TAIL_BYTES + 8];
	add(&tail, "abc", 1);
	add(&tail, "def", 1);
	assert_tail(&tail, "abcdef");
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = '\0';
	add(&tail, text, 1);
	assert_tail(&tail, text + sizeof(text) - 1 - TAIL_BYTES);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		tail_add(&tail, (const uint8_t *)text + i, 1, 2);
	assert_tail(&tail, text + sizeof(text) - 1 - TAIL_BYTES);
	tail_clear(&tail);
	assert_tail(&tail, "");
	add(&tail, "new", 3);
	assert_tail(&tail, "new");
	tail_fini(&tail);
}

static void test_an_answer_makes_old_what_was_read_long_before(void **state)
{
	(void)state;
	struct tail tail = {0};
	add(&tail, "old\n", 10);
	tail_answered(&tail, 12);
	assert_tail(&tail, "");
	add(&tail, "new\n", 13);
	assert_tail(&tail, "new\n");
	tail_fini(&tail);
}

/* The answer that comes after them may have been written before. */
static void test_an_answer_leaves_what_was_read_in_its_turn_and_the_one_before(void **state)
{
	(void)state;
	struct tail tail = {0};
	add(&tail, "1", 10);
	add(&tail, "2", 11);
	add(&tail, "3", 12);
	add(&tail, "4", 12);
	tail_answered(&tail, 12);
	assert_tail(&tail, "234");
	tail_answered(&tail, 13);
	assert_tail(&tail, "34");
	add(&tail, "5", 13);
	tail_answered(&tail, 13);
	assert_tail(&tail, "345");
	add(&tail, "6", 20);
	tail_answered(&tail, 20);
	assert_tail(&tail, "6");
	tail_answered(&tail, 22);
	assert_tail(&tail, "");
	tail_fini(&tail);
}

static void test_it_can_be_shown(void **state)
{
	(void)state;
	struct tail tail = {0};
	char text[TAIL_TEXT_SIZE];
	add(&tail, "\x1b[31mred\xff\n", 1);
	assert_tail(&tail, "\\x1b[31mred\\xff\n");
	/* The first of these characters is cut in the middle. */
	for (size_t i = 0; i < 700; i++)
		add(&tail, "\u20ac", 2);
	tail_text(&tail, text);
	assert_int_equal(strlen(text), TAIL_BYTES - TAIL_BYTES % 3);
	assert_memory_equal(text, "\u20ac", 3);
	tail_fini(&tail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_quiet_worker_costs_nothing),
		cmocka_unit_test(test_the_last_bytes_are_kept),
		cmocka_unit_test(test_an_answer_makes_old_what_was_read_long_before),
		cmocka_unit_test(
			test_an_answer_leaves_what_was_read_in_its_turn_and_the_one_before),
		cmocka_unit_test(test_it_can_be_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
