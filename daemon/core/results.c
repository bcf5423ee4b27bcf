/* SPDX-License-Identifier: MIT */
#include "core/results.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

#define HEADER_BYTES 5U /* array 32, whatever the count */

void results_init(struct results *results)
{
	memset(results, 0, sizeof(*results));
}

void results_fini(struct results *results)
{
	for (size_t i = 0; i < results->early_count; i++)
		blob_unref(results->early[i].values.blob);
	free(results->early);
	blob_unref(results->array);
	results_init(results);
}

/* ---- what came before its turn ---- */

static void swap(struct results_run *a, struct results_run *b)
{
	struct results_run run = *a;
	*a = *b;
	*b = run;
}

static int push_early(struct results *results, struct results_run run)
{
	if (results->early_count == results->early_capacity) {
		size_t capacity = results->early_capacity ? 2 * results->early_capacity : 8;
		struct results_run *runs = reallocarray(results->early, capacity, sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		results->early = runs;
		results->early_capacity = capacity;
	}
	struct results_run *heap = results->early;
	size_t i = results->early_count++;
	heap[i] = run;
	for (; i > 0 && heap[i].first < heap[(i - 1) / 2].first; i = (i - 1) / 2)
		swap(&heap[i], &heap[(i - 1) / 2]);
	return 0;
}

static struct results_run pop_early(struct results *results)
{
	struct results_run *heap = results->early, top = heap[0];
	size_t count = --results->early_count;
	heap[0] = heap[count];
	for (size_t i = 0, child; (child = 2 * i + 1) < count; i = child) {
		if (child + 1 < count && heap[child + 1].first < heap[child].first)
			child++;
		if (heap[i].first <= heap[child].first)
			break;
		swap(&heap[i], &heap[child]);
	}
	return top;
}

/* ---- the array ---- */

static void write_array_header(uint8_t *p, uint32_t count)
{
	p[0] = 0xdd;
	for (int i = 0; i < 4; i++)
		p[1 + i] = (uint8_t)(count >> (24 - 8 * i));
}

/* Room for `size` more bytes. */
static int reserve(struct results *results, size_t size)
{
	struct blob *array = results->array;
	if (!array) {
		array = blob_create(HEADER_BYTES + size);
		if (!array)
			return -ENOMEM;
		array->size = HEADER_BYTES;
	} else if (array->capacity - array->size < size) {
		size_t needed = array->size + size, doubled = 2 * array->capacity;
		array = blob_grow(array, needed > doubled ? needed : doubled);
		if (!array)
			return -ENOMEM;
	}
	results->array = array;
	return 0;
}

static int append(struct results *results, uint32_t count, struct span values)
{
	int r = reserve(results, values.size);
	if (r < 0)
		return r;
	memcpy(results->array->data + results->array->size, values.data, values.size);
	results->array->size += values.size;
	results->next += count;
	return 0;
}

static int append_early(struct results *results)
{
	int r = 0;
	while (r == 0 && results->early_count > 0 && results->early[0].first == results->next) {
		struct results_run run = pop_early(results);
		r = append(results, run.count, run.values);
		blob_unref(run.values.blob);
	}
	return r;
}

static int keep_early(struct results *results, uint32_t first, uint32_t count, struct span values)
{
	assert(first > results->next);
	struct results_run run = {first, count, span_hold(values)};
	if (run.values.size > 0 && push_early(results, run) == 0)
		return 0;
	blob_unref(run.values.blob);
	return -ENOMEM;
}

int results_add(struct results *results, uint32_t first, uint32_t count, struct span values)
{
	results->size += values.size;
	if (first != results->next)
		return keep_early(results, first, count, values);
	int r = append(results, count, values);
	return r < 0 ? r : append_early(results);
}

struct blob *results_take(struct results *results, uint32_t total)
{
	assert(results->next == total && results->early_count == 0);
	if (reserve(results, 0) < 0)
		return NULL;
	struct blob *array = blob_fit(results->array);
	results->array = NULL;
	write_array_header(array->data, total);
	return array;
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
