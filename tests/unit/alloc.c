/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned long calls;
static long left = -1;

unsigned long alloc_calls(void)
{
	return calls;
}

void alloc_fail_after(long n)
{
	left = n;
}

static bool fails(void)
{
	calls++;
	if (left > 0)
		left--;
	else if (left == 0)
		return true;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}
