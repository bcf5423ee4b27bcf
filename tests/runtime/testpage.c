/* SPDX-License-Identifier: MIT */
/* The daemon's side of proto/page.h for driver.py, because Python has no atomics. */
#include "proto/page.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void test_page_offer(struct page *page, uint32_t seq);
EXPORT int64_t test_page_take_back(struct page *page, uint32_t seq, uint32_t count);

void test_page_offer(struct page *page, uint32_t seq)
{
	page_offer(page, seq);
}

int64_t test_page_take_back(struct page *page, uint32_t seq, uint32_t count)
{
	return page_take_back(page, seq, count);
}
