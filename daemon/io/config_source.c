/* SPDX-License-Identifier: MIT */
/* What the settings are read from, in which order, and what follows when all of it is known. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/config.h"
#include "io/cpu_count.h"

#define SYSTEM_DIRECTORY "/etc/procpool"
#define SYSTEM_SOCKET    "/run/procpool/procpoold.sock"
#define MAIN_FILE        "procpoold.conf"
#define PARTS_DIRECTORY  "conf.d"
#define PARTS_SUFFIX     ".conf"
#define DEFAULT_POOL     "default"

__attribute__((format(printf, 3, 4))) static int fail(int code, char **ret_error,
						      const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vasprintf(ret_error, format, args) < 0)
		*ret_error = NULL;
	va_end(args);
	return code;
}

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

/* A part is looked for by whoever lists the directory: what waits for a writer is not read. */
static int load_part(struct config *config, const char *path, char **ret_error)
{
	struct stat status;
	if (stat(path, &status) == 0 && S_ISFIFO(status.st_mode))
		return fail(-EINVAL, ret_error,
			    "cannot read the configuration %s: it is a pipe, not a file", path);
	return config_load(config, path, ret_error);
}

static int load_parts(struct config *config, const char *directory, char **ret_error)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_part, in_bytes_order), r = 0;
	if (count < 0) {
		if (errno == ENOENT)
			return 0;
		return fail(-errno, ret_error, "cannot read the configuration %s: %s", directory,
			    strerror(errno));
	}
	for (int i = 0; i < count; i++) {
		char *path = r == 0 ? join(directory, entries[i]->d_name) : NULL;
		if (path)
			r = load_part(config, path, ret_error);
		else if (r == 0)
			r = -ENOMEM;
		free(path);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int load_directory(struct config *config, const char *directory, char **ret_error)
{
	char *path = join(directory, MAIN_FILE), *parts = join(directory, PARTS_DIRECTORY);
	int r = path && parts ? 0 : -ENOMEM;
	/* Only its absence is fine: one that cannot be read is not. */
	if (r == 0 && (access(path, F_OK) == 0 || errno != ENOENT))
		r = load_part(config, path, ret_error);
	if (r == 0)
		r = load_parts(config, parts, ret_error);
	free(path);
	free(parts);
	return r;
}

static int load_files(const struct config_source *source, struct config *config, char **ret_error)
{
	char *directory = config_directory(source);
	int r = 0;
	if (directory)
		r = load_directory(config, directory, ret_error);
	else if (source->path)
		r = config_load(config, source->path, ret_error);
	free(directory);
	return r;
}

/* ---- what follows ---- */

static int take_line(const struct config_source *source, struct config *config)
{
	if (source->has_log_level)
		config->log_level = source->log_level;
	if (source->workers)
		config->workers = source->workers;
	const char *socket = source->socket;
	if (!socket && !config->socket && source->is_system)
		socket = SYSTEM_SOCKET;
	if (!socket)
		return 0;
	free(config->socket);
	config->socket = strdup(socket);
	return config->socket ? 0 : -ENOMEM;
}

/* The pools follow from modules and settings that are complete. */
static int settle_pools(const struct config_source *source, struct config *config, char **ret_error)
{
	static char *demo[] = {"demo", NULL};
	bool no_demo = source->no_demo || source->is_system || source->is_private;
	char **modules = source->modules;
	if (!modules && config->pool_count == 0 && !no_demo)
		modules = demo;
	if (modules && config_find_pool(config, DEFAULT_POOL))
		return fail(-EINVAL, ret_error,
			    "--module makes the pool '" DEFAULT_POOL
			    "', and the configuration has one of that name, too: name the module "
			    "there");
	if (modules && !config_add_pool(config, DEFAULT_POOL, modules))
		return -ENOMEM;
	for (size_t i = 0; i < config->pool_count; i++)
		pool_spec_settle(config->pools[i], config->workers);
	return 0;
}

int config_read(const struct config_source *source, struct config *ret, char **ret_error)
{
	struct config config;
	*ret_error = NULL;
	config_init(&config);
	if (source->is_private)
		config.log_level = LOG_LEVEL_WARNING;
	int r = load_files(source, &config, ret_error);
	if (r == 0)
		r = take_line(source, &config);
	if (config.workers == 0)
		config.workers = cpu_count() + 1;
	if (r == 0)
		r = settle_pools(source, &config, ret_error);
	if (r < 0)
		config_fini(&config);
	else
		*ret = config;
	return r;
}
