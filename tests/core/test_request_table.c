/* SPDX-License-Identifier: MIT */
#include "core/request_table.h"

#include <errno.h>

#include "../unit/alloc.h"
#include "../unit/test.h"
#include "core/job.h"

#define JOBS   400
#define MSGIDS 60

static void add(struct request_table *table, struct job *job, uint32_t msgid)
{
	job->msgid = msgid;
	assert_int_equal(request_table_add(table, job), 0);
}

static void test_empty_table_has_nothing(void **state)
{
	(void)state;
	struct request_table table;
	request_table_init(&table);
	assert_null(request_table_find(&table, 0));
	request_table_fini(&table);
}

static void test_newest_of_a_msgid_is_found(void **state)
{
	(void)state;
	struct request_table table;
	struct job jobs[4] = {0};
	request_table_init(&table);
	for (int i = 0; i < 4; i++)
		add(&table, &jobs[i], 7);
	assert_ptr_equal(request_table_find(&table, 7), &jobs[3]);
	assert_null(request_table_find(&table, 8));
	/* From the middle, the newest, the oldest. */
	request_table_remove(&table, &jobs[1]);
	assert_ptr_equal(request_table_find(&table, 7), &jobs[3]);
	request_table_remove(&table, &jobs[3]);
	assert_ptr_equal(request_table_find(&table, 7), &jobs[2]);
	request_table_remove(&table, &jobs[0]);
	assert_ptr_equal(request_table_find(&table, 7), &jobs[2]);
	request_table_remove(&table, &jobs[2]);
	assert_null(request_table_find(&table, 7));
	request_table_fini(&table);
}

/* The newest job of the msgid by looking at all of them. */
static struct job *search(struct job *const *order, size_t count, uint32_t msgid)
{
	while (count > 0)
		if (order[--count]->msgid == msgid)
			return order[count];
	return NULL;
}

static void test_as_a_list_would_have_it(void **state)
{
	(void)state;
	static struct job jobs[JOBS];
	struct job *order[JOBS]; /* those in the table, the oldest first */
	struct request_table table;
	uint64_t random = 0xbeef;
	size_t count = 0, next = 0;
	request_table_init(&table);
	while (next < JOBS || count > 0) {
		if (next < JOBS && test_random(&random) % 3 > 0) {
			order[count] = &jobs[next++];
			add(&table, order[count++], (uint32_t)(test_random(&random) % MSGIDS));
		} else if (count > 0) {
			size_t place = test_random(&random) % count--;
			request_table_remove(&table, order[place]);
			for (; place < count; place++)
				order[place] = order[place + 1];
		}
		for (uint32_t msgid = 0; msgid < MSGIDS; msgid++)
			assert_ptr_equal(request_table_find(&table, msgid),
					 search(order, count, msgid));
	}
	request_table_fini(&table);
}

static void test_large_table_is_given_back_when_empty(void **state)
{
	(void)state;
	static struct job jobs[5000];
	struct request_table table;
	request_table_init(&table);
	for (uint32_t i = 0; i < 5000; i++)
		add(&table, &jobs[i], i);
	assert_int_equal(table.count, 5000);
	for (uint32_t i = 0; i < 5000; i++)
		request_table_remove(&table, &jobs[i]);
	assert_int_equal(table.capacity, 0);
	request_table_fini(&table);
}

static void test_without_memory_only_the_first_is_refused(void **state)
{
	(void)state;
	static struct job jobs[100];
	struct request_table table;
	request_table_init(&table);
	alloc_fail_after(0);
	assert_int_equal(request_table_add(&table, &jobs[0]), -ENOMEM);
	alloc_fail_after(-1);
	add(&table, &jobs[0], 0);
	alloc_fail_after(0);
	for (uint32_t i = 1; i < 100; i++)
		add(&table, &jobs[i], i);
	alloc_fail_after(-1);
	for (uint32_t i = 0; i < 100; i++) {
		assert_ptr_equal(request_table_find(&table, i), &jobs[i]);
		request_table_remove(&table, &jobs[i]);
	}
	request_table_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_table_has_nothing),
		cmocka_unit_test(test_newest_of_a_msgid_is_found),
		cmocka_unit_test(test_as_a_list_would_have_it),
		cmocka_unit_test(test_large_table_is_given_back_when_empty),
		cmocka_unit_test(test_without_memory_only_the_first_is_refused),
	};
	return cmocka_run_group_tests_name("request_table", tests, NULL, NULL);
}
