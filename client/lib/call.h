/* SPDX-License-Identifier: MIT */
/*
 * The calls of one connection. A call keeps its msgid, which is its place in the table, for life
 * and is used again after its end, so that making one allocates only when more are in flight than
 * ever.
 *
 * A call is in use from call_take() until it has ended and nobody holds it: with a callback that
 * is the same moment, without one the caller holds it until procpool_call_free().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool.h"

struct stream;

struct procpool_call {
	procpool_call_fn callback; /* or NULL */
	void *data;
	uint64_t queued_end;   /* link_queued_end() of its request */
	struct procpool *pp;   /* the connection */
	struct stream *stream; /* owned; of a streamed map, else NULL */
	struct procpool_call *next_free;
	uint32_t msgid;
	bool in_flight;
	bool held;                       /* by the caller, who wants the outcome */
	bool cancel;                     /* to be cancelled as soon as its job is known */
	struct procpool_outcome outcome; /* once ended, if held */
};

struct call_table {
	struct procpool_call **blocks; /* of CALL_BLOCK calls each */
	size_t block_count;
	struct procpool_call *free_list;
	size_t in_flight;
};

/* Frees all calls, ended or not, calling nothing. */
void call_table_fini(struct call_table *table);

/* A call in flight; NULL without memory, or when 2^32 are. */
struct procpool_call *call_take(struct call_table *table, struct procpool *pp,
				procpool_call_fn callback, void *data);

/* The call in flight with this msgid, or NULL. */
struct procpool_call *call_find(const struct call_table *table, uint64_t msgid);

/* Any call in flight with a msgid of at least *next, or NULL; *next moves behind it. */
struct procpool_call *call_next(const struct call_table *table, uint64_t *next);

/* Not in flight any more. Whoever holds it still has it. */
void call_land(struct call_table *table, struct procpool_call *call);

/* Gives back a call that neither is in flight nor held. */
void call_release(struct call_table *table, struct procpool_call *call);
