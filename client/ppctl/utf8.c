/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The size of the character at s, of which `left` bytes are there; 0 where it is none. */
static size_t character_size(const uint8_t *s, size_t left)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return left >= 2 && is_tail(s[1]) ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		uint8_t low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
		return left >= 3 && s[1] >= low && s[1] <= high && is_tail(s[2]) ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		uint8_t low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
		return left >= 4 && s[1] >= low && s[1] <= high && is_tail(s[2]) && is_tail(s[3])
			       ? 4
			       : 0;
	}
	return 0;
}

bool utf8_valid(const char *data, size_t size)
{
	const uint8_t *s = (const uint8_t *)data;
	size_t i = 0;
	while (i < size) {
		uint64_t word;
		if (size - i >= sizeof(word)) { /* most text is ASCII */
			memcpy(&word, s + i, sizeof(word));
			if (!(word & UINT64_C(0x8080808080808080))) {
				i += sizeof(word);
				continue;
			}
		}
		size_t step = character_size(s + i, size - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}
