/* SPDX-License-Identifier: MIT */
#include "call.h"

#include <assert.h>
#include <stdlib.h>

#include "outcome.h"
#include "stream.h"

#define CALL_BLOCK 64

void call_table_fini(struct call_table *table)
{
	for (size_t i = 0; i < table->block_count; i++) {
		for (size_t j = 0; j < CALL_BLOCK; j++) {
			procpool_outcome_fini(&table->blocks[i][j].outcome);
			free(table->blocks[i][j].stream);
		}
		free(table->blocks[i]);
	}
	free(table->blocks);
	*table = (struct call_table){0};
}

static bool add_block(struct call_table *table, struct procpool *pp)
{
	if (table->block_count >= (UINT64_C(1) << 32) / CALL_BLOCK)
		return false;
	struct procpool_call *block = calloc(CALL_BLOCK, sizeof(*block));
	struct procpool_call **blocks =
		reallocarray(table->blocks, table->block_count + 1, sizeof(struct procpool_call *));
	if (blocks)
		table->blocks = blocks;
	if (!block || !blocks) {
		free(block);
		return false;
	}
	for (size_t i = CALL_BLOCK; i-- > 0;) {
		block[i].pp = pp;
		block[i].msgid = (uint32_t)(table->block_count * CALL_BLOCK + i);
		outcome_clear(&block[i].outcome);
		block[i].next_free = table->free_list;
		table->free_list = &block[i];
	}
	blocks[table->block_count++] = block;
	return true;
}

struct procpool_call *call_take(struct call_table *table, struct procpool *pp,
				procpool_call_fn callback, void *data)
{
	if (!table->free_list && !add_block(table, pp))
		return NULL;
	struct procpool_call *call = table->free_list;
	table->free_list = call->next_free;
	table->in_flight++;
	call->callback = callback;
	call->data = data;
	call->in_flight = true;
	call->held = false;
	call->cancel = false;
	return call;
}

struct procpool_call *call_find(const struct call_table *table, uint64_t msgid)
{
	if (msgid / CALL_BLOCK >= table->block_count)
		return NULL;
	struct procpool_call *call = &table->blocks[msgid / CALL_BLOCK][msgid % CALL_BLOCK];
	return call->in_flight ? call : NULL;
}

struct procpool_call *call_next(const struct call_table *table, uint64_t *next)
{
	uint64_t end = (uint64_t)table->block_count * CALL_BLOCK;
	while (*next < end) {
		struct procpool_call *call = call_find(table, (*next)++);
		if (call)
			return call;
	}
	return NULL;
}

void call_land(struct call_table *table, struct procpool_call *call)
{
	assert(call->in_flight);
	call->in_flight = false;
	table->in_flight--;
}

void call_release(struct call_table *table, struct procpool_call *call)
{
	assert(!call->in_flight && !call->held && !call->stream);
	call->next_free = table->free_list;
	table->free_list = call;
}
