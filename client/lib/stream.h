/* SPDX-License-Identifier: MIT */
/*
 * Streamed maps whose elements are still coming, found by the id of their job, which the pushes
 * name. A stream is owned by its call and is in the table from the answer that told the id to the
 * call's end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* uthash ends the process without memory unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "procpool.h"

struct stream {
	uint64_t job; /* 0 until the daemon has told it */
	struct procpool_call *call;
	procpool_items_fn on_items;
	void *data;
	UT_hash_handle hh;
};

/* Of a call; NULL without memory. */
struct stream *stream_create(struct procpool_call *call, procpool_items_fn on_items, void *data);

/* Enters it under its job's id. False without memory, or if the id is taken or 0. */
bool stream_enter(struct stream **table, struct stream *stream, uint64_t job);

/* The stream of this job, or NULL. */
struct stream *stream_find(struct stream *table, uint64_t job);

/* Takes it out of the table, if it is in, and frees it. NULL is allowed. */
void stream_destroy(struct stream **table, struct stream *stream);

/* Forgets all streams without freeing them. */
void stream_table_fini(struct stream **table);
