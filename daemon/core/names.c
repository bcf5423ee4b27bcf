/* SPDX-License-Identifier: MIT */
#include "core/names.h"

#include "core/core.h"
#include "core/text.h"

/* Whether it can be shown to people, as names of functions are. */
static bool is_plain(const char *name, size_t size)
{
	for (size_t i = 0; i < size;) {
		int n = text_character((const uint8_t *)name + i, size - i);
		if (n <= 0)
			return false;
		i += (size_t)n;
	}
	return size > 0;
}

static void add_unused(struct names *names, struct function *function)
{
	TAILQ_INSERT_TAIL(&names->unused, function, in_unused);
	names->unused_count++;
}

static void remove_unused(struct names *names, struct function *function)
{
	TAILQ_REMOVE(&names->unused, function, in_unused);
	names->unused_count--;
}

struct function *names_find(struct pool *pool, const char *name, size_t size)
{
	struct function *function = function_table_find_named(&pool->functions, name, size);
	if (function || !is_plain(name, size))
		return function;
	function = function_table_name(&pool->functions, pool, name, size);
	if (function)
		add_unused(&pool->core->names, function);
	return function;
}

void names_use(struct core *core, struct function *function)
{
	if (function->named && function->jobs++ == 0)
		remove_unused(&core->names, function);
}

void names_release(struct core *core, struct function *function)
{
	if (function->named && --function->jobs == 0)
		add_unused(&core->names, function);
}

uint64_t names_job_bytes(const struct function *function)
{
	return function->named ? sizeof(*function) + function->name_size + 1 : 0;
}

static void drop(struct function *function)
{
	remove_unused(&function->pool->core->names, function);
	function_table_drop_named(&function->pool->functions, function);
}

void names_sweep(struct core *core)
{
	while (core->names.unused_count > NAMES_UNUSED_MAX)
		drop(TAILQ_FIRST(&core->names.unused));
}

void names_forget(struct pool *pool)
{
	struct function *function, *next;
	HASH_ITER (hh, pool->functions.named, function, next)
		drop(function);
}
