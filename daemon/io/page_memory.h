/* SPDX-License-Identifier: MIT */
/*
 * The memory of one worker's page (proto/page.h): a memfd that is sealed against changes of its
 * size, so that no worker can truncate it under the daemon's feet, and its mapping.
 */
#pragma once

struct page;

struct page_memory {
	int fd; /* owned, close-on-exec: to be sent to the worker's runtime; -1: none or given up */
	struct page *page; /* owned mapping, zeroed, shared; NULL: none */
};

/* 0 or a negative errno; on failure there is nothing to fini. */
int page_memory_init(struct page_memory *memory);

/* Takes the descriptor out, which is only needed until the worker has it: the caller owns it. */
int page_memory_take_fd(struct page_memory *memory);

/* Wakes whoever waits in the worker to be asked to stop. */
void page_memory_wake(const struct page_memory *memory);

/* Takes a finished one, and one whose fd is -1 and page is NULL. */
void page_memory_fini(struct page_memory *memory);
