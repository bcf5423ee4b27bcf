/* SPDX-License-Identifier: MIT */
#include "io/tail.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"

static void begin_turn(struct tail *tail, uint64_t turn)
{
	if (turn == tail->turn)
		return;
	tail->before = turn == tail->turn + 1 ? tail->turn_begin : tail->total;
	tail->turn_begin = tail->total;
	tail->turn = turn;
}

/* Copies to where the ring has those of this number, around its end. */
static void put(struct tail *tail, uint64_t number, const uint8_t *bytes, size_t size)
{
	size_t at = number % TAIL_BYTES;
	size_t straight = size < TAIL_BYTES - at ? size : TAIL_BYTES - at;
	memcpy(tail->ring + at, bytes, straight);
	memcpy(tail->ring, bytes + straight, size - straight);
}

void tail_add(struct tail *tail, const uint8_t *bytes, size_t size, uint64_t turn)
{
	if (!tail->ring)
		tail->ring = malloc(TAIL_BYTES);
	if (!tail->ring)
		return;
	begin_turn(tail, turn);
	size_t kept = size < TAIL_BYTES ? size : TAIL_BYTES;
	put(tail, tail->total + (size - kept), bytes + (size - kept), kept);
	tail->total += size;
	if (tail->total - tail->begin > TAIL_BYTES)
		tail->begin = tail->total - TAIL_BYTES;
}

void tail_answered(struct tail *tail, uint64_t turn)
{
	uint64_t begin = tail->total;
	if (turn == tail->turn)
		begin = tail->before;
	else if (turn == tail->turn + 1)
		begin = tail->turn_begin;
	if (begin > tail->begin)
		tail->begin = begin;
}

void tail_text(const struct tail *tail, char out[TAIL_TEXT_SIZE])
{
	uint8_t bytes[TAIL_BYTES];
	size_t size = (size_t)(tail->total - tail->begin), skipped = 0;
	for (size_t i = 0; i < size; i++)
		bytes[i] = tail->ring[(tail->begin + i) % TAIL_BYTES];
	/* The rest of a character that was cut off. */
	while (size == TAIL_BYTES && skipped < 3 && (bytes[skipped] & 0xc0) == 0x80)
		skipped++;
	out[text_write(out, bytes + skipped, size - skipped)] = '\0';
}

void tail_fini(struct tail *tail)
{
	free(tail->ring);
	*tail = (struct tail){0};
}
