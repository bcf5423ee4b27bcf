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

const char *pool_spec_runtime_name(const struct pool_spec *spec)
{
	return spec->runtime[0] ? spec->runtime[0] : "native";
}
