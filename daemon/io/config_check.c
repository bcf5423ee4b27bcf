/* SPDX-License-Identifier: MIT */
#include "io/config_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/account.h"
#include "io/config.h"
#include "io/config_errors.h"
#include "io/config_key.h"
#include "io/config_place.h"
#include "io/log.h"

#define SYSTEM_NAME "procpool" /* the user that the system's service runs as, and a group */
#define MODULE_PATH "PROCPOOL_MODULE_PATH="

/* A pool that is looked at. */
struct subject {
	const struct config *config;
	const struct pool_spec *pool;
	struct config_errors *warnings;
};

__attribute__((format(printf, 3, 4))) static void warn(const struct subject *s, const char *key,
						       const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) >= 0) {
		config_errors_add(s->warnings, config_place_in_pool(s->config, s->pool, key), 0,
				  "the pool '%s' %s", s->pool->name, text);
		free(text);
	}
	va_end(args);
}

/* Sure not to be there, which is more than that one may not see it. */
static bool is_missing(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Whether one of the directories, which colons separate, may have the module. */
static bool is_found(const char *directories, const char *module)
{
	bool found = false;
	while (directories && *directories && !found) {
		size_t size = strcspn(directories, ":");
		char *path;
		if (asprintf(&path, "%.*s/%s.so", (int)size, directories, module) < 0)
			return true;
		found = size > 0 && !is_missing(path);
		free(path);
		directories += size;
		directories += *directories == ':';
	}
	return found;
}

/* What the native runtime of the pool has for directories of modules. */
static const char *module_path(const struct pool_spec *pool)
{
	for (char **v = pool->process.environment; v && *v; v++)
		if (strncmp(*v, MODULE_PATH, strlen(MODULE_PATH)) == 0)
			return *v + strlen(MODULE_PATH);
	return getenv("PROCPOOL_MODULE_PATH");
}

static void check_module(const struct subject *s, const char *module)
{
	if (module[0] == '/') {
		if (is_missing(module))
			warn(s, "modules", "has the module %s, and there is no such file", module);
	} else if (!s->pool->runtime[0] && !strchr(module, '/') &&
		   !is_found(module_path(s->pool), module) &&
		   !is_found(PROCPOOL_MODULE_DIR, module)) {
		warn(s, "modules",
		     "has the module '%s', and there is no %s.so in " PROCPOOL_MODULE_DIR
		     " or where PROCPOOL_MODULE_PATH says",
		     module, module);
	}
}

static void check_pool(const struct subject *s)
{
	const struct pool_spec *pool = s->pool;
	const char *program = pool->runtime[0], *cwd = pool->process.cwd;
	for (char **module = pool->modules; *module; module++)
		check_module(s, *module);
	if (program && program[0] == '/' && is_missing(program))
		warn(s, pool->interpreter ? "interpreter" : "runtime",
		     "runs %s, and there is no such program", program);
	if (cwd && is_missing(cwd))
		warn(s, "cwd", "runs in %s, and there is no such directory", cwd);
	if (pool->initializer && !program && !strchr(pool->initializer, '.'))
		warn(s, "initializer",
		     "has the initializer '%s', and must have one like module.function",
		     pool->initializer);
}

static void check_socket(const struct config *config, struct config_errors *warnings)
{
	const char *place =
		config_place_find(config, NULL, config_key_find(&config_daemon_keys, "socket"));
	char *parent = place && config->socket ? strdup(config->socket) : NULL;
	char *slash = parent ? strrchr(parent, '/') : NULL;
	if (slash && slash != parent) {
		*slash = '\0';
		if (is_missing(parent))
			config_errors_add(warnings, place, 0,
					  "the socket is to be in %s, and there is no "
					  "such directory",
					  parent);
	}
	free(parent);
}

/* Whether the mode lets the service's user read it: root, who checks, may always. */
static bool may_read(const struct stat *status, const char *user, uid_t uid, gid_t gid)
{
	if (status->st_uid == uid)
		return status->st_mode & S_IRUSR;
	if (account_has_group(user, gid, status->st_gid))
		return status->st_mode & S_IRGRP;
	return status->st_mode & S_IROTH;
}

static void check_file(const char *path, struct config_errors *warnings)
{
	struct stat status;
	uid_t uid;
	gid_t gid;
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return;
	if (status.st_mode & S_IWOTH)
		config_errors_add(warnings, path, 0,
				  "everybody may write to it, and so decide what runs: "
				  "chmod o-w %s",
				  path);
	if (account_find_user(SYSTEM_NAME, &uid, &gid, NULL) == ACCOUNT_FOUND &&
	    !may_read(&status, SYSTEM_NAME, uid, gid))
		config_errors_add(warnings, path, 0,
				  "the user " SYSTEM_NAME ", as whom the service runs, "
				  "may not read it: chgrp " SYSTEM_NAME " %s; chmod g+r %s",
				  path, path);
}

static void check_system(const struct config *config, const struct config_source *source,
			 struct config_errors *warnings)
{
	const struct config_key *call = config_key_find(&config_access_keys, "call");
	gid_t gid;
	for (char **file = config->files; *file; file++)
		check_file(*file, warnings);
	if (!source->has_launcher && geteuid() == 0)
		config_errors_add(warnings, NULL, 0,
				  "the daemon and its workers run as root: let "
				  "procpool-launcher start it, which keeps them apart");
	if (!config_place_find(config, NULL, call) &&
	    account_find_group(SYSTEM_NAME, &gid, NULL) == ACCOUNT_UNKNOWN)
		config_errors_add(warnings, NULL, 0,
				  "nobody but root may call, as there is no group "
				  "'" SYSTEM_NAME "': make it (systemd-sysusers), or say access { "
				  "call = ... }");
}

void config_check(const struct config *config, const struct config_source *source,
		  struct config_errors *warnings)
{
	check_socket(config, warnings);
	for (size_t i = 0; i < config->pool_count; i++)
		check_pool(&(struct subject){config, config->pools[i], warnings});
	if (source->is_system)
		check_system(config, source, warnings);
	config_errors_finish(warnings);
}

void config_warn(const struct config *config, const struct config_source *source)
{
	struct config_errors warnings = {0};
	config_check(config, source, &warnings);
	char *rest = warnings.text, *line;
	while (rest && (line = strsep(&rest, "\n")))
		log_warning("%s", line);
	config_errors_fini(&warnings);
}
