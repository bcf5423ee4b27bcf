/* SPDX-License-Identifier: MIT */
/* The daemon's side of proto/page.h for driver.py, because Python has no atomics. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/page.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void test_page_offer(struct page *page, uint32_t seq);
EXPORT int64_t test_page_take_back(struct page *page, uint32_t seq, uint32_t count);
EXPORT void test_page_ask_to_stop(struct page *page, uint32_t seq, uint32_t index);

void test_page_offer(struct page *page, uint32_t seq)
{
	page_offer(page, seq);
}

int64_t test_page_take_back(struct page *page, uint32_t seq, uint32_t count)
{
	return page_take_back(page, seq, count);
}

void test_page_ask_to_stop(struct page *page, uint32_t seq, uint32_t index)
{
	page_ask_to_stop(page, page_element(seq, index));
	syscall(SYS_futex, &page->stops, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
