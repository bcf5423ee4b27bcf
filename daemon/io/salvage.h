/* SPDX-License-Identifier: MIT */
/* What a dead worker had finished and not yet sent, out of its page's outbox (WORKER.md, "The
 * page"). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct page;

/*
 * Copies what follows the `received` bytes that came through the socket to bytes (PAGE_OUTBOX_BYTES
 * of room). Returns how many; 0 where there is nothing, or where the page's numbers make no sense.
 * What the bytes say is as hostile as anything else from a worker.
 */
size_t salvage_outbox(struct page *page, uint64_t received, uint8_t *bytes);
