/* SPDX-License-Identifier: MIT */
/* Numbers by chance, the same ones for the same seed (splitmix64). For jitter, not for secrets. */
#pragma once

#include <stdint.h>

/* From 0 to bound - 1; bound > 0. */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % bound;
}
