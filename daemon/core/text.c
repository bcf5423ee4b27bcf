/* SPDX-License-Identifier: MIT */
#include "core/text.h"

#include <stdbool.h>
#include <string.h>

/* The second byte's range keeps out what is overlong, surrogates, what is beyond Unicode, and the
 * control characters U+0080 to U+009F. */
static const struct {
	uint8_t first_min, first_max;
	uint8_t second_min, second_max;
	uint8_t size;
} forms[] = {
	{'\t', '\t', 0, 0, 1},       {' ', '~', 0, 0, 1},         {0xc2, 0xc2, 0xa0, 0xbf, 2},
	{0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* The lines' and paragraphs' separators U+2028 and U+2029, which end a line to some, and what turns
 * the direction of all that follows: U+202A to U+202E, U+2066 to U+2069. */
static bool is_format(const uint8_t *data, size_t size)
{
	if (size < 3 || data[0] != 0xe2)
		return false;
	return (data[1] == 0x80 && data[2] >= 0xa8 && data[2] <= 0xae) ||
	       (data[1] == 0x81 && data[2] >= 0xa6 && data[2] <= 0xa9);
}

int text_character(const uint8_t *data, size_t size)
{
	size_t i = 0, count = sizeof(forms) / sizeof(*forms);
	while (i < count && (data[0] < forms[i].first_min || data[0] > forms[i].first_max))
		i++;
	if (i == count || is_format(data, size))
		return 0;
	if (size > 1 && forms[i].size > 1 &&
	    (data[1] < forms[i].second_min || data[1] > forms[i].second_max))
		return 0;
	for (size_t k = 2; k < forms[i].size && k < size; k++)
		if ((data[k] & 0xc0) != 0x80)
			return 0;
	return size < forms[i].size ? TEXT_CUT : forms[i].size;
}

void text_escape(char out[TEXT_ESCAPE_SIZE], uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";
	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[byte >> 4];
	out[3] = digits[byte & 15];
}

size_t text_write(char *out, const uint8_t *data, size_t size)
{
	size_t written = 0;
	for (size_t i = 0; i < size;) {
		int n = data[i] == '\n' ? 1 : text_character(data + i, size - i);
		if (n > 0) {
			memcpy(out + written, data + i, (size_t)n);
			written += (size_t)n;
			i += (size_t)n;
		} else {
			text_escape(out + written, data[i++]);
			written += TEXT_ESCAPE_SIZE;
		}
	}
	return written;
}

bool text_line(char *out, size_t out_size, const void *data, size_t size, size_t *ret_size)
{
	const uint8_t *bytes = data;
	size_t written = 0, i = 0;
	while (i < size) {
		int n = text_character(bytes + i, size - i);
		size_t shown = n > 0 ? (size_t)n : TEXT_ESCAPE_SIZE;
		if (shown > out_size - written)
			break;
		if (bytes[i] == '\t')
			out[written] = ' ';
		else if (n > 0)
			memcpy(out + written, bytes + i, shown);
		else
			text_escape(out + written, bytes[i]);
		written += shown;
		i += n > 0 ? shown : 1;
	}
	*ret_size = written;
	return i == size;
}
