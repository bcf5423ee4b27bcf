/* SPDX-License-Identifier: MIT */
#include "io/config_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "io/config_key.h"

static struct config_place *find(const struct config *config, const struct pool_spec *pool,
				 const struct config_key *key)
{
	for (size_t i = config->place_count; i-- > 0;)
		if (config->places[i].pool == pool && config->places[i].key == key)
			return &config->places[i];
	return NULL;
}

/* One more, at the end; NULL without memory. */
static struct config_place *append(struct config *config)
{
	size_t count = config->place_count;
	if ((count & (count + 1)) == 0) {
		struct config_place *places =
			reallocarray(config->places, 2 * (count + 1), sizeof(*places));
		if (!places)
			return NULL;
		config->places = places;
	}
	return &config->places[config->place_count++];
}

int config_place_add(struct config *config, const struct pool_spec *pool,
		     const struct config_key *key, const char *path, unsigned line)
{
	char *text = NULL;
	if (line > 0 && asprintf(&text, "%s:%u", path, line) < 0)
		return -ENOMEM;
	if (line == 0)
		text = strdup(path);
	if (!text)
		return -ENOMEM;
	/* A pool is in one file only, so that each of its keys comes once. */
	struct config_place *place = pool ? NULL : find(config, pool, key);
	if (place) {
		free(place->text);
	} else {
		place = append(config);
		if (!place) {
			free(text);
			return -ENOMEM;
		}
	}
	*place = (struct config_place){pool, key, text};
	return 0;
}

void config_places_fini(struct config *config)
{
	for (size_t i = 0; i < config->place_count; i++)
		free(config->places[i].text);
	free(config->places);
	config->places = NULL;
	config->place_count = 0;
}

const char *config_place_find(const struct config *config, const struct pool_spec *pool,
			      const struct config_key *key)
{
	const struct config_place *place = find(config, pool, key);
	return place ? place->text : NULL;
}

const char *config_place_in_pool(const struct config *config, const struct pool_spec *pool,
				 const char *key)
{
	const char *place =
		config_place_find(config, pool, config_key_find(&config_pool_keys, key));
	return place ? place : config_place_find(config, pool, NULL);
}
