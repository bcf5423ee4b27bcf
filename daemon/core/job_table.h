/* SPDX-License-Identifier: MIT */
/*
 * All jobs by id. Ids are given out one after the other, so the table is an array in pieces: a page
 * covers JOB_PAGE_SIZE consecutive ids, exists while a job of it does (the newest one longer), and
 * is found through a hash of the few pages. Adding, finding and removing cost the same however many
 * jobs there are, and visiting goes in the order of ids.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/params.h"

struct job;
struct job_page;

struct job_table {
	uint64_t last_id;
	size_t count;
	struct job_page *pages;                          /* hash by number */
	TAILQ_HEAD(job_pages, job_page) pages_by_number; /* ascending */
	struct job_page *recent;                         /* the page found last, or NULL */
};

#define JOB_ID_MAX PARAM_JOB_MAX

/* The first id given out is first_id, 1 to JOB_ID_MAX. */
void job_table_init(struct job_table *table, uint64_t first_id);
/* Must be empty. */
void job_table_fini(struct job_table *table);

/* Enters a job and returns its new id; 0 without memory. */
uint64_t job_table_add(struct job_table *table, struct job *job);

/* NULL for an id that is not in use. */
struct job *job_table_find(struct job_table *table, uint64_t id);

void job_table_remove(struct job_table *table, uint64_t id);

/* The job with the smallest id above `after` (0 for the first), *ret_id its id; NULL at the end. */
struct job *job_table_next(struct job_table *table, uint64_t after, uint64_t *ret_id);
