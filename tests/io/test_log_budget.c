/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/log_budget.h"

#define START_US UINT64_C(5000000)

static struct log_budget budget;

static int setup(void **state)
{
	(void)state;
	budget = (struct log_budget){0};
	return 0;
}

/* How many lines of this level the source gets logged at most. */
static unsigned take_all(const char *source, enum log_level level, uint64_t now_us)
{
	unsigned lines = 0;
	while (log_budget_take(&budget, source, level, now_us))
		lines++;
	return lines;
}

static void assert_dropped(const char *name, uint64_t dropped, uint64_t now_us)
{
	struct log_source source;
	assert_true(log_budget_next_dropped(&budget, now_us, &source));
	assert_string_equal(source.name, name);
	assert_int_equal(source.dropped, dropped);
}

static void assert_none_dropped(uint64_t now_us)
{
	struct log_source source;
	assert_false(log_budget_next_dropped(&budget, now_us, &source));
}

static void test_a_source_has_so_many_lines(void **state)
{
	(void)state;
	assert_int_equal(take_all("pool a", LOG_LEVEL_INFO, START_US), LOG_LINES_SOURCE / 2);
	assert_int_equal(take_all("pool a", LOG_LEVEL_INFO, START_US + LOG_PERIOD_US - 1), 0);
	assert_int_equal(take_all("pool b", LOG_LEVEL_INFO, START_US), LOG_LINES_SOURCE / 2);
}

static void test_graver_lines_have_room_behind_lighter_ones(void **state)
{
	(void)state;
	assert_int_equal(take_all("pool a", LOG_LEVEL_DEBUG, START_US), LOG_LINES_SOURCE / 4);
	assert_int_equal(take_all("pool a", LOG_LEVEL_INFO, START_US), LOG_LINES_SOURCE / 4);
	assert_int_equal(take_all("pool a", LOG_LEVEL_WARNING, START_US), LOG_LINES_SOURCE / 4);
	assert_int_equal(take_all("pool a", LOG_LEVEL_ERROR, START_US), LOG_LINES_SOURCE / 4);
}

/* Whatever all sources together do. */
static void test_the_daemon_has_its_own_lines(void **state)
{
	(void)state;
	char name[32];
	unsigned lines = 0;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "pool %d", i);
		lines += take_all(name, LOG_LEVEL_ERROR, START_US);
	}
	assert_int_equal(lines, LOG_LINES_ALL);
	assert_int_equal(take_all(NULL, LOG_LEVEL_ERROR, START_US), LOG_LINES_OWN);
}

static void test_all_together_leave_room_for_graver_lines(void **state)
{
	(void)state;
	char name[32];
	unsigned lines = 0;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "pool %d", i);
		lines += take_all(name, LOG_LEVEL_INFO, START_US);
	}
	assert_int_equal(lines, LOG_LINES_ALL / 2);
	assert_non_null(log_budget_take(&budget, "pool x", LOG_LEVEL_WARNING, START_US));
}

static void test_a_long_line_counts_as_several(void **state)
{
	(void)state;
	struct log_source *source;
	unsigned lines = 0;
	while ((source = log_budget_take(&budget, "pool a", LOG_LEVEL_ERROR, START_US))) {
		log_budget_charge(&budget, source, 2 * LOG_LINE_BYTES);
		lines++;
	}
	assert_int_equal(lines, LOG_LINES_SOURCE / 3);
}

static void test_what_was_dropped_is_told_once_when_the_period_is_over(void **state)
{
	(void)state;
	assert_int_equal(log_budget_due_us(&budget), UINT64_MAX);
	take_all("pool a", LOG_LEVEL_INFO, START_US);
	take_all("pool a", LOG_LEVEL_INFO, START_US + 1);
	take_all(NULL, LOG_LEVEL_INFO, START_US + 2);
	log_budget_take(&budget, "user 7", LOG_LEVEL_INFO, START_US + 3);
	assert_int_equal(log_budget_due_us(&budget), START_US + LOG_PERIOD_US);
	assert_none_dropped(START_US + LOG_PERIOD_US - 1);
	assert_dropped("the daemon", 1, START_US + LOG_PERIOD_US);
	assert_dropped("pool a", 2, START_US + LOG_PERIOD_US);
	assert_none_dropped(START_US + LOG_PERIOD_US);
	assert_int_equal(log_budget_due_us(&budget), UINT64_MAX);
	assert_int_equal(take_all("pool b", LOG_LEVEL_INFO, START_US + LOG_PERIOD_US),
			 LOG_LINES_SOURCE / 2);
}

/* Takes all in the period of this number, and lets what was dropped be told. */
static unsigned flood(const char *name, uint64_t period)
{
	struct log_source source;
	uint64_t now_us = START_US + period * LOG_PERIOD_US;
	unsigned lines = take_all(name, LOG_LEVEL_ERROR, now_us);
	while (log_budget_next_dropped(&budget, now_us + LOG_PERIOD_US, &source))
		;
	return lines;
}

static void test_what_does_not_stop_gets_less_and_less(void **state)
{
	(void)state;
	static const unsigned parts[] = {1, 2, 4, 8, 8, 8};
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(flood("pool a", i), LOG_LINES_SOURCE / parts[i] / 4 * 4);
	assert_int_equal(take_all("pool b", LOG_LEVEL_ERROR, START_US + 5 * LOG_PERIOD_US),
			 LOG_LINES_SOURCE);
}

static void test_what_keeps_to_it_gets_more_again(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		flood("pool a", i);
	assert_non_null(
		log_budget_take(&budget, "pool a", LOG_LEVEL_INFO, START_US + 4 * LOG_PERIOD_US));
	assert_int_equal(flood("pool a", 5), LOG_LINES_SOURCE / 4);
	/* Long silence counts as often. */
	assert_int_equal(flood("pool a", 9), LOG_LINES_SOURCE);
}

/* A period in which nothing was dropped leaves nothing to be told. */
static void test_a_new_period_begins_by_itself(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_non_null(log_budget_take(&budget, "pool a", LOG_LEVEL_INFO,
						START_US + (uint64_t)i * LOG_PERIOD_US / 4));
		assert_int_equal(log_budget_due_us(&budget), UINT64_MAX);
	}
}

static void test_too_many_sources_share_what_one_has(void **state)
{
	(void)state;
	char name[32];
	for (unsigned i = 0; i < LOG_SOURCES_MAX; i++) {
		snprintf(name, sizeof(name), "user %u", i);
		assert_non_null(log_budget_take(&budget, name, LOG_LEVEL_INFO, START_US));
	}
	unsigned lines = take_all("user 1000", LOG_LEVEL_INFO, START_US);
	assert_int_equal(lines, LOG_LINES_SOURCE / 2);
	assert_int_equal(take_all("user 1001", LOG_LEVEL_INFO, START_US), 0);
	assert_non_null(log_budget_take(&budget, "user 0", LOG_LEVEL_INFO, START_US));
	assert_dropped("other pools and users", 2, START_US + LOG_PERIOD_US);
}

static void test_a_long_name_is_cut(void **state)
{
	(void)state;
	char name[300];
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = 'x';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(take_all(name, LOG_LEVEL_INFO, START_US), LOG_LINES_SOURCE / 2);
	assert_int_equal(take_all(name, LOG_LEVEL_INFO, START_US), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
		TEST(test_a_source_has_so_many_lines),
		TEST(test_graver_lines_have_room_behind_lighter_ones),
		TEST(test_the_daemon_has_its_own_lines),
		TEST(test_all_together_leave_room_for_graver_lines),
		TEST(test_a_long_line_counts_as_several),
		TEST(test_what_was_dropped_is_told_once_when_the_period_is_over),
		TEST(test_what_does_not_stop_gets_less_and_less),
		TEST(test_what_keeps_to_it_gets_more_again),
		TEST(test_a_new_period_begins_by_itself),
		TEST(test_too_many_sources_share_what_one_has),
		TEST(test_a_long_name_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
