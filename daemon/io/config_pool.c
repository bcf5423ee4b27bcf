/* SPDX-License-Identifier: MIT */
#include "io/config_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool_spec.h"
#include "core/string_list.h"
#include "io/config.h"
#include "io/config_errors.h"
#include "io/config_file.h"
#include "io/config_place.h"
#include "io/config_text.h"
#include "io/config_value.h"
#include "proto/limit_table.h"

/* What pools opened by sessions are named (PROTOCOL.md, "open"). */
#define SESSIONS_PREFIX "session-"

/* ---- kinds of values ---- */

/* One that follows from the interpreter is not said again. */
static bool print_runtime(const struct config_key *key, const void *base, FILE *stream)
{
	const struct pool_spec *spec = base;
	return !spec->interpreter && config_print_strings(key, base, stream);
}

const struct config_type config_runtime = {CFGT_STR, true, config_parse_string, config_take_strings,
					   print_runtime};

/* The arguments of the initializer: an array of strings. */
static int take_initargs(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	struct span *span = config_field(key, base);
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, cfg_opt_size(opt));
	for (unsigned i = 0; i < cfg_opt_size(opt); i++)
		procpool_write_string(&w, cfg_opt_getnstr(opt, i));
	struct blob *blob = w.error ? NULL : blob_copy(w.data, w.size);
	procpool_writer_fini(&w);
	if (!blob)
		return -ENOMEM;
	blob_unref(span->blob);
	*span = span_of_blob(blob);
	return 0;
}

static bool print_initargs(const struct config_key *key, const void *base, FILE *stream)
{
	const struct span *span = config_const_field(key, base);
	if (span->size == 0)
		return false;
	size_t count = procpool_value_count(span_value(*span));
	for (size_t i = 0; i < count; i++) {
		const char *text;
		size_t size;
		char *copy = NULL;
		if (procpool_value_string(procpool_value_at(span_value(*span), i), &text, &size))
			copy = strndup(text, size);
		config_print_separator(stream, i);
		config_print_quoted(stream, copy ? copy : "");
		free(copy);
	}
	fputs(count > 0 ? "}" : "{}", stream);
	return true;
}

const struct config_type config_initargs = {CFGT_STR, true, config_parse_string, take_initargs,
					    print_initargs};

static int parse_preload(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	bool always = strcmp(value, "always") == 0;
	if (!always && strcmp(value, "auto") != 0)
		cfg_error(section, "%s is '%s', and must be auto or always", opt->name, value);
	*(int *)result = always;
	return 0;
}

static int take_preload(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(bool *)config_field(key, base) = cfg_opt_getnbool(opt, 0);
	return 0;
}

static bool print_preload(const struct config_key *key, const void *base, FILE *stream)
{
	return fputs(*(const bool *)config_const_field(key, base) ? "always" : "auto", stream) >= 0;
}

const struct config_type config_preload = {CFGT_BOOL, false, parse_preload, take_preload,
					   print_preload};

/* Whether a pool that is settled always keeps as many workers. */
static bool is_constant(const void *base)
{
	const struct pool_spec *spec = base;
	return spec->workers_min == spec->workers_max;
}

static bool print_constant(const struct config_key *key, const void *base, FILE *stream)
{
	return is_constant(base) && config_print_count(key, base, stream);
}

static bool print_range(const struct config_key *key, const void *base, FILE *stream)
{
	return !is_constant(base) && config_print_count(key, base, stream);
}

static bool print_idle(const struct config_key *key, const void *base, FILE *stream)
{
	return !is_constant(base) && config_print_seconds(key, base, stream);
}

const struct config_type config_workers = {CFGT_INT, false, config_parse_number, config_take_count,
					   print_constant};
const struct config_type config_workers_range = {CFGT_INT, false, config_parse_number,
						 config_take_count, print_range};
const struct config_type config_idle = {CFGT_FLOAT, false, config_parse_seconds,
					config_take_seconds, print_idle};

/* ---- what contradicts itself ---- */

/* A pool that is looked at. */
struct candidate {
	cfg_t *section;
	int ordinal;
	const struct config_text *text;
	struct config_errors *errors;
};

static bool is_said(const struct candidate *pool, const char *key)
{
	return cfg_getopt(pool->section, key)->flags & CFGF_MODIFIED;
}

/* A complaint, in the line of a key; "": that of the section. */
#define COMPLAIN(pool, key, ...)                                                                   \
	config_errors_add((pool)->errors, (pool)->text->path,                                      \
			  config_text_line((pool)->text, (pool)->ordinal, "", key), __VA_ARGS__)

static void check_name(const struct candidate *pool, const char *name)
{
	size_t size = strlen(name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			size = 0;
	if (size == 0 || size > LIMITS_DEFAULT.name_bytes)
		COMPLAIN(pool, "",
			 "'%s' cannot be the name of a pool: use 1 to %d characters, none of them "
			 "a space",
			 name, (int)LIMITS_DEFAULT.name_bytes);
	else if (strncmp(name, SESSIONS_PREFIX, strlen(SESSIONS_PREFIX)) == 0)
		COMPLAIN(pool, "",
			 "'%s' cannot be the name of a pool: names with " SESSIONS_PREFIX
			 " are those of pools that clients open",
			 name);
}

static void check_workers(const struct candidate *pool, const char *name)
{
	bool min = is_said(pool, "workers_min"), max = is_said(pool, "workers_max");
	const char *other = min ? "workers_min" : "workers_max";
	if (is_said(pool, "workers") && (min || max))
		COMPLAIN(pool, other,
			 "the pool '%s' has workers and %s: say either how many it always keeps "
			 "(workers) or at least and at most (workers_min, workers_max)",
			 name, other);
	else if (min && max &&
		 cfg_getint(pool->section, "workers_min") >
			 cfg_getint(pool->section, "workers_max"))
		COMPLAIN(pool, "workers_min",
			 "the pool '%s' has a workers_min of %ld and a workers_max of %ld: the "
			 "first must not be larger",
			 name, cfg_getint(pool->section, "workers_min"),
			 cfg_getint(pool->section, "workers_max"));
	if (is_said(pool, "idle_seconds") && !min && !max)
		COMPLAIN(pool, "idle_seconds",
			 "the pool '%s' has idle_seconds, and always keeps the same number of "
			 "workers: say workers_max, or remove it",
			 name);
}

/* What its workers run. */
static void check_code(const struct candidate *pool, const char *name)
{
	bool runtime = cfg_size(pool->section, "runtime") > 0;
	bool python = is_said(pool, "interpreter"), pickle = cfg_getbool(pool->section, "pickle");
	if (runtime && python)
		COMPLAIN(pool, "interpreter",
			 "the pool '%s' has runtime and interpreter, which stands for the runtime "
			 "of that Python: remove one",
			 name);
	/* A Python that takes pickles can be brought what it is to do. */
	if (cfg_size(pool->section, "modules") == 0 && !runtime && !(python && pickle))
		COMPLAIN(pool, is_said(pool, "modules") ? "modules" : "",
			 "the pool '%s' has nothing to serve: say modules = {\"name\", ...}", name);
	else if (pickle && !runtime && !python)
		COMPLAIN(pool, "pickle",
			 "the pool '%s' has pickle, which the native runtime does not take: name "
			 "another runtime, or remove it",
			 name);
}

static void check_new(const struct candidate *pool, const struct config *config, const char *name)
{
	const struct pool_spec *other = config_find_pool(config, name);
	if (other)
		COMPLAIN(pool, "", "the pool '%s' is in %s, too: a pool can be in one place only",
			 name, config_place_find(config, other, NULL));
}

bool config_pool_count_check(const struct config *config, cfg_t *file,
			     const struct config_text *text, struct config_errors *errors)
{
	size_t room = CONFIG_POOLS_MAX - config->pool_count;
	if (cfg_size(file, "pool") <= room)
		return true;
	const struct candidate pool = {cfg_getnsec(file, "pool", (unsigned)room), (int)room, text,
				       errors};
	COMPLAIN(&pool, "", "the pool '%s' is one too many: a daemon has at most %d",
		 cfg_title(pool.section), CONFIG_POOLS_MAX);
	return false;
}

void config_pool_check(const struct config *config, cfg_t *section, int ordinal,
		       const struct config_text *text, struct config_errors *errors)
{
	const struct candidate pool = {section, ordinal, text, errors};
	const char *name = cfg_title(section);
	check_name(&pool, name);
	check_new(&pool, config, name);
	check_code(&pool, name);
	check_workers(&pool, name);
}

/* ---- what becomes of it ---- */

static int take_runtime(struct pool_spec *spec)
{
	if (!spec->interpreter)
		return 0;
	char program[] = "-m", package[] = "procpool.worker";
	char **runtime =
		string_list_copy((char *const[]){spec->interpreter, program, package, NULL});
	if (!runtime)
		return -ENOMEM;
	string_list_free(spec->runtime);
	spec->runtime = runtime;
	return 0;
}

int config_pool_take(struct config *config, cfg_t *section, int ordinal,
		     const struct config_text *text)
{
	struct pool_spec *spec = config_add_pool(config, cfg_title(section), NULL);
	int r = spec ? config_place_add(config, spec, NULL, text->path,
					config_text_line(text, ordinal, "", ""))
		     : -ENOMEM;
	struct config_part part = {config, spec, ordinal, text};
	if (r == 0)
		r = config_take_section(&part, &config_pool_keys, section, spec);
	if (r == 0)
		r = config_take_section(&part, &config_access_keys, cfg_getsec(section, "access"),
					&spec->access);
	return r < 0 ? r : take_runtime(spec);
}
