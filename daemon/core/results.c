/* SPDX-License-Identifier: MIT */
#include "core/results.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

void results_init(struct results *results)
{
	memset(results, 0, sizeof(*results));
}

void results_fini(struct results *results)
{
	for (size_t i = 0; i < results->count; i++)
		blob_unref(results->runs[i].values.blob);
	free(results->runs);
	results_init(results);
}

int results_add(struct results *results, uint32_t first, uint32_t count, struct span values)
{
	if (results->count == results->capacity) {
		size_t capacity = results->capacity ? 2 * results->capacity : 8;
		struct results_run *runs = reallocarray(results->runs, capacity, sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		results->runs = runs;
		results->capacity = capacity;
	}
	results->runs[results->count++] = (struct results_run){first, count, values};
	results->size += values.size;
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct results_run *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

static size_t write_array_header(uint8_t *p, uint32_t count)
{
	p[0] = 0xdd;
	for (int i = 0; i < 4; i++)
		p[1 + i] = (uint8_t)(count >> (24 - 8 * i));
	return 5;
}

struct blob *results_assemble(struct results *results, uint32_t total)
{
	struct blob *blob = blob_create(5 + results->size);
	if (!blob)
		return NULL;
	blob->size = write_array_header(blob->data, total);
	if (results->count > 1)
		qsort(results->runs, results->count, sizeof(*results->runs), by_first);
	uint32_t next = 0;
	for (size_t i = 0; i < results->count; i++) {
		const struct results_run *run = &results->runs[i];
		assert(run->first == next);
		next += run->count;
		memcpy(blob->data + blob->size, run->values.data, run->values.size);
		blob->size += run->values.size;
	}
	assert(next == total);
	return blob;
}

struct blob *results_pairs(uint32_t count, struct span values)
{
	struct blob *blob = blob_create(values.size + 2 * (size_t)count);
	if (!blob)
		return NULL;
	const uint8_t *p = values.data, *end = p + values.size;
	for (uint32_t i = 0; i < count; i++) {
		size_t size = frame_value_size(p, end);
		blob->data[blob->size++] = 0x92;
		blob->data[blob->size++] = 0xc0;
		memcpy(blob->data + blob->size, p, size);
		blob->size += size;
		p += size;
	}
	return blob;
}

struct blob *results_error_pair(struct procpool_value error)
{
	struct blob *blob = blob_create(error.size + 2);
	if (!blob)
		return NULL;
	blob->data[0] = 0x92;
	memcpy(blob->data + 1, error.data, error.size);
	blob->data[error.size + 1] = 0xc0;
	blob->size = error.size + 2;
	return blob;
}
