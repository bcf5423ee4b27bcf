/* SPDX-License-Identifier: MIT */
/* What every unit test includes: cmocka with what it wants included before it, and small helpers.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "procpool/value.h"

/* The bytes given, as data and size of a call: frame_scan(&scanner, BYTES(0x91, 0x01), &used). */
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The bytes given, as a value. */
#define VALUE(...) ((struct procpool_value){BYTES(__VA_ARGS__)})

/* A repeatable stream of random numbers (xorshift64). */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void assert_value_bytes(struct procpool_value value, const uint8_t *data, size_t size)
{
	assert_int_equal(value.size, size);
	if (size > 0)
		assert_memory_equal(value.data, data, size);
}
