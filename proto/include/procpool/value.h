/* SPDX-License-Identifier: MIT */
/*
 * <procpool/value.h>: reading and writing the values that procpool carries.
 *
 * Arguments and results are MessagePack. A struct procpool_value is a view of exactly one encoded
 * value: two words, passed by value, never owning memory. Reading walks the bytes in place and
 * allocates nothing. A struct procpool_writer builds encoded values in a buffer that it owns.
 *
 * Both are shared by <procpool.h> (programs that call) and <procpool/module.h> (functions that run
 * in workers).
 *
 * Validity: every value that procpool hands out is well-formed MessagePack with at most 32 levels.
 * A value made by hand from untrusted bytes must pass procpool_value_parse() first.
 *
 * Threads: no function here keeps state; different threads may use different writers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PROCPOOL_PUBLIC __attribute__((visibility("default")))
#else
#define PROCPOOL_PUBLIC
#endif

/* ---- Values ---- */

/* One encoded value, borrowed: valid as long as whoever handed it out says. size 0: no value. */
struct procpool_value {
	const uint8_t *data;
	size_t size; /* bytes */
};

enum procpool_type {
	PROCPOOL_NONE, /* no value: size is 0 */
	PROCPOOL_NIL,
	PROCPOOL_BOOL,
	PROCPOOL_INT, /* an integer of either sign, -2^63 to 2^64-1 */
	PROCPOOL_FLOAT,
	PROCPOOL_STRING, /* text, UTF-8 by convention; not checked, not NUL-terminated */
	PROCPOOL_BYTES,
	PROCPOOL_ARRAY,
	PROCPOOL_MAP,
	PROCPOOL_EXT, /* an application's own MessagePack type */
};

/* The type of a value; PROCPOOL_NONE for one of size 0. */
PROCPOOL_PUBLIC enum procpool_type procpool_value_type(struct procpool_value value);

/* The name of a type for messages: "nil", "bool", "int", "float", "string", "bytes", "array",
 * "map", "ext", "nothing". Static memory. */
PROCPOOL_PUBLIC const char *procpool_type_name(enum procpool_type type);

/*
 * Reading scalars: each returns true and writes *ret, or returns false and leaves it alone where
 * the value is of another type or does not fit.
 *
 * bool    a bool
 * int     an integer from -2^63 to 2^63-1
 * uint    an integer from 0 to 2^64-1
 * double  a float, or an integer of at most 2^53 in magnitude
 * string  a string: *ret points into the value, *ret_size is its length in bytes, no NUL follows
 * bytes   bytes or a string, likewise
 * ext     an ext value: its type code and body
 */
PROCPOOL_PUBLIC bool procpool_value_bool(struct procpool_value value, bool *ret);
PROCPOOL_PUBLIC bool procpool_value_int(struct procpool_value value, int64_t *ret);
PROCPOOL_PUBLIC bool procpool_value_uint(struct procpool_value value, uint64_t *ret);
PROCPOOL_PUBLIC bool procpool_value_double(struct procpool_value value, double *ret);
PROCPOOL_PUBLIC bool procpool_value_string(struct procpool_value value, const char **ret,
					   size_t *ret_size);
PROCPOOL_PUBLIC bool procpool_value_bytes(struct procpool_value value, const void **ret,
					  size_t *ret_size);
PROCPOOL_PUBLIC bool procpool_value_ext(struct procpool_value value, int8_t *ret_type,
					const void **ret, size_t *ret_size);

/* Whether the value is a string and equals the NUL-terminated text. */
PROCPOOL_PUBLIC bool procpool_value_is(struct procpool_value value, const char *text);

/* The number of elements of an array, of pairs of a map; 0 for everything else. */
PROCPOOL_PUBLIC size_t procpool_value_count(struct procpool_value value);

/* Element i of an array, or a value of size 0. Walks from the front: to visit all, use an iterator.
 */
PROCPOOL_PUBLIC struct procpool_value procpool_value_at(struct procpool_value array, size_t i);

/* The value under a string key of a map (the first, where the key repeats), or a value of size 0.
 */
PROCPOOL_PUBLIC struct procpool_value procpool_value_get(struct procpool_value map,
							 const char *key);

/*
 * An iterator: visits an array's elements, or a map's keys and values, in order:
 *
 *	struct procpool_iter it = procpool_iter(array);
 *	struct procpool_value element;
 *	while (procpool_iter_next(&it, &element))
 *		...
 *
 * Over anything else it visits nothing.
 */
struct procpool_iter {
	const uint8_t *next;
	const uint8_t *end;
	size_t remaining; /* values still to come: elements, or twice the pairs of a map */
};

PROCPOOL_PUBLIC struct procpool_iter procpool_iter(struct procpool_value container);
PROCPOOL_PUBLIC bool procpool_iter_next(struct procpool_iter *it, struct procpool_value *ret);
/* Next pair of a map. */
PROCPOOL_PUBLIC bool procpool_iter_next_pair(struct procpool_iter *it,
					     struct procpool_value *ret_key,
					     struct procpool_value *ret_value);

/*
 * Checks untrusted bytes: whether they begin with one well-formed value of at most 32 levels.
 * True: *ret views it (borrowed from data; bytes behind it are not part of it).
 */
PROCPOOL_PUBLIC bool procpool_value_parse(const void *data, size_t size,
					  struct procpool_value *ret);

/* ---- Building values ---- */

/*
 * A writer that runs out of memory remembers it, and further writes do nothing, so that only the
 * end needs a check: procpool_writer_value() then returns a value of size 0.
 *
 *	struct procpool_writer w;
 *	procpool_writer_init(&w);
 *	procpool_write_array(&w, 2);
 *	procpool_write_int(&w, 41);
 *	procpool_write_string(&w, "x");
 *	... procpool_writer_value(&w) ...
 *	procpool_writer_fini(&w);
 *
 * An array or map takes exactly the number of values that its header declares; for one whose size
 * is not known yet, use procpool_write_open_array().
 */
struct procpool_writer {
	uint8_t *data; /* owned */
	size_t size;
	size_t capacity;
	int error; /* 0, or ENOMEM, or EINVAL (a string longer than 2^32-1 bytes): sticks */
};

PROCPOOL_PUBLIC void procpool_writer_init(struct procpool_writer *w);
/* Frees the buffer; the writer can be used again. */
PROCPOOL_PUBLIC void procpool_writer_fini(struct procpool_writer *w);
/* Empties it and keeps the memory; also forgets an error. */
PROCPOOL_PUBLIC void procpool_writer_reset(struct procpool_writer *w);
/* What was written, borrowed until the writer changes; size 0 after an error or if nothing was. */
PROCPOOL_PUBLIC struct procpool_value procpool_writer_value(const struct procpool_writer *w);

PROCPOOL_PUBLIC void procpool_write_nil(struct procpool_writer *w);
PROCPOOL_PUBLIC void procpool_write_bool(struct procpool_writer *w, bool b);
PROCPOOL_PUBLIC void procpool_write_int(struct procpool_writer *w, int64_t i);
PROCPOOL_PUBLIC void procpool_write_uint(struct procpool_writer *w, uint64_t i);
PROCPOOL_PUBLIC void procpool_write_double(struct procpool_writer *w, double d);
/* NUL-terminated text. */
PROCPOOL_PUBLIC void procpool_write_string(struct procpool_writer *w, const char *text);

/* `size` bytes. A string is UTF-8 by convention. */
PROCPOOL_PUBLIC void procpool_write_string_n(struct procpool_writer *w, const char *text,
					     size_t size);
PROCPOOL_PUBLIC void procpool_write_bytes(struct procpool_writer *w, const void *data, size_t size);
PROCPOOL_PUBLIC void procpool_write_ext(struct procpool_writer *w, int8_t type, const void *data,
					size_t size);
/* Followed by `count` values. */
PROCPOOL_PUBLIC void procpool_write_array(struct procpool_writer *w, size_t count);
/* Followed by `count` pairs, key first. */
PROCPOOL_PUBLIC void procpool_write_map(struct procpool_writer *w, size_t count);
/*
 * An array header whose count is corrected later: returns its place for procpool_write_count().
 * Always 5 bytes.
 */
PROCPOOL_PUBLIC size_t procpool_write_open_array(struct procpool_writer *w);
PROCPOOL_PUBLIC void procpool_write_count(struct procpool_writer *w, size_t place, uint32_t count);
/* A copy of a value as it is; nothing for one of size 0. */
PROCPOOL_PUBLIC void procpool_write_value(struct procpool_writer *w, struct procpool_value value);

#ifdef __cplusplus
}
#endif
