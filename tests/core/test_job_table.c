/* SPDX-License-Identifier: MIT */
#include "core/job_table.h"

#include "../unit/test.h"

#define JOBS 3000

/* The table never looks into a job. */
static char places[JOBS];

static struct job *job(uint64_t i)
{
	return (struct job *)(void *)&places[i];
}

static void test_ids_count_from_the_first(void **state)
{
	(void)state;
	struct job_table table;
	job_table_init(&table, 71001);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(job_table_add(&table, job(i)), 71001 + i);
	assert_ptr_equal(job_table_find(&table, 71002), job(1));
	assert_null(job_table_find(&table, 71000));
	assert_null(job_table_find(&table, 71004));
	assert_null(job_table_find(&table, 0));
	assert_null(job_table_find(&table, UINT64_MAX));
	for (uint64_t i = 0; i < 3; i++)
		job_table_remove(&table, 71001 + i);
	assert_null(job_table_find(&table, 71002));
	/* Not given out again. */
	assert_int_equal(job_table_add(&table, job(0)), 71004);
	job_table_remove(&table, 71004);
	job_table_fini(&table);
}

static void test_there_is_no_id_beyond_the_last(void **state)
{
	(void)state;
	struct job_table table;
	job_table_init(&table, JOB_ID_MAX);
	assert_true(job_table_add(&table, job(0)) == JOB_ID_MAX);
	assert_int_equal(job_table_add(&table, job(1)), 0);
	uint64_t id;
	assert_null(job_table_next(&table, JOB_ID_MAX, &id));
	job_table_remove(&table, JOB_ID_MAX);
	job_table_fini(&table);
}

static void test_pages_go_with_their_jobs(void **state)
{
	(void)state;
	struct job_table table;
	job_table_init(&table, 1);
	for (uint64_t i = 0; i < JOBS; i++)
		job_table_add(&table, job(i));
	for (uint64_t i = 0; i < JOBS; i++)
		job_table_remove(&table, 1 + i);
	assert_int_equal(table.count, 0);
	/* All but the newest. */
	assert_ptr_equal(TAILQ_FIRST(&table.pages_by_number),
			 TAILQ_LAST(&table.pages_by_number, job_pages));
	/* One at a time, over the borders of pages. */
	for (uint64_t i = 0; i < JOBS; i++)
		job_table_remove(&table, job_table_add(&table, job(i)));
	job_table_fini(&table);
}

static void test_visiting_goes_by_id_over_gaps(void **state)
{
	(void)state;
	struct job_table table;
	uint64_t random = 0x1dea, left = 0, id, seen = 0, last = 0;
	job_table_init(&table, 500);
	for (uint64_t i = 0; i < JOBS; i++)
		job_table_add(&table, job(i));
	for (uint64_t i = 0; i < JOBS; i++) {
		/* Whole pages of gaps, and single ones. */
		if ((i > 600 && i < 1800) || test_random(&random) % 3 > 0)
			job_table_remove(&table, 500 + i);
		else
			left++;
	}
	for (struct job *j; (j = job_table_next(&table, last, &id)); last = id, seen++) {
		assert_true(id > last);
		assert_ptr_equal(j, job(id - 500));
	}
	assert_int_equal(seen, left);
	assert_int_equal(table.count, left);
	for (uint64_t i = 0; i < JOBS; i++)
		if (job_table_find(&table, 500 + i))
			job_table_remove(&table, 500 + i);
	job_table_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_count_from_the_first),
		cmocka_unit_test(test_there_is_no_id_beyond_the_last),
		cmocka_unit_test(test_pages_go_with_their_jobs),
		cmocka_unit_test(test_visiting_goes_by_id_over_gaps),
	};
	return cmocka_run_group_tests_name("job_table", tests, NULL, NULL);
}
