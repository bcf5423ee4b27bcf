/* SPDX-License-Identifier: MIT */
/*
 * The daemon's settings: defaults, then the configuration files, then what the command line says
 * over them. Which files these are, and what it says, is a config_source, from which the settings
 * can be read again. A file is libconfuse's syntax:
 *
 *	socket = "/run/procpool/procpoold.sock"
 *	workers = 4
 *	limits { message_bytes = 64M  jobs_user = 1000 }
 *	access { call = {"@images"} }
 *	pool "images" {
 *		modules = {"codec", "/opt/lib/resize.so"}
 *		workers = 2
 *	}
 *
 * Anything that is unknown, out of range or contradicts itself is an error that names file and line
 * and says what to write instead. config_key.h has the keys, and how to add one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/access.h"
#include "core/pool_spec.h"
#include "io/log.h"
#include "proto/limit_table.h"

#define CONFIG_GRACE_SECONDS 10

struct config_place;

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

	char **files;                /* that it was read from; never NULL once read; owned */
	struct config_place *places; /* what was said where (config_place.h) */
	size_t place_count;
};

/*
 * Where settings come from: as the command line has it. All zero is a daemon that was started with
 * no word. Strings and lists are borrowed, and last as long as the process.
 *
 * The usual files are procpoold.conf and then conf.d/ *.conf, in the order of their bytes, of one
 * directory: the one that is named, else /etc/procpool of the system, else the user's own. Only
 * their absence is fine. A file that is named is read alone, and must exist.
 */
struct config_source {
	const char *path;  /* the file or the directory that is named, or NULL */
	bool is_system;    /* as the system's service; serves no demo */
	bool is_private;   /* for one program: no file that is not named, no demo, fewer logs */
	bool no_demo;      /* nothing said is nothing served */
	bool has_launcher; /* processes can be started as other users */
	const char *socket;
	unsigned workers; /* 0: not said */
	bool has_log_level;
	enum log_level log_level;
	char **modules; /* NULL-terminated, of the pool "default"; or NULL */
};

/* The defaults: no pools. */
void config_init(struct config *config);
void config_fini(struct config *config);

/*
 * The settings in force: defaults, files, command line. Every pool has its number of workers.
 * Without any pool configured and any module named, the pool "default" serves the module demo,
 * unless the source says otherwise; modules named on the command line form the pool "default"
 * beside those configured.
 *
 * 0, or a negative errno and *ret_error, to be freed (NULL without memory): -ENOENT where there is
 * no such file, -EINVAL where one is wrong. Each complaint is a line, without the last line's end.
 * *ret is only written on success, and to be fini'd.
 */
int config_read(const struct config_source *source, struct config *ret, char **ret_error);

/* The directory of the usual files, as config_read() has it: to be freed; NULL where there is no
 * such place, or no memory. */
char *config_directory(const struct config_source *source);

/* Adds a pool, with a copy of the name and of the modules. Returns it, borrowed; NULL without
 * memory. */
struct pool_spec *config_add_pool(struct config *config, const char *name, char *const *modules);

/* Whether it grants rights to others than root and the daemon's own user. */
bool config_grants(const struct config *config);

/* The pool of that name, or NULL. */
struct pool_spec *config_find_pool(const struct config *config, const char *name);

/* Notes that a file was read. 0 or -ENOMEM. */
int config_add_file(struct config *config, const char *path);
