/* SPDX-License-Identifier: MIT */
/* What the settings are read from, in which order, and what follows when all of it is known. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/string_list.h"
#include "io/config.h"
#include "io/config_access.h"
#include "io/config_errors.h"
#include "io/config_file.h"
#include "io/config_key.h"
#include "io/config_place.h"
#include "io/cpu_count.h"

#define SYSTEM_DIRECTORY "/etc/procpool"
#define SYSTEM_SOCKET    "/run/procpool/procpoold.sock"
#define MAIN_FILE        "procpoold.conf"
#define PARTS_DIRECTORY  "conf.d"
#define PARTS_SUFFIX     ".conf"
#define DEFAULT_POOL     "default"

/* NULL without memory. */
static char *join(const char *directory, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* ---- which files ---- */

static bool is_directory(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static char *user_directory(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	if (config && config[0] == '/')
		return join(config, "procpool");
	return home && home[0] == '/' ? join(home, ".config/procpool") : NULL;
}

char *config_directory(const struct config_source *source)
{
	if (source->path)
		return is_directory(source->path) ? strdup(source->path) : NULL;
	if (source->is_private)
		return NULL;
	if (source->is_system || geteuid() == 0)
		return strdup(SYSTEM_DIRECTORY);
	return user_directory();
}

/* Whether nothing at all is there: a link to nothing was meant to be something. */
static bool is_absent(const char *path)
{
	struct stat status;
	return lstat(path, &status) < 0 && errno == ENOENT;
}

/* Editors leave copies with other ends of names, or hidden ones. */
static int is_part(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name), suffix = strlen(PARTS_SUFFIX);
	return entry->d_name[0] != '.' && size > suffix &&
	       strcmp(entry->d_name + size - suffix, PARTS_SUFFIX) == 0;
}

static int in_bytes_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What is found in its place is no pipe that somebody is about to write to, nor a device, but for
 * that by which a file is masked. */
static bool is_readable_kind(const struct stat *status)
{
	return S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) ||
	       (S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3));
}

static int load_part(struct config *config, const char *path, struct config_errors *errors)
{
	struct stat status;
	if (stat(path, &status) == 0 && !is_readable_kind(&status)) {
		config_errors_add(errors, NULL, 0,
				  "cannot read the configuration %s: it is not a regular file",
				  path);
		return -EINVAL;
	}
	return config_file_load(config, path, errors);
}

/* All are read, so that all complaints are heard: the first is returned. */
static int load_parts(struct config *config, const char *directory, struct config_errors *errors)
{
	struct dirent **entries;
	int first = 0;
	if (is_absent(directory))
		return 0;
	int count = scandir(directory, &entries, is_part, in_bytes_order);
	if (count < 0) {
		int code = -errno;
		config_errors_add(errors, NULL, 0, "cannot read the configuration %s: %s",
				  directory, strerror(-code));
		return code;
	}
	for (int i = 0; i < count; i++) {
		char *path = join(directory, entries[i]->d_name);
		int r = path ? load_part(config, path, errors) : -ENOMEM;
		if (first == 0)
			first = r;
		free(path);
		free(entries[i]);
	}
	free(entries);
	return first;
}

static int load_directory(struct config *config, const char *directory,
			  struct config_errors *errors)
{
	char *path = join(directory, MAIN_FILE), *parts = join(directory, PARTS_DIRECTORY);
	int first = path && parts ? 0 : -ENOMEM, r = first;
	/* Only its absence is fine: one that cannot be read is not. */
	if (r == 0 && !is_absent(path))
		first = load_part(config, path, errors);
	if (r == 0)
		r = load_parts(config, parts, errors);
	free(path);
	free(parts);
	return first < 0 ? first : r;
}

static int load_files(struct config *config, const struct config_source *source,
		      struct config_errors *errors)
{
	char *directory = config_directory(source);
	int r = 0;
	if (directory)
		r = load_directory(config, directory, errors);
	else if (source->path)
		r = config_file_load(config, source->path, errors);
	free(directory);
	return r;
}

/* ---- what follows ---- */

static int note(struct config *config, const char *key, const char *option)
{
	return config_place_add(config, NULL, config_key_find(&config_daemon_keys, key), option, 0);
}

static int take_socket(struct config *config, const char *path, const char *option)
{
	free(config->socket);
	config->socket = strdup(path);
	if (!config->socket)
		return -ENOMEM;
	return option ? note(config, "socket", option) : 0;
}

static int take_line(struct config *config, const struct config_source *source)
{
	int r = 0;
	if (source->has_log_level) {
		config->log_level = source->log_level;
		r = note(config, "log_level", "--log-level");
	}
	if (r == 0 && source->workers) {
		config->workers = source->workers;
		r = note(config, "workers", "--workers");
	}
	if (r == 0 && source->socket)
		r = take_socket(config, source->socket, "--socket");
	else if (r == 0 && !config->socket && source->is_system)
		r = take_socket(config, SYSTEM_SOCKET, NULL);
	return r;
}

/* The pool of what the command line names, or of demo where nothing is. */
static int add_default_pool(struct config *config, const struct config_source *source,
			    struct config_errors *errors)
{
	static char *demo[] = {"demo", NULL};
	bool no_demo = source->no_demo || source->is_system || source->is_private;
	char **modules = source->modules;
	if (!modules && config->pool_count == 0 && !no_demo)
		modules = demo;
	if (!modules)
		return 0;
	const struct pool_spec *other = config_find_pool(config, DEFAULT_POOL);
	if (other) {
		config_errors_add(errors, config_place_find(config, other, NULL), 0,
				  "the pool '" DEFAULT_POOL
				  "' is that of --module, too: name the module here");
		return -EINVAL;
	}
	struct pool_spec *pool = config_add_pool(config, DEFAULT_POOL, modules);
	if (!pool)
		return -ENOMEM;
	if (!source->modules)
		return 0;
	int r = config_place_add(config, pool, NULL, "--module", 0);
	const struct config_key *key = config_key_find(&config_pool_keys, "modules");
	return r < 0 ? r : config_place_add(config, pool, key, "--module", 0);
}

/* What was not said of a pool and is the daemon's to say. */
static void inherit(const struct config *config, struct pool_spec *pool)
{
	if (!config_place_find(config, pool, config_key_find(&config_pool_keys, "slow_seconds")))
		pool->slow_us = config->slow_us;
	pool_spec_settle(pool, config->workers);
}

/* The pools follow from modules and settings that are complete. */
static int settle(struct config *config, const struct config_source *source,
		  struct config_errors *errors)
{
	int r = take_line(config, source);
	if (config->workers == 0)
		config->workers = cpu_count() + 1;
	if (r == 0)
		r = add_default_pool(config, source, errors);
	for (size_t i = 0; r == 0 && i < config->pool_count; i++)
		inherit(config, config->pools[i]);
	if (r == 0)
		r = config_settle_access(config, source);
	if (r == 0)
		r = config_settle_users(config, source, errors);
	return r == 0 && errors->count > 0 ? -EINVAL : r;
}

int config_read(const struct config_source *source, struct config *ret, char **ret_error)
{
	struct config_errors errors = {0};
	struct config config;
	config_init(&config);
	config.files = string_list_copy(NULL);
	int r = config.files ? 0 : -ENOMEM;
	if (source->is_private)
		config.log_level = LOG_LEVEL_WARNING;
	if (r == 0)
		r = load_files(&config, source, &errors);
	if (r == 0)
		r = settle(&config, source, &errors);
	if (r < 0)
		config_fini(&config);
	else
		*ret = config;
	config_errors_finish(&errors);
	*ret_error = errors.text;
	return r;
}
