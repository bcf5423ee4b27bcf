/* SPDX-License-Identifier: MIT */
/*
 * A counted piece of memory: arguments and results that several owners hold while they move from a
 * socket to a worker or back, so that large ones are never copied. Its bytes do not change once it
 * has a second owner.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct blob {
	unsigned refs;
	size_t size;     /* bytes used */
	size_t capacity; /* bytes of data[] */
	uint8_t data[];
};

/* An empty blob with one reference, owned by the caller; NULL without memory. */
struct blob *blob_create(size_t capacity);

/* A blob with a copy of the bytes. */
struct blob *blob_copy(const void *data, size_t size);

/* Room for `capacity` bytes in all. Only while there is one reference; frees nothing on failure.
 * Returns the blob, perhaps moved, or NULL without memory. */
struct blob *blob_grow(struct blob *blob, size_t capacity);

/* Gives back what it does not use. Only while there is one reference. Returns the blob, perhaps
 * moved. */
struct blob *blob_fit(struct blob *blob);

/* One more owner; returns its argument. NULL is allowed. */
struct blob *blob_ref(struct blob *blob);

/* One owner less; the last one frees it. NULL is allowed. */
void blob_unref(struct blob *blob);
