/* SPDX-License-Identifier: MIT */
/*
 * Memory for what may become large: as from malloc() while it is small, and a mapping of its own,
 * in huge pages where the system has them, from LARGE_MIN bytes on.
 *
 * Most of what a message of many megabytes costs is the first touch of the memory that it is
 * received into: with pages of 4 KiB that takes three to four times as long as copying the bytes
 * there. A mapping also grows without being copied, and what nobody has touched takes no memory.
 * madvise() on a part of what malloc() gave would do neither: realloc() copies then, because the
 * kernel moves no range that is made of several.
 *
 * Whoever holds the memory knows its size, which all functions here are told.
 */
#pragma once

#include <stddef.h>

/* Rounding to huge pages wastes at most half of it. */
#define LARGE_MIN ((size_t)4 << 20)

/*
 * Makes the size of data, which has old_size bytes (NULL: 0), new_size bytes. Its contents stay, as
 * far as they fit. Returns it, perhaps moved, or NULL without memory: data is unchanged then.
 */
void *large_resize(void *data, size_t old_size, size_t new_size);

/*
 * For memory from malloc() that will not be resized: asks for huge pages where it has LARGE_MIN
 * bytes. Before it is touched.
 */
void large_advise(void *data, size_t size);

/* Frees data of `size` bytes; NULL is allowed. */
void large_free(void *data, size_t size);
