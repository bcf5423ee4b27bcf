/* SPDX-License-Identifier: MIT */
#include "core/request_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/job.h"

#define CAPACITY_MIN 16U
/* An empty table that is larger is given back. */
#define CAPACITY_KEPT 1024U

void request_table_init(struct request_table *table)
{
	*table = (struct request_table){0};
}

void request_table_fini(struct request_table *table)
{
	assert(table->count == 0);
	free(table->buckets);
	request_table_init(table);
}

static struct job **bucket_of(const struct request_table *table, uint32_t msgid)
{
	unsigned hash;
	HASH_FUNCTION(&msgid, sizeof(msgid), hash);
	return &table->buckets[hash & (table->capacity - 1)];
}

/* The link that leads to the newest with that msgid, or to the end of its bucket. */
static struct job **link_to(const struct request_table *table, uint32_t msgid)
{
	struct job **link = bucket_of(table, msgid);
	while (*link && (*link)->msgid != msgid)
		link = &(*link)->next_request;
	return link;
}

static int grow(struct request_table *table)
{
	struct request_table grown = {.count = table->count};
	grown.capacity = table->capacity > 0 ? 2 * table->capacity : CAPACITY_MIN;
	grown.buckets = calloc(grown.capacity, sizeof(*grown.buckets));
	if (!grown.buckets)
		return -ENOMEM;
	for (uint32_t i = 0; i < table->capacity; i++) {
		struct job *job = table->buckets[i], *next;
		for (; job; job = next) {
			struct job **bucket = bucket_of(&grown, job->msgid);
			next = job->next_request;
			job->next_request = *bucket;
			*bucket = job;
		}
	}
	free(table->buckets);
	*table = grown;
	return 0;
}

int request_table_add(struct request_table *table, struct job *job)
{
	/* Without memory for more buckets, chains grow. */
	if (table->count >= table->capacity && grow(table) < 0 && table->capacity == 0)
		return -ENOMEM;
	struct job **link = link_to(table, job->msgid), *older = *link;
	job->newest_request = true;
	job->older_request = older;
	job->next_request = older ? older->next_request : NULL;
	*link = job;
	if (older) {
		/* Of one that is not the newest, the next is the newer one. */
		older->newest_request = false;
		older->next_request = job;
	} else {
		table->count++;
	}
	return 0;
}

void request_table_remove(struct request_table *table, struct job *job)
{
	struct job *older = job->older_request, *next = job->next_request;
	if (!job->newest_request) {
		next->older_request = older;
		if (older)
			older->next_request = next;
		return;
	}
	struct job **link = link_to(table, job->msgid);
	assert(*link == job);
	if (older) {
		older->newest_request = true;
		older->next_request = next;
		*link = older;
		return;
	}
	*link = next;
	if (--table->count == 0 && table->capacity > CAPACITY_KEPT)
		request_table_fini(table);
}

struct job *request_table_find(const struct request_table *table, uint32_t msgid)
{
	return table->capacity > 0 ? *link_to(table, msgid) : NULL;
}
