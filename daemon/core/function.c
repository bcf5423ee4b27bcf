/* SPDX-License-Identifier: MIT */
#include "core/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct function *function)
{
	free(function->name);
	free(function->doc);
	free(function);
}

bool function_is_any(const char *name, size_t name_size)
{
	return name_size == strlen(FUNCTION_ANY) && memcmp(name, FUNCTION_ANY, name_size) == 0;
}

/* With a copy of the name; NULL without memory. */
static struct function *create(struct pool *pool, const char *name, size_t name_size)
{
	struct function *function = calloc(1, sizeof(*function));
	char *copy = malloc(name_size + 1);
	if (!function || !copy) {
		free(copy);
		free(function);
		return NULL;
	}
	memcpy(copy, name, name_size);
	copy[name_size] = '\0';
	function->pool = pool;
	function->name = copy;
	function->name_size = name_size;
	return function;
}

int function_table_add(struct function_table *table, struct pool *pool, const char *name,
		       size_t name_size, const char *doc, size_t doc_size)
{
	char *doc_copy = strndup(doc, doc_size);
	if (!doc_copy)
		return -ENOMEM;
	struct function *function = function_table_find(table, name, name_size);
	if (function) {
		free(function->doc);
		function->doc = doc_copy;
		return 0;
	}
	function = create(pool, name, name_size);
	if (!function) {
		free(doc_copy);
		return -ENOMEM;
	}
	function->doc = doc_copy;
	table->any = table->any || function_is_any(name, name_size);
	HASH_ADD_KEYPTR(hh, table->by_name, function->name, function->name_size, function);
	return 0;
}

static bool read_function(struct function_table *table, struct pool *pool,
			  struct procpool_value function, size_t name_bytes)
{
	struct procpool_iter it = procpool_iter(function);
	struct procpool_value name_value, doc_value;
	const void *name, *doc;
	size_t name_size, doc_size;
	if (procpool_value_type(function) != PROCPOOL_ARRAY ||
	    !procpool_iter_next(&it, &name_value) || !procpool_iter_next(&it, &doc_value) ||
	    !procpool_value_bytes(name_value, &name, &name_size) ||
	    !procpool_value_bytes(doc_value, &doc, &doc_size))
		return false;
	if (name_size == 0 || name_size > name_bytes)
		return false;
	/* Those that other processes of the same code had stay known. */
	if (function_table_count(table) >= FUNCTIONS_MAX &&
	    !function_table_find(table, name, name_size))
		return false;
	return function_table_add(table, pool, name, name_size, doc, doc_size) == 0;
}

bool function_table_read(struct function_table *table, struct pool *pool,
			 struct procpool_value functions, size_t name_bytes)
{
	if (procpool_value_type(functions) != PROCPOOL_ARRAY ||
	    procpool_value_count(functions) > FUNCTIONS_MAX)
		return false;
	struct procpool_iter it = procpool_iter(functions);
	struct procpool_value function;
	while (procpool_iter_next(&it, &function))
		if (!read_function(table, pool, function, name_bytes))
			return false;
	return true;
}

void function_table_fini(struct function_table *table)
{
	struct function *function, *next;
	HASH_ITER (hh, table->by_name, function, next) {
		HASH_DELETE(hh, table->by_name, function);
		destroy(function);
	}
	HASH_ITER (hh, table->named, function, next)
		function_table_drop_named(table, function);
	while ((function = table->gone)) {
		table->gone = function->next_gone;
		destroy(function);
	}
}

void function_table_take(struct function_table *table, struct function_table *other)
{
	struct function *function, *next;
	table->any = table->any || other->any;
	other->any = false;
	HASH_ITER (hh, other->by_name, function, next) {
		struct function *known =
			function_table_find(table, function->name, function->name_size);
		HASH_DELETE(hh, other->by_name, function);
		if (!known) {
			HASH_ADD_KEYPTR(hh, table->by_name, function->name, function->name_size,
					function);
			continue;
		}
		free(known->doc);
		known->doc = function->doc;
		function->doc = NULL;
		destroy(function);
	}
}

void function_table_retain(struct function_table *table, const struct function_table *other)
{
	struct function *function, *next;
	table->any = table->any && other->any;
	HASH_ITER (hh, table->by_name, function, next) {
		if (function_table_find(other, function->name, function->name_size))
			continue;
		HASH_DELETE(hh, table->by_name, function);
		function->next_gone = table->gone;
		table->gone = function;
	}
}

void function_table_sweep(struct function_table *table)
{
	struct function **place = &table->gone, *function;
	while ((function = *place)) {
		if (function->used) {
			function->used = false;
			place = &function->next_gone;
			continue;
		}
		*place = function->next_gone;
		destroy(function);
	}
	for (function = table->by_name; function; function = function->hh.next)
		function->used = false;
}

size_t function_table_count(const struct function_table *table)
{
	return HASH_COUNT(table->by_name);
}

struct function *function_table_find(const struct function_table *table, const char *name,
				     size_t name_size)
{
	struct function *function;
	HASH_FIND(hh, table->by_name, name, name_size, function);
	return function;
}

struct function *function_table_find_named(const struct function_table *table, const char *name,
					   size_t name_size)
{
	struct function *function;
	HASH_FIND(hh, table->named, name, name_size, function);
	return function;
}

struct function *function_table_name(struct function_table *table, struct pool *pool,
				     const char *name, size_t name_size)
{
	struct function *function = create(pool, name, name_size);
	if (!function)
		return NULL;
	function->named = true;
	HASH_ADD_KEYPTR(hh, table->named, function->name, function->name_size, function);
	return function;
}

void function_table_drop_named(struct function_table *table, struct function *function)
{
	HASH_DELETE(hh, table->named, function);
	destroy(function);
}

void function_measure(struct function *function, uint64_t us, uint64_t count)
{
	double mean = (double)us / (double)count;
	if (function->samples == 0)
		function->mean_us = mean;
	else
		function->mean_us +=
			(mean - function->mean_us) / (mean > function->mean_us ? 4 : 16);
	function->samples += count;
}

unsigned name_distance(const char *a, size_t a_size, const char *b, size_t b_size, unsigned limit)
{
	enum { SIZE_MAX_COMPARED = 64 };
	unsigned row[SIZE_MAX_COMPARED + 1];

	if (a_size > SIZE_MAX_COMPARED || b_size > SIZE_MAX_COMPARED)
		return limit + 1;
	for (size_t j = 0; j <= b_size; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			unsigned replace = diagonal + (a[i - 1] != b[j - 1]);
			unsigned best = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = replace < best ? replace : best;
		}
	}
	return row[b_size] <= limit ? row[b_size] : limit + 1;
}
