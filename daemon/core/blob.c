/* SPDX-License-Identifier: MIT */
#include "core/blob.h"

#include <assert.h>
#include <string.h>

#include "proto/large.h"

static size_t memory_size(const struct blob *blob)
{
	return sizeof(*blob) + blob->capacity;
}

struct blob *blob_create(size_t capacity)
{
	if (capacity > SIZE_MAX - sizeof(struct blob))
		return NULL;
	struct blob *blob = large_resize(NULL, 0, sizeof(*blob) + capacity);
	if (blob) {
		blob->refs = 1;
		blob->size = 0;
		blob->capacity = capacity;
	}
	return blob;
}

struct blob *blob_copy(const void *data, size_t size)
{
	struct blob *blob = blob_create(size);
	if (blob && size > 0) {
		memcpy(blob->data, data, size);
		blob->size = size;
	}
	return blob;
}

struct blob *blob_grow(struct blob *blob, size_t capacity)
{
	assert(blob->refs == 1);
	if (capacity <= blob->capacity)
		return blob;
	if (capacity > SIZE_MAX - sizeof(struct blob))
		return NULL;
	struct blob *grown = large_resize(blob, memory_size(blob), sizeof(*blob) + capacity);
	if (grown)
		grown->capacity = capacity;
	return grown;
}

struct blob *blob_fit(struct blob *blob)
{
	assert(blob->refs == 1);
	struct blob *fit = large_resize(blob, memory_size(blob), sizeof(*blob) + blob->size);
	if (!fit)
		return blob;
	fit->capacity = fit->size;
	return fit;
}

struct blob *blob_ref(struct blob *blob)
{
	if (blob)
		blob->refs++;
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (!blob)
		return;
	assert(blob->refs > 0);
	if (--blob->refs == 0)
		large_free(blob, memory_size(blob));
}
