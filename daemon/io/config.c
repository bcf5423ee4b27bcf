/* SPDX-License-Identifier: MIT */
#include "io/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/string_list.h"
#include "io/config_place.h"

void config_init(struct config *config)
{
	*config = (struct config){
		.log_level = LOG_LEVEL_INFO,
		.grace_seconds = CONFIG_GRACE_SECONDS,
		.limits = LIMITS_DEFAULT,
	};
}

void config_fini(struct config *config)
{
	free(config->socket);
	access_fini(&config->access);
	for (size_t i = 0; i < config->pool_count; i++)
		pool_spec_unref(config->pools[i]);
	free(config->pools);
	string_list_free(config->files);
	config_places_fini(config);
	config_init(config);
}

struct pool_spec *config_add_pool(struct config *config, const char *name, char *const *modules)
{
	struct pool_spec **pools =
		reallocarray(config->pools, config->pool_count + 1, sizeof(struct pool_spec *));
	if (!pools)
		return NULL;
	config->pools = pools;
	struct pool_spec *pool = pool_spec_create(name);
	char **copy = pool ? string_list_copy(modules) : NULL;
	if (!copy) {
		pool_spec_unref(pool);
		return NULL;
	}
	string_list_free(pool->modules);
	pool->modules = copy;
	pools[config->pool_count++] = pool;
	return pool;
}

bool config_grants(const struct config *config)
{
	bool grants = access_grants(&config->access);
	for (size_t i = 0; i < config->pool_count; i++)
		grants = grants || access_grants(&config->pools[i]->access);
	return grants;
}

struct pool_spec *config_find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (strcmp(config->pools[i]->name, name) == 0)
			return config->pools[i];
	return NULL;
}

int config_add_file(struct config *config, const char *path)
{
	return string_list_append(&config->files, strdup(path));
}
