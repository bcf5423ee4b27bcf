/* SPDX-License-Identifier: MIT */
#include "io/config_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/pool_spec.h"
#include "core/string_list.h"
#include "io/config_value.h"
#include "proto/limit_table.h"

/* What pools opened by sessions are named (PROTOCOL.md, "open"). */
#define SESSIONS_PREFIX "session-"

cfg_opt_t *config_pool_options(void)
{
#define NUMBER(name)  CFG_INT_CB(name, CONFIG_NOT_SET, CFGF_NONE, config_set_number)
#define SECONDS(name) CFG_FLOAT_CB(name, -1, CFGF_NONE, config_set_seconds)
	static cfg_opt_t options[] = {
		CFG_STR_LIST("modules", NULL, CFGF_NONE),
		NUMBER("workers"),
		CFG_STR_LIST("runtime", NULL, CFGF_NONE),
		CFG_STR("interpreter", NULL, CFGF_NONE),
		CFG_STR("initializer", NULL, CFGF_NONE),
		CFG_STR_LIST("initargs", NULL, CFGF_NONE),
		CFG_STR("preload", NULL, CFGF_NONE),
		CFG_BOOL("pickle", cfg_false, CFGF_NONE),
		NUMBER("workers_min"),
		NUMBER("workers_max"),
		SECONDS("idle_seconds"),
		NUMBER("extra_workers"),
		NUMBER("max_tasks"),
		NUMBER("max_rss"),
		NUMBER("memory"),
		SECONDS("stop_seconds"),
		CFG_STR("cwd", NULL, CFGF_NONE),
		CFG_STR_LIST("environment", NULL, CFGF_NONE),
		CFG_INT_CB("umask", CONFIG_NOT_SET, CFGF_NONE, config_set_mode),
		NUMBER("nice"),
		CFG_INT_LIST_CB("affinity", NULL, CFGF_NONE, config_set_number),
		NUMBER("cpu_seconds"),
		NUMBER("open_files"),
		NUMBER("core_bytes"),
		CFG_END(),
	};
#undef NUMBER
#undef SECONDS
	return options;
}

static bool is_set(cfg_t *section, const char *key)
{
	return cfg_getint(section, key) != CONFIG_NOT_SET;
}

/* ---- checks of one key ---- */

static int check_absolute(cfg_t *section, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getstr(opt);
	if (path[0] == '/')
		return 0;
	cfg_error(section, "%s is '%s', and must be an absolute path", opt->name, path);
	return -1;
}

static int check_preload(cfg_t *section, cfg_opt_t *opt)
{
	const char *preload = cfg_opt_getstr(opt);
	if (strcmp(preload, "auto") == 0 || strcmp(preload, "always") == 0)
		return 0;
	cfg_error(section, "preload is '%s', and must be auto or always", preload);
	return -1;
}

/* The variable that was just read. */
static int check_variable(cfg_t *section, cfg_opt_t *opt)
{
	if (cfg_opt_size(opt) == 0)
		return 0;
	unsigned last = cfg_opt_size(opt) - 1;
	const char *variable = cfg_opt_getnstr(opt, last);
	const char *end = strchr(variable, '=');
	if (!end || end == variable) {
		cfg_error(section,
			  "environment has '%s', and must have strings like \"NAME=value\"",
			  variable);
		return -1;
	}
	size_t name_size = (size_t)(end - variable);
	for (unsigned i = 0; i < last; i++) {
		if (strncmp(cfg_opt_getnstr(opt, i), variable, name_size + 1) == 0) {
			cfg_error(section, "environment has %.*s twice: remove one", (int)name_size,
				  variable);
			return -1;
		}
	}
	if (last < PROCESS_VARIABLES_MAX)
		return 0;
	cfg_error(section, "environment has more than %d variables", PROCESS_VARIABLES_MAX);
	return -1;
}

/* ---- checks of what goes together ---- */

static int check_name(cfg_t *section, const char *name)
{
	size_t size = strlen(name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			size = 0;
	if (size == 0 || size > LIMITS_DEFAULT.name_bytes) {
		cfg_error(section,
			  "'%s' cannot be the name of a pool: use 1 to %d characters, none of them "
			  "a space",
			  name, (int)LIMITS_DEFAULT.name_bytes);
		return -1;
	}
	if (strncmp(name, SESSIONS_PREFIX, strlen(SESSIONS_PREFIX)) == 0) {
		cfg_error(section,
			  "'%s' cannot be the name of a pool: names with " SESSIONS_PREFIX
			  " are those of pools that clients open",
			  name);
		return -1;
	}
	return 0;
}

static int check_workers(cfg_t *section, cfg_t *pool)
{
	bool min = is_set(pool, "workers_min"), max = is_set(pool, "workers_max");
	if (is_set(pool, "workers") && (min || max)) {
		cfg_error(section,
			  "the pool '%s' has workers and %s: say either how many it always keeps "
			  "(workers) or at least and at most (workers_min, workers_max)",
			  cfg_title(pool), min ? "workers_min" : "workers_max");
		return -1;
	}
	if (min && max && cfg_getint(pool, "workers_min") > cfg_getint(pool, "workers_max")) {
		cfg_error(section,
			  "the pool '%s' has a workers_min of %ld and a workers_max of %ld: the "
			  "first must not be larger",
			  cfg_title(pool), cfg_getint(pool, "workers_min"),
			  cfg_getint(pool, "workers_max"));
		return -1;
	}
	if (cfg_getfloat(pool, "idle_seconds") >= 0 && !min && !max) {
		cfg_error(section,
			  "the pool '%s' has idle_seconds, and always keeps the same number of "
			  "workers: say workers_max, or remove it",
			  cfg_title(pool));
		return -1;
	}
	return 0;
}

/* What its workers run. */
static int check_code(cfg_t *section, cfg_t *pool)
{
	const char *name = cfg_title(pool);
	bool runtime = cfg_size(pool, "runtime") > 0, python = cfg_getstr(pool, "interpreter");
	if (runtime && python) {
		cfg_error(section,
			  "the pool '%s' has runtime and interpreter, which stands for the runtime "
			  "of that Python: remove one",
			  name);
		return -1;
	}
	/* A Python that takes pickles can be brought what it is to do. */
	bool brought = python && cfg_getbool(pool, "pickle");
	if (cfg_size(pool, "modules") == 0 && !runtime && !brought) {
		cfg_error(section,
			  "the pool '%s' has nothing to serve: say modules = {\"name\", ...}",
			  name);
		return -1;
	}
	if (cfg_getbool(pool, "pickle") && !runtime && !python) {
		cfg_error(section,
			  "the pool '%s' has pickle, which the native runtime does not take: name "
			  "another runtime, or remove it",
			  name);
		return -1;
	}
	return 0;
}

/* The pool that was just read. */
static int check_pool(cfg_t *section, cfg_opt_t *opt)
{
	cfg_t *pool = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *name = cfg_title(pool);
	if (check_name(section, name) < 0)
		return -1;
	return check_code(section, pool) < 0 ? -1 : check_workers(section, pool);
}

void config_pool_add_checks(cfg_t *file)
{
	static const char *const never_empty[] = {"pool|modules", "pool|runtime",
						  "pool|interpreter", "pool|initializer"};
	for (size_t i = 0; i < sizeof(never_empty) / sizeof(*never_empty); i++)
		cfg_set_validate_func(file, never_empty[i], config_check_not_empty);
	cfg_set_validate_func(file, "pool|cwd", check_absolute);
	cfg_set_validate_func(file, "pool|preload", check_preload);
	cfg_set_validate_func(file, "pool|environment", check_variable);
	cfg_set_validate_func(file, "pool", check_pool);
}

/* ---- from what was parsed to what is kept ---- */

static uint64_t number(cfg_t *section, const char *key)
{
	return is_set(section, key) ? (uint64_t)cfg_getint(section, key) : 0;
}

static void take_seconds(uint64_t *us, cfg_t *section, const char *key)
{
	double seconds = cfg_getfloat(section, key);
	if (seconds >= 0)
		*us = (uint64_t)(seconds * 1e6);
}

static void take_policies(struct pool_spec *spec, cfg_t *section)
{
	spec->workers = (unsigned)number(section, "workers");
	spec->workers_min = (unsigned)number(section, "workers_min");
	spec->workers_max = (unsigned)number(section, "workers_max");
	spec->extra_workers = (unsigned)number(section, "extra_workers");
	spec->max_tasks = number(section, "max_tasks");
	spec->max_rss_bytes = number(section, "max_rss");
	spec->memory_bytes = number(section, "memory");
	take_seconds(&spec->idle_us, section, "idle_seconds");
	take_seconds(&spec->stop_us, section, "stop_seconds");
}

static void take_limit(struct process_settings *settings, int resource, cfg_t *section,
		       const char *key)
{
	if (is_set(section, key))
		process_settings_set_limit(settings, resource, number(section, key),
					   number(section, key));
}

static int take_settings(struct process_settings *settings, cfg_t *section)
{
	settings->has_umask = is_set(section, "umask");
	settings->umask = (unsigned)number(section, "umask");
	settings->nice = is_set(section, "nice") ? (int)cfg_getint(section, "nice") : 0;
	for (unsigned i = 0; i < cfg_size(section, "affinity"); i++)
		process_settings_add_cpu(settings, (unsigned)cfg_getnint(section, "affinity", i));
	take_limit(settings, RLIMIT_CPU, section, "cpu_seconds");
	take_limit(settings, RLIMIT_NOFILE, section, "open_files");
	take_limit(settings, RLIMIT_CORE, section, "core_bytes");
	if (cfg_size(section, "environment") > 0 &&
	    config_take_list(&settings->environment, section, "environment") < 0)
		return -ENOMEM;
	return config_take_string(&settings->cwd, section, "cwd");
}

/* The arguments of the initializer: an array of strings. */
static int take_initargs(struct pool_spec *spec, cfg_t *section)
{
	struct procpool_writer w;
	unsigned count = cfg_size(section, "initargs");
	procpool_writer_init(&w);
	procpool_write_array(&w, count);
	for (unsigned i = 0; i < count; i++)
		procpool_write_string(&w, cfg_getnstr(section, "initargs", i));
	struct blob *blob = w.error ? NULL : blob_copy(w.data, w.size);
	procpool_writer_fini(&w);
	if (!blob)
		return -ENOMEM;
	spec->initargs = span_of_blob(blob);
	return 0;
}

static int take_runtime(struct pool_spec *spec, cfg_t *section)
{
	if (!spec->interpreter)
		return config_take_list(&spec->runtime, section, "runtime");
	char program[] = "-m", package[] = "procpool.worker";
	char **runtime =
		string_list_copy((char *const[]){spec->interpreter, program, package, NULL});
	if (!runtime)
		return -ENOMEM;
	string_list_free(spec->runtime);
	spec->runtime = runtime;
	return 0;
}

int config_pool_take(struct pool_spec *spec, cfg_t *section)
{
	const char *preload = cfg_getstr(section, "preload");
	spec->pickle = cfg_getbool(section, "pickle");
	spec->preload_always = preload && strcmp(preload, "always") == 0;
	take_policies(spec, section);
	int r = config_take_list(&spec->modules, section, "modules");
	if (r == 0)
		r = config_take_string(&spec->interpreter, section, "interpreter");
	if (r == 0)
		r = take_runtime(spec, section);
	if (r == 0)
		r = config_take_string(&spec->initializer, section, "initializer");
	if (r == 0)
		r = take_settings(&spec->process, section);
	return r < 0 ? r : take_initargs(spec, section);
}
