/* SPDX-License-Identifier: MIT */
#include "proto/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* Whole huge pages: recent kernels align only such mappings. */
static size_t mapping_size(size_t size)
{
	return (size + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
}

static void *map(size_t size)
{
	size_t mapped = mapping_size(size);
	void *data = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return NULL;
	madvise(data, mapped, MADV_HUGEPAGE); /* where there are none, small ones do */
	return data;
}

static void *remap(void *data, size_t old_size, size_t new_size)
{
	data = mremap(data, mapping_size(old_size), mapping_size(new_size), MREMAP_MAYMOVE);
	return data == MAP_FAILED ? NULL : data;
}

void *large_resize(void *data, size_t old_size, size_t new_size)
{
	if (new_size > SIZE_MAX - HUGE_PAGE_BYTES)
		return NULL;
	if (old_size < LARGE_MIN && new_size < LARGE_MIN)
		return realloc(data, new_size);
	if (old_size >= LARGE_MIN && new_size >= LARGE_MIN)
		return remap(data, old_size, new_size);

	void *resized = new_size >= LARGE_MIN ? map(new_size) : malloc(new_size);
	if (!resized)
		return NULL;
	if (data)
		memcpy(resized, data, old_size < new_size ? old_size : new_size);
	large_free(data, old_size);
	return resized;
}

void large_advise(void *data, size_t size)
{
	uintptr_t mask = ~((uintptr_t)HUGE_PAGE_BYTES - 1);
	uintptr_t start = ((uintptr_t)data + HUGE_PAGE_BYTES - 1) & mask;
	uintptr_t end = ((uintptr_t)data + size) & mask;
	if (size >= LARGE_MIN && start < end)
		madvise((void *)start, end - start, MADV_HUGEPAGE);
}

void large_free(void *data, size_t size)
{
	if (size < LARGE_MIN)
		free(data);
	else
		munmap(data, mapping_size(size));
}
