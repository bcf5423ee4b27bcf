/* SPDX-License-Identifier: MIT */
#include "core/pool_spec.h"

#include <stdlib.h>
#include <string.h>

#include "core/string_list.h"

static void destroy(struct pool_spec *spec)
{
	free(spec->name);
	string_list_free(spec->runtime);
	string_list_free(spec->modules);
	free(spec->interpreter);
	free(spec->main);
	free(spec->initializer);
	blob_unref(spec->initargs.blob);
	blob_unref(spec->options.blob);
	process_settings_fini(&spec->process);
	free(spec->user);
	free(spec->group);
	access_fini(&spec->access);
	free(spec);
}

struct pool_spec *pool_spec_create(const char *name)
{
	struct pool_spec *spec = calloc(1, sizeof(*spec));
	if (!spec)
		return NULL;
	spec->refs = 1;
	spec->idle_us = POOL_IDLE_US;
	spec->stop_us = POOL_STOP_US;
	spec->name = strdup(name);
	spec->runtime = string_list_copy(NULL);
	spec->modules = string_list_copy(NULL);
	if (!spec->name || !spec->runtime || !spec->modules) {
		destroy(spec);
		return NULL;
	}
	return spec;
}

struct pool_spec *pool_spec_ref(struct pool_spec *spec)
{
	spec->refs++;
	return spec;
}

void pool_spec_unref(struct pool_spec *spec)
{
	if (spec && --spec->refs == 0)
		destroy(spec);
}

void pool_spec_settle(struct pool_spec *spec, unsigned workers)
{
	bool dynamic = spec->workers_min > 0 || spec->workers_max > 0;
	if (spec->workers == 0 && !dynamic)
		spec->workers = workers;
	if (spec->workers > 0) {
		spec->workers_min = spec->workers_max = spec->workers;
		return;
	}
	if (spec->workers_min == 0)
		spec->workers_min = 1;
	if (spec->workers_max == 0)
		spec->workers_max = workers > spec->workers_min ? workers : spec->workers_min;
	spec->workers = spec->workers_min;
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool spans_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool processes_equal(const struct pool_spec *a, const struct pool_spec *b)
{
	return string_list_equal(a->runtime, b->runtime) &&
	       texts_equal(a->interpreter, b->interpreter) &&
	       string_list_equal(a->modules, b->modules) && texts_equal(a->main, b->main) &&
	       texts_equal(a->initializer, b->initializer) &&
	       spans_equal(a->initargs, b->initargs) && spans_equal(a->options, b->options) &&
	       texts_equal(a->user, b->user) && texts_equal(a->group, b->group) &&
	       a->uid == b->uid && a->preload_always == b->preload_always &&
	       a->pickle == b->pickle && a->memory_bytes == b->memory_bytes &&
	       process_settings_equal(&a->process, &b->process);
}

static bool policies_equal(const struct pool_spec *a, const struct pool_spec *b)
{
	return a->workers == b->workers && a->workers_min == b->workers_min &&
	       a->workers_max == b->workers_max && a->idle_us == b->idle_us &&
	       a->extra_workers == b->extra_workers && a->max_tasks == b->max_tasks &&
	       a->max_rss_bytes == b->max_rss_bytes && a->stop_us == b->stop_us &&
	       a->slow_us == b->slow_us && access_equal(&a->access, &b->access);
}

unsigned pool_spec_differ(const struct pool_spec *a, const struct pool_spec *b)
{
	if (a == b)
		return 0;
	return (processes_equal(a, b) ? 0U : POOL_SPEC_PROCESSES) |
	       (policies_equal(a, b) ? 0U : POOL_SPEC_POLICIES);
}

const char *pool_spec_runtime_name(const struct pool_spec *spec)
{
	return spec->runtime[0] ? spec->runtime[0] : "native";
}
