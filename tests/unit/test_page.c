/* SPDX-License-Identifier: MIT */
#include "proto/page.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "test.h"

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct page));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* As WORKER.md has it. */
static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct page), 65536);
	assert_int_equal(offsetof(struct page, base), 0);
	assert_int_equal(offsetof(struct page, tail), 8);
	assert_int_equal(offsetof(struct page, open), 16);
	assert_int_equal(offsetof(struct page, began), 24);
	assert_int_equal(offsetof(struct page, stop), 32);
	assert_int_equal(offsetof(struct page, stops), 40);
	assert_int_equal(offsetof(struct page, slots), 2048);
	assert_int_equal(offsetof(struct page, outbox), 4096);
	assert_int_equal(sizeof(((struct page *)NULL)->outbox), 61440);
	assert_true(page_word(3, 5) == (UINT64_C(3) << 32) + 5);
	assert_true(page_element(3, 5) == (UINT64_C(3) << 32) + 6);
}

static void test_elements_are_claimed_in_order(void **state)
{
	struct page *page = *state;
	page_offer(page, 300);
	assert_false(page_claim(page, 300, 1));
	assert_true(page_claim(page, 300, 0));
	assert_false(page_claim(page, 300, 0));
	assert_true(page_claim(page, 300, 1));
	assert_true(atomic_load(&page->slots[300 % 256]) == page_word(300, 2));
}

static void test_taken_elements_cannot_be_claimed(void **state)
{
	struct page *page = *state;
	page_offer(page, 7);
	assert_true(page_claim(page, 7, 0));
	assert_int_equal(page_take_back(page, 7, 4), 1);
	assert_false(page_claim(page, 7, 1));
	assert_false(page_claim(page, 7, 2));
	assert_int_equal(page_take_back(page, 7, 4), 1);
}

static void test_untouched_message_is_taken_whole(void **state)
{
	struct page *page = *state;
	page_offer(page, UINT32_MAX);
	assert_int_equal(page_take_back(page, UINT32_MAX, 4), 0);
	assert_false(page_claim(page, UINT32_MAX, 0));
}

static void test_slot_of_a_later_message_refuses_an_earlier_one(void **state)
{
	struct page *page = *state;
	page_offer(page, 5);
	page_offer(page, 5 + PAGE_SLOTS);
	assert_false(page_claim(page, 5, 0));
	assert_int_equal(page_take_back(page, 5, 1), -1);
}

static void test_only_the_element_that_is_meant_is_to_stop(void **state)
{
	struct page *page = *state;
	assert_false(page_is_to_stop(page, page_element(0, 0)));
	page_ask_to_stop(page, page_element(7, 1));
	assert_true(page_is_to_stop(page, page_element(7, 1)));
	assert_false(page_is_to_stop(page, page_element(7, 0)));
	assert_false(page_is_to_stop(page, page_element(8, 1)));
	assert_int_equal(page->stops, 1);
	page_stopped(page);
	assert_false(page_is_to_stop(page, page_element(7, 1)));
}

static void test_implausible_words_count_as_begun(void **state)
{
	static const uint64_t words[] = {
		0,
		UINT64_MAX,
		(UINT64_C(9) << 32) + 5,
		(UINT64_C(9) << 32) + PAGE_BEGUN_MAX,
		UINT64_C(10) << 32,
	};
	struct page *page = *state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		atomic_store(page_slot(page, 9), words[i]);
		assert_int_equal(page_take_back(page, 9, 4), -1);
	}
	atomic_store(page_slot(page, 9), page_word(9, 4));
	assert_int_equal(page_take_back(page, 9, 4), 4);
}

static void test_outbox_is_committed_by_one_word(void **state)
{
	struct page *page = *state;
	page_commit(page, 100, 3);
	assert_true(atomic_load(&page->tail) == (UINT64_C(3) << 32) + 100);
	page_written(page, UINT64_C(1) << 40);
	assert_true(atomic_load(&page->tail) == 0);
	assert_true(atomic_load(&page->base) == UINT64_C(1) << 40);
}

#define RACES         2000U
#define RACE_ELEMENTS 64U

struct race {
	struct page *page;
	uint32_t claimed[RACES];
	_Atomic uint32_t offered; /* messages offered so far */
	_Atomic uint32_t run;     /* messages that the worker is done with */
};

static void *race_worker(void *data)
{
	struct race *race = data;
	for (uint32_t seq = 0; seq < RACES; seq++) {
		while (atomic_load(&race->offered) <= seq)
			sched_yield();
		uint32_t index = 0;
		while (index < RACE_ELEMENTS && page_claim(race->page, seq, index))
			index++;
		race->claimed[seq] = index;
		atomic_store(&race->run, seq + 1);
	}
	return NULL;
}

/* The daemon is told exactly how many elements the worker began, whenever it takes back. */
static void test_claims_and_taking_back_agree_when_they_race(void **state)
{
	static struct race race;
	int64_t begun[RACES];
	pthread_t worker;
	uint64_t random = 0xdec0de;
	race.page = *state;
	assert_int_equal(pthread_create(&worker, NULL, race_worker, &race), 0);
	for (uint32_t seq = 0; seq < RACES; seq++) {
		page_offer(race.page, seq);
		atomic_store(&race.offered, seq + 1);
		uint64_t delay = test_random(&random) % RACE_ELEMENTS;
		while (atomic_load(&race.run) <= seq && delay-- > 0)
			atomic_load(page_slot(race.page, seq));
		begun[seq] = page_take_back(race.page, seq, RACE_ELEMENTS);
	}
	assert_int_equal(pthread_join(worker, NULL), 0);
	for (uint32_t seq = 0; seq < RACES; seq++)
		assert_int_equal(begun[seq], race.claimed[seq]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layout),
		TEST(test_elements_are_claimed_in_order),
		TEST(test_taken_elements_cannot_be_claimed),
		TEST(test_untouched_message_is_taken_whole),
		TEST(test_slot_of_a_later_message_refuses_an_earlier_one),
		TEST(test_only_the_element_that_is_meant_is_to_stop),
		TEST(test_implausible_words_count_as_begun),
		TEST(test_outbox_is_committed_by_one_word),
		TEST(test_claims_and_taking_back_agree_when_they_race),
	};
	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
