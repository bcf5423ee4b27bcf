/* SPDX-License-Identifier: MIT */
/*
 * Finds where one MessagePack message ends, in bytes that arrive in pieces.
 *
 * The scanner reads every byte of structure once, skips payloads, keeps a fixed stack instead of
 * recursing, and allocates nothing: a declared count or length is only ever counted down, never
 * believed. What it has accepted is well-formed: complete, no 0xc1, no deeper than asked.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FRAME_DEPTH_MAX  32
#define FRAME_HEADER_MAX 5

enum frame_status {
	FRAME_DONE,      /* the message is complete */
	FRAME_MORE,      /* all bytes were taken, the message goes on */
	FRAME_INVALID,   /* 0xc1, which MessagePack never uses */
	FRAME_TOO_DEEP,  /* more nested than the scanner allows */
	FRAME_TOO_LARGE, /* more bytes than the scanner allows, seen or declared; raise size_max and
			    scan on with the bytes from *ret_used to skip the message instead */
};

struct frame_scanner {
	size_t size_max;
	uint8_t depth_max;

	uint8_t depth;       /* open containers */
	uint8_t header_size; /* bytes of a cut header kept in header[] */
	uint8_t header[FRAME_HEADER_MAX];
	size_t size;                    /* bytes of this message taken so far */
	uint64_t payload;               /* bytes of the current value still to skip */
	uint64_t payload_size;          /* of how many, where there are any */
	uint64_t open[FRAME_DEPTH_MAX]; /* values still missing in each open container */
};

/* Messages of at most size_max bytes and depth_max (1 to FRAME_DEPTH_MAX) nested containers. */
void frame_scanner_init(struct frame_scanner *scanner, size_t size_max, unsigned depth_max);

/* Forgets the message begun; the limits stay. */
void frame_scanner_reset(struct frame_scanner *scanner);

/*
 * Takes bytes up to the end of the message. *ret_used is how many: on FRAME_DONE the rest belongs
 * to the next message (and the scanner is ready for it); on FRAME_MORE all of them. On the other
 * results the stream cannot be followed any further until frame_scanner_reset().
 */
enum frame_status frame_scan(struct frame_scanner *scanner, const uint8_t *data, size_t size,
			     size_t *ret_used);

/*
 * One header of MessagePack, decoded: the building block of scanner and reader. The width bytes of
 * a number and the type byte of an ext count as payload.
 */
struct frame_header {
	uint8_t kind;      /* enum procpool_type */
	uint8_t size;      /* of the header itself, 1 to FRAME_HEADER_MAX bytes */
	uint64_t payload;  /* bytes that follow the header and belong to the value */
	uint64_t children; /* values that follow and belong to it */
};

/*
 * Decodes the header at data (size at least 1). Returns 0; or the size of the header in bytes,
 * where that is more than size; or -1 for 0xc1.
 */
int frame_header_decode(const uint8_t *data, size_t size, struct frame_header *ret);

/* What the first byte of a value says. */
struct frame_first_byte {
	uint8_t kind;         /* enum procpool_type; PROCPOOL_NONE for 0xc1 */
	uint8_t length_bytes; /* of the length or count that follows: 0, 1, 2 or 4 */
	uint8_t fixed;        /* payload or children known from the first byte alone */
	uint8_t span; /* whole size, where that is known from the first byte alone and the value
			 is no container; otherwise 0 */
};

extern const struct frame_first_byte frame_first_bytes[256];

/* frame_value_size() of whatever its first byte does not tell. */
size_t frame_value_walk(const uint8_t *data, const uint8_t *end);

/* The size in bytes of the first of the well-formed values at data. */
static inline size_t frame_value_size(const uint8_t *data, const uint8_t *end)
{
	size_t span = data < end ? frame_first_bytes[*data].span : 0;
	return span > 0 && span <= (size_t)(end - data) ? span : frame_value_walk(data, end);
}

/*
 * The size in bytes of the first of the well-formed values at data: of up to *count, which together
 * have up to size_max bytes, but of at least one, where *count and data have any. *count becomes
 * how many these are.
 */
size_t frame_values_size(const uint8_t *data, const uint8_t *end, size_t size_max, uint32_t *count);
