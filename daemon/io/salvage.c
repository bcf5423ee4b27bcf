/* SPDX-License-Identifier: MIT */
#include "io/salvage.h"

#include <string.h>

#include "proto/page.h"

#define OPEN_HEADER_BYTES 5

/* Puts the count of values into the open run's array header. False: it is not where it is said to
 * be. */
static bool close_run(uint8_t *bytes, size_t size, uint64_t open, uint32_t values)
{
	if (open > size || size - open < OPEN_HEADER_BYTES || bytes[open] != 0xdd)
		return false;
	for (int i = 0; i < 4; i++)
		bytes[open + 1 + (unsigned)i] = (uint8_t)(values >> (24 - 8 * i));
	return true;
}

size_t salvage_outbox(struct page *page, uint64_t received, uint8_t *bytes)
{
	uint64_t base = atomic_load(&page->base), tail = atomic_load(&page->tail);
	uint32_t committed = (uint32_t)tail, values = (uint32_t)(tail >> 32);
	if (committed > PAGE_OUTBOX_BYTES || received < base || received - base >= committed)
		return 0;
	memcpy(bytes, page->outbox, committed);
	if (values > 0 && !close_run(bytes, committed, atomic_load(&page->open), values))
		return 0;
	size_t sent = (size_t)(received - base);
	memmove(bytes, bytes + sent, committed - sent);
	return committed - sent;
}
