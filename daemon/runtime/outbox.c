/* SPDX-License-Identifier: MIT */
#include "runtime/outbox.h"

#include <assert.h>

#include "proto/worker.h"
#include "runtime/channel.h"

/*
 * A run's message up to its values, all of fixed width so that it can be filled in later:
 * array 5, number, uint32 seq, uint32 first, uint32 microseconds, array32 count.
 */
enum {
	RUN_SEQ = 2,
	RUN_FIRST = 7,
	RUN_MICROSECONDS = 12,
	RUN_VALUES = 17,
	RUN_BYTES = 22,
};

#define UINT32_TYPE  0xce
#define ARRAY32_TYPE 0xdd

void outbox_init(struct outbox *outbox, struct page *page, int fd)
{
	*outbox = (struct outbox){.page = page, .fd = fd, .send = channel_send};
}

void outbox_start_at(struct outbox *outbox, uint64_t written)
{
	outbox->written = written;
	page_written(outbox->page, written);
}

static void put_u32(uint8_t *p, uint8_t type, uint32_t n)
{
	uint32_t big_endian = __builtin_bswap32(n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	big_endian = n;
#endif
	p[0] = type;
	memcpy(p + 1, &big_endian, sizeof(big_endian));
}

bool outbox_open_run(struct outbox *outbox, uint32_t seq, uint32_t first,
		     struct procpool_value value)
{
	assert(outbox->values == 0);
	if (value.size > PAGE_OUTBOX_BYTES - RUN_BYTES ||
	    outbox->used > PAGE_OUTBOX_BYTES - RUN_BYTES - value.size)
		return false;
	uint8_t *p = outbox->page->outbox + outbox->used;
	p[0] = 0x95;
	p[1] = MSG_RESULT;
	put_u32(p + RUN_SEQ, UINT32_TYPE, seq);
	put_u32(p + RUN_FIRST, UINT32_TYPE, first);
	put_u32(p + RUN_MICROSECONDS, UINT32_TYPE, 0);
	put_u32(p + RUN_VALUES, ARRAY32_TYPE, 0);
	outbox->run = outbox->used;
	outbox->used += RUN_BYTES;
	atomic_store_explicit(&outbox->page->open, outbox->run + RUN_VALUES, memory_order_release);
	return outbox_extend_run(outbox, value);
}

void outbox_close_run(struct outbox *outbox, uint32_t microseconds)
{
	if (outbox->values == 0)
		return;
	uint8_t *p = outbox->page->outbox + outbox->run;
	put_u32(p + RUN_MICROSECONDS, UINT32_TYPE, microseconds);
	put_u32(p + RUN_VALUES, ARRAY32_TYPE, outbox->values);
	outbox->values = 0;
	page_commit(outbox->page, outbox->used, 0);
}

/* Past the outbox, which is empty: no base is valid meanwhile, as nothing is committed. */
static int write_directly(struct outbox *outbox, struct procpool_value head,
			  struct procpool_value body)
{
	struct iovec iov[] = {{(void *)head.data, head.size}, {(void *)body.data, body.size}};
	int r = outbox->send(outbox->fd, iov, 2);
	if (r < 0)
		return r;
	outbox->written += head.size + body.size;
	page_written(outbox->page, outbox->written);
	return 0;
}

int outbox_add(struct outbox *outbox, struct procpool_value head, struct procpool_value body)
{
	assert(outbox->values == 0);
	size_t size = head.size + body.size;
	if (size > PAGE_OUTBOX_BYTES - outbox->used) {
		int r = outbox_flush(outbox);
		if (r < 0)
			return r;
		if (size > PAGE_OUTBOX_BYTES)
			return write_directly(outbox, head, body);
	}
	uint8_t *p = outbox->page->outbox + outbox->used;
	memcpy(p, head.data, head.size);
	if (body.size > 0)
		memcpy(p + head.size, body.data, body.size);
	outbox->used += (uint32_t)size;
	page_commit(outbox->page, outbox->used, 0);
	return 0;
}

int outbox_flush(struct outbox *outbox)
{
	assert(outbox->values == 0);
	if (outbox->used == 0)
		return 0;
	struct iovec iov = {outbox->page->outbox, outbox->used};
	int r = outbox->send(outbox->fd, &iov, 1);
	if (r < 0)
		return r;
	outbox->written += outbox->used;
	outbox->used = 0;
	page_written(outbox->page, outbox->written);
	return 0;
}
