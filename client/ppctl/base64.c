/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <stdint.h>
#include <string.h>

#include "text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct text *out, const void *data, size_t size)
{
	const uint8_t *in = data;
	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)in[i] << 16;
		if (left > 1)
			group |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			group |= in[i + 2];
		char quad[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
				left > 1 ? alphabet[group >> 6 & 63] : '=',
				left > 2 ? alphabet[group & 63] : '='};
		text_add(out, quad, sizeof(quad));
	}
}

static int digit(char c)
{
	const char *place = c ? strchr(alphabet, c) : NULL;
	return place ? (int)(place - alphabet) : -1;
}

bool base64_decode(struct text *out, const char *data, size_t size)
{
	if (size % 4 != 0)
		return false;
	for (size_t i = 0; i < size; i += 4) {
		size_t digits = 4;
		if (i + 4 == size && data[i + 3] == '=')
			digits = data[i + 2] == '=' ? 2 : 3;
		uint32_t group = 0;
		for (size_t k = 0; k < 4; k++) {
			int value = k < digits ? digit(data[i + k]) : 0;
			if (value < 0)
				return false;
			group = group << 6 | (uint32_t)value;
		}
		const char bytes[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
		text_add(out, bytes, digits - 1);
	}
	return true;
}
