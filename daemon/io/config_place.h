/* SPDX-License-Identifier: MIT */
/* Where each setting comes from: what nothing is said of here is a default. */
#pragma once

#include <stddef.h>

struct config;
struct config_key;
struct pool_spec;

struct config_place {
	const struct pool_spec *pool; /* borrowed from the config; NULL: of the daemon */
	const struct config_key *key; /* NULL: the pool's section itself */
	char *text;                   /* owned: a file and line, or an option */
};

/* Notes the place of a key, over an earlier one. Line 0: path says it all. 0 or -ENOMEM. */
int config_place_add(struct config *config, const struct pool_spec *pool,
		     const struct config_key *key, const char *path, unsigned line);
void config_places_fini(struct config *config);

/* Borrowed; NULL: it is a default. */
const char *config_place_find(const struct config *config, const struct pool_spec *pool,
			      const struct config_key *key);

/* The key of that name of a pool, else where the pool is: borrowed; NULL: nobody said it. */
const char *config_place_in_pool(const struct config *config, const struct pool_spec *pool,
				 const char *key);
