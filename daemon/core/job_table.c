/* SPDX-License-Identifier: MIT */
#include "core/job_table.h"

#include <assert.h>
#include <stdlib.h>
#include "core/hash.h"

#define JOB_PAGE_SIZE 512

struct job_page {
	uint64_t number; /* id / JOB_PAGE_SIZE */
	unsigned used;
	TAILQ_ENTRY(job_page) by_number;
	UT_hash_handle hh;
	struct job *jobs[JOB_PAGE_SIZE];
};

void job_table_init(struct job_table *table, uint64_t first_id)
{
	assert(first_id >= 1 && first_id <= JOB_ID_MAX);
	table->last_id = first_id - 1;
	table->count = 0;
	table->pages = NULL;
	table->recent = NULL;
	TAILQ_INIT(&table->pages_by_number);
}

static void remove_page(struct job_table *table, struct job_page *page)
{
	HASH_DELETE(hh, table->pages, page);
	TAILQ_REMOVE(&table->pages_by_number, page, by_number);
	if (table->recent == page)
		table->recent = NULL;
	free(page);
}

/* The newest page stays while empty, so that a job at a time does not allocate one each. */
static void remove_empty_newest(struct job_table *table)
{
	struct job_page *page = TAILQ_LAST(&table->pages_by_number, job_pages);
	if (page && page->used == 0)
		remove_page(table, page);
}

void job_table_fini(struct job_table *table)
{
	assert(table->count == 0);
	remove_empty_newest(table);
	assert(!table->pages);
}

static struct job_page *find_page(struct job_table *table, uint64_t number)
{
	if (table->recent && table->recent->number == number)
		return table->recent;
	struct job_page *page;
	HASH_FIND(hh, table->pages, &number, sizeof(number), page);
	if (page)
		table->recent = page;
	return page;
}

static struct job_page *add_page(struct job_table *table, uint64_t number)
{
	struct job_page *page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	page->number = number;
	remove_empty_newest(table);
	HASH_ADD(hh, table->pages, number, sizeof(page->number), page);
	/* Ids only grow, but for the wrap at JOB_ID_MAX, which takes longer than a machine lasts.
	 */
	TAILQ_INSERT_TAIL(&table->pages_by_number, page, by_number);
	table->recent = page;
	return page;
}

uint64_t job_table_add(struct job_table *table, struct job *job)
{
	if (table->last_id == JOB_ID_MAX)
		return 0;
	uint64_t id = table->last_id + 1;
	struct job_page *page = find_page(table, id / JOB_PAGE_SIZE);
	if (!page)
		page = add_page(table, id / JOB_PAGE_SIZE);
	if (!page)
		return 0;
	page->jobs[id % JOB_PAGE_SIZE] = job;
	page->used++;
	table->count++;
	table->last_id = id;
	return id;
}

struct job *job_table_find(struct job_table *table, uint64_t id)
{
	struct job_page *page = find_page(table, id / JOB_PAGE_SIZE);
	return page ? page->jobs[id % JOB_PAGE_SIZE] : NULL;
}

void job_table_remove(struct job_table *table, uint64_t id)
{
	struct job_page *page = find_page(table, id / JOB_PAGE_SIZE);
	assert(page && page->jobs[id % JOB_PAGE_SIZE]);
	page->jobs[id % JOB_PAGE_SIZE] = NULL;
	table->count--;
	if (--page->used == 0 && TAILQ_NEXT(page, by_number))
		remove_page(table, page);
}

struct job *job_table_next(struct job_table *table, uint64_t after, uint64_t *ret_id)
{
	uint64_t id = after + 1;
	struct job_page *page = find_page(table, id / JOB_PAGE_SIZE);
	if (!page) {
		TAILQ_FOREACH (page, &table->pages_by_number, by_number)
			if (page->number > id / JOB_PAGE_SIZE)
				break;
		if (page)
			id = page->number * JOB_PAGE_SIZE;
	}
	while (page) {
		for (; id / JOB_PAGE_SIZE == page->number; id++) {
			if (page->jobs[id % JOB_PAGE_SIZE]) {
				*ret_id = id;
				return page->jobs[id % JOB_PAGE_SIZE];
			}
		}
		page = TAILQ_NEXT(page, by_number);
		if (page)
			id = page->number * JOB_PAGE_SIZE;
	}
	return NULL;
}
