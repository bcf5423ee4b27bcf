/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include "test.h"

static void write_bytes(struct procpool_writer *w, uint64_t *random, size_t size)
{
	uint8_t bytes[40];
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)test_random(random);
	procpool_write_value(w, (struct procpool_value){bytes, size});
}

static void write_byte(struct procpool_writer *w, uint8_t b)
{
	procpool_write_value(w, (struct procpool_value){&b, 1});
}

/* A length or count of `width` bytes. */
static void write_length(struct procpool_writer *w, unsigned width, size_t n)
{
	while (width-- > 0)
		write_byte(w, (uint8_t)(n >> (8 * width)));
}

/* From 0xc0 on: what each first byte is followed by; 0xc1 is drawn as nil. */
static void write_typed(struct procpool_writer *w, uint64_t *random, unsigned depth)
{
	static const uint8_t payloads[] = {
		[0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4,
		[0x0f] = 8, [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8,
		[0x14] = 2, [0x15] = 3, [0x16] = 5, [0x17] = 9, [0x18] = 17,
	};
	static const uint8_t widths[] = {
		[0x04] = 1, [0x05] = 2, [0x06] = 4, [0x07] = 1, [0x08] = 2, [0x09] = 4, [0x19] = 1,
		[0x1a] = 2, [0x1b] = 4, [0x1c] = 2, [0x1d] = 4, [0x1e] = 2, [0x1f] = 4,
	};
	unsigned row = (unsigned)(test_random(random) % (depth > 0 ? 0x20 : 0x1c));
	size_t n = (size_t)(test_random(random) % 20);

	row = row == 0x01 ? 0 : row;
	write_byte(w, (uint8_t)(0xc0 + row));
	if (row < sizeof(payloads) && payloads[row] > 0) {
		write_bytes(w, random, payloads[row]);
	} else if (row < sizeof(widths) && widths[row] > 0) {
		n = row >= 0x1c ? n % 5 : n;
		write_length(w, widths[row], n);
		if (row >= 0x1c)
			for (n = row >= 0x1e ? 2 * n : n; n > 0; n--)
				tree_write(w, random, depth - 1);
		else
			write_bytes(w, random, row >= 0x07 && row <= 0x09 ? n + 1 : n);
	}
}

void tree_write(struct procpool_writer *w, uint64_t *random, unsigned depth)
{
	uint8_t n = (uint8_t)test_random(random);
	switch (test_random(random) % 6) {
	case 0:
		write_byte(w, n % 128);
		break;
	case 1:
		write_byte(w, 0xe0 + n % 32);
		break;
	case 2:
		write_byte(w, 0xa0 + n % 32);
		write_bytes(w, random, n % 32);
		break;
	case 3:
		write_typed(w, random, depth);
		break;
	default:
		if (depth == 0) {
			write_byte(w, 0xc3);
			break;
		}
		bool map = n & 0x80;
		n %= 8;
		write_byte(w, (uint8_t)((map ? 0x80 : 0x90) | n));
		for (n = map ? 2 * n : n; n > 0; n--)
			tree_write(w, random, depth - 1);
	}
}
