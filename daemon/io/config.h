/* SPDX-License-Identifier: MIT */
/*
 * The daemon's settings: defaults, then the configuration file, then what the command line says
 * over it (options.h). The file is libconfuse's syntax:
 *
 *	socket = "/run/procpool/procpoold.sock"
 *	workers = 4
 *	log_level = "info"
 *	grace_seconds = 10
 *	limits { message_bytes = 64M  jobs_user = 1000 }
 *	pool "images" {
 *		modules = {"codec", "/opt/lib/resize.so"}
 *		workers = 2
 *		runtime = {"/usr/bin/python3", "-m", "procpool.worker"}
 *		initializer = "codec.setup"
 *		initargs = {"fast"}
 *	}
 *
 * An unknown key, a repeated pool and a value out of range is an error that names file and line and
 * says what to write instead. The fixed limits (depth, value_depth) cannot be set.
 *
 * Adding a key touches: the table in config.c or config_pool.c, its range in config_value.c, the
 * struct here or that of pools (core/pool_spec.h), procpoold.8.scd, tests/io/test_config.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/pool_spec.h"
#include "io/log.h"
#include "proto/limit_table.h"

#define CONFIG_GRACE_SECONDS 10

struct config {
	char *socket;     /* NULL: the default place */
	unsigned workers; /* of each pool that does not say; 0: cpu_count() + 1 */
	enum log_level log_level;
	unsigned grace_seconds;
	struct limits limits;
	struct access access;
	uint64_t slow_us;         /* of each pool that does not say; 0: none */
	struct pool_spec **pools; /* a reference to each */
	size_t pool_count;
};

/* The defaults: no pools. */
void config_init(struct config *config);
void config_fini(struct config *config);

/* The file that is read unless told otherwise: to be freed; NULL where there is no such place, or
 * no memory. */
char *config_default_path(void);

/*
 * Reads a file over what the config has. 0, or a negative errno and *ret_error, to be freed (NULL
 * without memory): -ENOENT where there is no such file, -EINVAL where it is wrong. Without memory
 * the config may have got a part of it.
 */
int config_load(struct config *config, const char *path, char **ret_error);

/* Adds a pool, with a copy of the name and of the modules. Returns it, borrowed; NULL without
 * memory. */
struct pool_spec *config_add_pool(struct config *config, const char *name, char *const *modules);

/* The pool of that name, or NULL. */
struct pool_spec *config_find_pool(const struct config *config, const char *name);
