/* SPDX-License-Identifier: MIT */
/*
 * The page: memory that the daemon shares with one worker (WORKER.md, "The page"). It answers two
 * questions that a socket cannot once the worker is dead: which tasks had begun, and what had been
 * finished but not yet sent.
 *
 * Claims: one word a task message, at slots[seq % PAGE_SLOTS]. The worker claims each element
 * before it runs it, by compare-and-swap; the daemon takes back what is not begun by the same.
 *
 * Stopping: the word of one element that is to end early, which the worker compares with that of
 * the one it runs; so no other element is ever stopped, however late the worker looks.
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
	_Atomic uint64_t open;  /* offset in outbox of the open run's array32 header; only if tail's
				   high half > 0 */
	_Atomic uint64_t began; /* when the newest element of a task with a timeout began: us of
				   CLOCK_MONOTONIC */
	_Atomic uint64_t stop;  /* page_element() of the one that is asked to stop; 0: none is */
	_Atomic uint32_t stops; /* how often one was asked: a futex, woken after each */
	uint32_t reserved[501];
	_Atomic uint64_t slots[PAGE_SLOTS];
	uint8_t outbox[PAGE_OUTBOX_BYTES];
};

_Static_assert(sizeof(struct page) == 65536, "the page's size is part of the worker protocol");

static inline uint64_t page_word(uint32_t seq, uint32_t begun)
{
	return (uint64_t)seq << 32 | begun;
}

/* Element `index` of message seq, as no other word and never 0. */
static inline uint64_t page_element(uint32_t seq, uint32_t index)
{
	return page_word(seq, index + 1);
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

/* Worker: the element that it claims next begins now. Before the claim, so that whoever sees the
 * element begun does not see when the one before it did. */
static inline void page_begin(struct page *page, uint64_t now_us)
{
	atomic_store_explicit(&page->began, now_us, memory_order_release);
}

/* Daemon: asks an element to stop. To be followed by waking those who wait for page->stops. */
static inline void page_ask_to_stop(struct page *page, uint64_t element)
{
	atomic_store(&page->stop, element);
	atomic_fetch_add(&page->stops, 1);
}

/* Daemon: it has been answered. */
static inline void page_stopped(struct page *page)
{
	atomic_store(&page->stop, 0);
}

/* Worker: whether the element is asked to stop. */
static inline bool page_is_to_stop(struct page *page, uint64_t element)
{
	return atomic_load_explicit(&page->stop, memory_order_acquire) == element;
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
