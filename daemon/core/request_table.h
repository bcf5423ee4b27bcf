/* SPDX-License-Identifier: MIT */
/*
 * The jobs of a session that answer a request, by its msgid, for cancel. Clients may reuse a msgid
 * as they like; the newest job is then the one found.
 *
 * The links lie in the jobs, two words each: a chain of each bucket goes through the newest of
 * every msgid, and each of these heads a list of the older ones. So neither many jobs of one msgid
 * nor msgids of a client's choice make anything slow (the hash is seeded).
 */
#pragma once

#include <stdint.h>

struct job;

struct request_table {
	struct job **buckets; /* NULL while empty and never used */
	uint32_t capacity;    /* a power of two, or 0 */
	uint32_t count;       /* different msgids */
};

void request_table_init(struct request_table *table);
/* Must be empty. */
void request_table_fini(struct request_table *table);

/* Enters a job under its msgid, as the newest. 0, or -ENOMEM. */
int request_table_add(struct request_table *table, struct job *job);
void request_table_remove(struct request_table *table, struct job *job);

/* The newest with that msgid, or NULL. */
struct job *request_table_find(const struct request_table *table, uint32_t msgid);
