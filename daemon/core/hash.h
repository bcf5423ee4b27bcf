/* SPDX-License-Identifier: MIT */
/*
 * Hash tables: uthash with xxHash. Clients choose some of the keys, so the hash is seeded with
 * what they do not know: where this process was loaded.
 */
#pragma once

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

extern const char hash_anchor;

#define HASH_FUNCTION(key, size, hash)                                                             \
	((hash) = (unsigned)XXH3_64bits_withSeed((key), (size), (uintptr_t)&hash_anchor))
#include <uthash.h>
