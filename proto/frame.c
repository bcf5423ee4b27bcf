/* SPDX-License-Identifier: MIT */
#include "proto/frame.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "procpool/value.h"

/* What the first byte of a value says: its kind, how many bytes of length or count follow, and a fixed payload. */
struct first_byte {
	uint8_t kind;
	uint8_t length_bytes; /* 0, 1, 2 or 4 */
	uint8_t fixed;	      /* payload (or children) known from the first byte alone */
};

#define ROW(k, l, f) {(k), (l), (f)}
static const struct first_byte first_bytes_c0[] = {
	[0x00] = ROW(PROCPOOL_NIL, 0, 0),    [0x01] = ROW(PROCPOOL_NONE, 0, 0),
	[0x02] = ROW(PROCPOOL_BOOL, 0, 0),   [0x03] = ROW(PROCPOOL_BOOL, 0, 0),
	[0x04] = ROW(PROCPOOL_BYTES, 1, 0),  [0x05] = ROW(PROCPOOL_BYTES, 2, 0),
	[0x06] = ROW(PROCPOOL_BYTES, 4, 0),  [0x07] = ROW(PROCPOOL_EXT, 1, 1),
	[0x08] = ROW(PROCPOOL_EXT, 2, 1),    [0x09] = ROW(PROCPOOL_EXT, 4, 1),
	[0x0a] = ROW(PROCPOOL_FLOAT, 0, 4),  [0x0b] = ROW(PROCPOOL_FLOAT, 0, 8),
	[0x0c] = ROW(PROCPOOL_INT, 0, 1),    [0x0d] = ROW(PROCPOOL_INT, 0, 2),
	[0x0e] = ROW(PROCPOOL_INT, 0, 4),    [0x0f] = ROW(PROCPOOL_INT, 0, 8),
	[0x10] = ROW(PROCPOOL_INT, 0, 1),    [0x11] = ROW(PROCPOOL_INT, 0, 2),
	[0x12] = ROW(PROCPOOL_INT, 0, 4),    [0x13] = ROW(PROCPOOL_INT, 0, 8),
	[0x14] = ROW(PROCPOOL_EXT, 0, 2),    [0x15] = ROW(PROCPOOL_EXT, 0, 3),
	[0x16] = ROW(PROCPOOL_EXT, 0, 5),    [0x17] = ROW(PROCPOOL_EXT, 0, 9),
	[0x18] = ROW(PROCPOOL_EXT, 0, 17),   [0x19] = ROW(PROCPOOL_STRING, 1, 0),
	[0x1a] = ROW(PROCPOOL_STRING, 2, 0), [0x1b] = ROW(PROCPOOL_STRING, 4, 0),
	[0x1c] = ROW(PROCPOOL_ARRAY, 2, 0),  [0x1d] = ROW(PROCPOOL_ARRAY, 4, 0),
	[0x1e] = ROW(PROCPOOL_MAP, 2, 0),    [0x1f] = ROW(PROCPOOL_MAP, 4, 0),
};
#undef ROW

static inline struct first_byte classify(uint8_t b)
{
	if (b < 0x80 || b >= 0xe0)
		return (struct first_byte){PROCPOOL_INT, 0, 0};
	if (b >= 0xc0)
		return first_bytes_c0[b - 0xc0];
	if (b >= 0xa0)
		return (struct first_byte){PROCPOOL_STRING, 0, b & 0x1f};
	return (struct first_byte){b < 0x90 ? PROCPOOL_MAP : PROCPOOL_ARRAY, 0, b & 0x0f};
}

static inline uint64_t load_be(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

static inline int header_decode(const uint8_t *data, size_t size, struct frame_header *ret)
{
	struct first_byte first = classify(data[0]);
	if (first.kind == PROCPOOL_NONE)
		return -1;
	if (size < 1U + first.length_bytes)
		return 1 + first.length_bytes;
	uint64_t n = first.fixed + load_be(data + 1, first.length_bytes);
	ret->kind = first.kind;
	ret->size = (uint8_t)(1 + first.length_bytes);
	ret->payload = first.kind >= PROCPOOL_ARRAY && first.kind <= PROCPOOL_MAP ? 0 : n;
	ret->children = first.kind == PROCPOOL_ARRAY ? n : first.kind == PROCPOOL_MAP ? 2 * n : 0;
	return 0;
}

int frame_header_decode(const uint8_t *data, size_t size, struct frame_header *ret)
{
	return header_decode(data, size, ret);
}

void frame_scanner_init(struct frame_scanner *scanner, size_t size_max, unsigned depth_max)
{
	assert(depth_max >= 1 && depth_max <= FRAME_DEPTH_MAX);
	memset(scanner, 0, sizeof(*scanner));
	scanner->size_max = size_max;
	scanner->depth_max = (uint8_t)depth_max;
}

void frame_scanner_reset(struct frame_scanner *scanner)
{
	scanner->depth = 0;
	scanner->header_size = 0;
	scanner->size = 0;
	scanner->payload = 0;
}

/* A value is complete: closes the containers that it was the last of. True: so is the message. */
static inline bool value_complete(struct frame_scanner *scanner)
{
	while (scanner->depth > 0) {
		if (--scanner->open[scanner->depth - 1] > 0)
			return false;
		scanner->depth--;
	}
	return true;
}

/* Takes a decoded header into the scanner's state. FRAME_DONE: it was a whole message. */
static inline enum frame_status take_header(struct frame_scanner *scanner, const struct frame_header *header)
{
	if (scanner->size_max - scanner->size < header->size ||
	    scanner->size_max - scanner->size - header->size < header->payload + header->children)
		return FRAME_TOO_LARGE;
	if (header->kind == PROCPOOL_ARRAY || header->kind == PROCPOOL_MAP) {
		if (scanner->depth == scanner->depth_max)
			return FRAME_TOO_DEEP;
		scanner->size += header->size;
		if (header->children > 0) {
			scanner->open[scanner->depth++] = header->children;
			return FRAME_MORE;
		}
	} else {
		scanner->size += header->size;
		if (header->payload > 0) {
			scanner->payload = header->payload;
			return FRAME_MORE;
		}
	}
	return value_complete(scanner) ? FRAME_DONE : FRAME_MORE;
}

/* Skips payload of the current value. True: the value is complete. */
static inline bool take_payload(struct frame_scanner *scanner, const uint8_t **p, const uint8_t *end)
{
	size_t here = (size_t)(end - *p);
	size_t take = scanner->payload < here ? (size_t)scanner->payload : here;
	*p += take;
	scanner->size += take;
	scanner->payload -= take;
	return scanner->payload == 0;
}

/*
 * Decodes the next header and moves *p behind it. 0: done; positive: cut by the end of the bytes and
 * kept in scanner->header; -1: 0xc1. A kept header is completed one byte at a time.
 */
static inline int next_header(struct frame_scanner *scanner, const uint8_t **p, const uint8_t *end,
			      struct frame_header *ret)
{
	int missing;
	if (scanner->header_size == 0) {
		size_t here = (size_t)(end - *p);
		missing = header_decode(*p, here, ret);
		if (missing == 0) {
			*p += ret->size;
		} else if (missing > 0) {
			memcpy(scanner->header, *p, here);
			scanner->header_size = (uint8_t)here;
			*p = end;
		}
		return missing;
	}
	missing = header_decode(scanner->header, scanner->header_size, ret);
	while (missing > 0 && *p < end) {
		scanner->header[scanner->header_size++] = *(*p)++;
		missing = header_decode(scanner->header, scanner->header_size, ret);
	}
	if (missing == 0)
		scanner->header_size = 0;
	return missing;
}

enum frame_status frame_scan(struct frame_scanner *scanner, const uint8_t *data, size_t size, size_t *ret_used)
{
	const uint8_t *p = data, *end = data + size;
	enum frame_status status = FRAME_MORE;

	while (p < end && status == FRAME_MORE) {
		if (scanner->payload > 0) {
			if (take_payload(scanner, &p, end) && value_complete(scanner))
				status = FRAME_DONE;
			continue;
		}
		struct frame_header header;
		const uint8_t *start = p;
		bool kept = scanner->header_size > 0;
		int missing = next_header(scanner, &p, end, &header);
		if (missing > 0)
			break;
		status = missing < 0 ? FRAME_INVALID : take_header(scanner, &header);
		if (status == FRAME_TOO_LARGE) {
			/* Kept, so that a caller who raises the limit goes on with it. */
			if (!kept)
				memcpy(scanner->header, start, header.size);
			scanner->header_size = header.size;
		}
	}
	*ret_used = (size_t)(p - data);
	if (status == FRAME_DONE)
		frame_scanner_reset(scanner);
	return status;
}

size_t frame_value_size(const uint8_t *data, const uint8_t *end)
{
	const uint8_t *p = data;
	uint64_t missing = 1;
	while (missing > 0) {
		struct frame_header header;
		if (p >= end || header_decode(p, (size_t)(end - p), &header) != 0 ||
		    header.payload > (size_t)(end - p) - header.size)
			return (size_t)(end - data);
		p += header.size + header.payload;
		missing += header.children;
		missing--;
	}
	return (size_t)(p - data);
}
