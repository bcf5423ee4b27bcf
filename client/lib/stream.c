/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wimplicit-fallthrough" /* in uthash */

struct stream *stream_create(struct procpool_call *call, procpool_items_fn on_items, void *data)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->call = call;
	stream->on_items = on_items;
	stream->data = data;
	return stream;
}

struct stream *stream_find(struct stream *table, uint64_t job)
{
	struct stream *stream;
	HASH_FIND(hh, table, &job, sizeof(job), stream);
	return stream;
}

bool stream_enter(struct stream **table, struct stream *stream, uint64_t job)
{
	if (job == 0 || stream_find(*table, job))
		return false;
	stream->job = job;
	HASH_ADD(hh, *table, job, sizeof(stream->job), stream);
	if (!stream->hh.tbl)
		stream->job = 0;
	return stream->job != 0;
}

void stream_destroy(struct stream **table, struct stream *stream)
{
	if (stream && stream->job != 0)
		HASH_DELETE(hh, *table, stream);
	free(stream);
}

void stream_table_fini(struct stream **table)
{
	HASH_CLEAR(hh, *table);
}
