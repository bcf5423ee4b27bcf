/* SPDX-License-Identifier: MIT */
/*
 * The page: memory that the daemon shares with one worker (WORKER.md, "The page"). It answers two
 * questions that a socket cannot once the worker is dead: which tasks had begun, and what had been
 * finished but not yet sent.
 *
 * Claims: one word a task message, at slots[seq % PAGE_SLOTS]. The worker claims each element
 * before it runs it, by compare-and-swap; the daemon takes back what is not begun by the same.
 *
 * Outbox: where the worker packs its messages before it writes them to its socket. Stream offsets
 * count all bytes that the worker ever wrote to its socket.
 *
 * To the daemon every number here is hostile: it clamps and checks, and never follows one.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_SLOTS        256U /* a power of two */
#define PAGE_OUTBOX_BYTES 61440U
#define PAGE_TAKEN        (UINT64_C(1) << 31)
#define PAGE_BEGUN_MAX    0x7fffffffU

struct page {
	_Atomic uint64_t base; /* stream offset of outbox[0] */
	_Atomic uint64_t
		tail; /* low half: bytes committed in outbox; high half: values in the open run */
	_Atomic uint64_t open; /* offset in outbox of the open run's array32 header; only if tail's
				  high half > 0 */
	uint64_t reserved[253];
	_Atomic uint64_t slots[PAGE_SLOTS];
	uint8_t outbox[PAGE_OUTBOX_BYTES];
};

_Static_assert(sizeof(struct page) == 65536, "the page's size is part of the worker protocol");

static inline uint64_t page_word(uint32_t seq, uint32_t begun)
{
	return (uint64_t)seq << 32 | begun;
}

static inline _Atomic uint64_t *page_slot(struct page *page, uint32_t seq)
{
	return &page->slots[seq % PAGE_SLOTS];
}

/* Daemon: before the task message is written, nothing of it is begun. */
static inline void page_offer(struct page *page, uint32_t seq)
{
	atomic_store_explicit(page_slot(page, seq), page_word(seq, 0), memory_order_release);
}

/* Worker: claims element `index` of message seq. False: taken back, this one and all behind it. */
static inline bool page_claim(struct page *page, uint32_t seq, uint32_t index)
{
	uint64_t expected = page_word(seq, index);
	return atomic_compare_exchange_strong(page_slot(page, seq), &expected,
					      page_word(seq, index + 1));
}

/*
 * Daemon: takes back whatever of message seq is not begun. Returns how many elements had begun, the
 * rest will never begin; or -1 where the worker left another word there: then count all as begun.
 *
 * One locked or, not a loop that a worker could keep spinning: with the bit set every claim of an
 * honest worker fails, so what is read afterwards stands still.
 */
static inline int64_t page_take_back(struct page *page, uint32_t seq, uint32_t count)
{
	_Atomic uint64_t *slot = page_slot(page, seq);
	atomic_fetch_or(slot, PAGE_TAKEN);
	uint64_t word = atomic_load(slot);
	if (word >> 32 != seq || !(word & PAGE_TAKEN) || (word & PAGE_BEGUN_MAX) > count)
		return -1;
	return (int64_t)(word & PAGE_BEGUN_MAX);
}

/*
 * Worker: `bytes` of the outbox are complete messages; where `values` is not 0, the last of them is
 * an open run with so many values so far. One store, so that a crash leaves all of it or nothing.
 */
static inline void page_commit(struct page *page, uint32_t bytes, uint32_t values)
{
	atomic_store_explicit(&page->tail, (uint64_t)values << 32 | bytes, memory_order_release);
}

/* Worker: everything committed has been written, and the outbox begins anew at stream offset base.
 */
static inline void page_written(struct page *page, uint64_t base)
{
	page_commit(page, 0, 0);
	atomic_store_explicit(&page->base, base, memory_order_release);
}
