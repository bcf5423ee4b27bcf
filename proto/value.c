/* SPDX-License-Identifier: MIT */
#include "procpool/value.h"

#include <endian.h>
#include <string.h>

#include "proto/frame.h"

/* The header of a value; kind PROCPOOL_NONE for no value. */
static struct frame_header header_of(struct procpool_value value)
{
	struct frame_header header = {.kind = PROCPOOL_NONE};
	if (value.size > 0 && frame_header_decode(value.data, value.size, &header) != 0)
		header.kind = PROCPOOL_NONE;
	return header;
}

/* A number of 1, 2, 4 or 8 bytes. */
static uint64_t load_be(const uint8_t *p, uint64_t bytes)
{
	uint16_t n16;
	uint32_t n32;
	uint64_t n64;
	switch (bytes) {
	case 1:
		return *p;
	case 2:
		memcpy(&n16, p, sizeof(n16));
		return be16toh(n16);
	case 4:
		memcpy(&n32, p, sizeof(n32));
		return be32toh(n32);
	default:
		memcpy(&n64, p, sizeof(n64));
		return be64toh(n64);
	}
}

enum procpool_type procpool_value_type(struct procpool_value value)
{
	return (enum procpool_type)header_of(value).kind;
}

const char *procpool_type_name(enum procpool_type type)
{
	static const char *const names[] = {
		[PROCPOOL_NONE] = "nothing", [PROCPOOL_NIL] = "nil",
		[PROCPOOL_BOOL] = "bool",    [PROCPOOL_INT] = "int",
		[PROCPOOL_FLOAT] = "float",  [PROCPOOL_STRING] = "string",
		[PROCPOOL_BYTES] = "bytes",  [PROCPOOL_ARRAY] = "array",
		[PROCPOOL_MAP] = "map",      [PROCPOOL_EXT] = "ext",
	};
	return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

bool procpool_value_bool(struct procpool_value value, bool *ret)
{
	if (header_of(value).kind != PROCPOOL_BOOL)
		return false;
	*ret = value.data[0] == 0xc3;
	return true;
}

/* An integer's two's complement bits, and whether it is negative. */
static bool integer_of(struct procpool_value value, uint64_t *ret_bits, bool *ret_negative)
{
	uint8_t first = value.size > 0 ? value.data[0] : 0xc0; /* nil, which is no integer */
	if (first < 0x80 || first >= 0xe0) {
		*ret_bits = (uint64_t)(int64_t)(int8_t)first;
		*ret_negative = first >= 0xe0;
		return true;
	}
	if (first < 0xcc || first > 0xd3)
		return false;
	unsigned bytes = 1U << (first & 3); /* 0xcc to 0xcf unsigned, 0xd0 to 0xd3 signed */
	uint64_t n = load_be(value.data + 1, bytes);
	bool is_signed = first >= 0xd0;
	unsigned shift = 64 - 8 * bytes;
	*ret_bits = is_signed ? (uint64_t)((int64_t)(n << shift) >> shift) : n;
	*ret_negative = is_signed && (int64_t)*ret_bits < 0;
	return true;
}

bool procpool_value_int(struct procpool_value value, int64_t *ret)
{
	uint64_t bits;
	bool negative;
	if (!integer_of(value, &bits, &negative) || (!negative && bits > INT64_MAX))
		return false;
	*ret = (int64_t)bits;
	return true;
}

bool procpool_value_uint(struct procpool_value value, uint64_t *ret)
{
	uint64_t bits;
	bool negative;
	if (!integer_of(value, &bits, &negative) || negative)
		return false;
	*ret = bits;
	return true;
}

bool procpool_value_double(struct procpool_value value, double *ret)
{
	const int64_t exact = INT64_C(1) << 53;
	int64_t i;
	if (procpool_value_int(value, &i)) {
		if (i < -exact || i > exact)
			return false;
		*ret = (double)i;
		return true;
	}
	if (header_of(value).kind != PROCPOOL_FLOAT)
		return false;
	if (value.data[0] == 0xca) {
		uint32_t bits = (uint32_t)load_be(value.data + 1, 4);
		float f;
		memcpy(&f, &bits, sizeof(f));
		*ret = (double)f;
	} else {
		uint64_t bits = load_be(value.data + 1, 8);
		memcpy(ret, &bits, sizeof(*ret));
	}
	return true;
}

bool procpool_value_string(struct procpool_value value, const char **ret, size_t *ret_size)
{
	struct frame_header header = header_of(value);
	if (header.kind != PROCPOOL_STRING)
		return false;
	*ret = (const char *)value.data + header.size;
	*ret_size = (size_t)header.payload;
	return true;
}

bool procpool_value_bytes(struct procpool_value value, const void **ret, size_t *ret_size)
{
	struct frame_header header = header_of(value);
	if (header.kind != PROCPOOL_BYTES && header.kind != PROCPOOL_STRING)
		return false;
	*ret = value.data + header.size;
	*ret_size = (size_t)header.payload;
	return true;
}

bool procpool_value_ext(struct procpool_value value, int8_t *ret_type, const void **ret,
			size_t *ret_size)
{
	struct frame_header header = header_of(value);
	if (header.kind != PROCPOOL_EXT)
		return false;
	*ret_type = (int8_t)value.data[header.size];
	*ret = value.data + header.size + 1;
	*ret_size = (size_t)header.payload - 1;
	return true;
}

bool procpool_value_is(struct procpool_value value, const char *text)
{
	const char *s;
	size_t size;
	return procpool_value_string(value, &s, &size) && strlen(text) == size &&
	       memcmp(s, text, size) == 0;
}

size_t procpool_value_count(struct procpool_value value)
{
	struct frame_header header = header_of(value);
	return (size_t)(header.kind == PROCPOOL_MAP ? header.children / 2 : header.children);
}

struct procpool_iter procpool_iter(struct procpool_value container)
{
	struct frame_header header = header_of(container);
	struct procpool_iter it = {0};
	if (header.children > 0) {
		it.next = container.data + header.size;
		it.end = container.data + container.size;
		it.remaining = (size_t)header.children;
	}
	return it;
}

bool procpool_iter_next(struct procpool_iter *it, struct procpool_value *ret)
{
	if (it->remaining == 0)
		return false;
	/* The last one ends where the container ends, and large ones tend to come last. */
	size_t size = it->remaining > 1 ? frame_value_size(it->next, it->end)
					: (size_t)(it->end - it->next);
	*ret = (struct procpool_value){it->next, size};
	it->next += size;
	it->remaining--;
	return true;
}

bool procpool_iter_next_pair(struct procpool_iter *it, struct procpool_value *ret_key,
			     struct procpool_value *ret_value)
{
	return procpool_iter_next(it, ret_key) && procpool_iter_next(it, ret_value);
}

struct procpool_value procpool_value_at(struct procpool_value array, size_t i)
{
	struct procpool_iter it = procpool_iter(array);
	struct procpool_value element;
	if (procpool_value_type(array) == PROCPOOL_ARRAY)
		while (procpool_iter_next(&it, &element))
			if (i-- == 0)
				return element;
	return (struct procpool_value){0};
}

struct procpool_value procpool_value_get(struct procpool_value map, const char *key)
{
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value k, v;
	if (procpool_value_type(map) == PROCPOOL_MAP)
		while (procpool_iter_next_pair(&it, &k, &v))
			if (procpool_value_is(k, key))
				return v;
	return (struct procpool_value){0};
}

bool procpool_value_parse(const void *data, size_t size, struct procpool_value *ret)
{
	struct frame_scanner scanner;
	size_t used;
	frame_scanner_init(&scanner, size, FRAME_DEPTH_MAX);
	if (frame_scan(&scanner, data, size, &used) != FRAME_DONE)
		return false;
	*ret = (struct procpool_value){data, used};
	return true;
}
