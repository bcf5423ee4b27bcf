/* SPDX-License-Identifier: MIT */
#include "io/pool_params.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/pool_spec.h"
#include "core/string_list.h"
#include "io/call.h"
#include "proto/params.h"

#define STRINGS_MAX 1000             /* in one list */
#define VALUE_BYTES ((size_t)131071) /* of a variable with its name, as execve(2) has it */
#define NUMBER_MAX  (UINT64_C(1) << 53)
#define MEMORY_MIN  (UINT64_C(1) << 20)
#define UMASK_MAX   0777

enum key {
	KEY_MODULES,
	KEY_RUNTIME,
	KEY_MAIN,
	KEY_INITIALIZER,
	KEY_INITARGS,
	KEY_OPTIONS,
	KEY_PICKLE,
	KEY_PRELOAD,
	KEY_WORKERS,
	KEY_WORKERS_MIN,
	KEY_WORKERS_MAX,
	KEY_IDLE_SECONDS,
	KEY_EXTRA_WORKERS,
	KEY_MAX_TASKS,
	KEY_MAX_RSS,
	KEY_MEMORY,
	KEY_STOP_SECONDS,
	KEY_CWD,
	KEY_ENV,
	KEY_ENV_CLEAR,
	KEY_UMASK,
	KEY_NICE,
	KEY_AFFINITY,
	KEY_RLIMITS,
	KEY_COUNT,
};

static const struct param keys[KEY_COUNT] = {
	[KEY_MODULES] = {"modules", PARAM_ARRAY},
	[KEY_RUNTIME] = {"runtime", PARAM_ARRAY},
	[KEY_MAIN] = {"main", PARAM_ANY},
	[KEY_INITIALIZER] = {"initializer", PARAM_STRING},
	[KEY_INITARGS] = {"initargs", PARAM_ARRAY},
	[KEY_OPTIONS] = {"options", PARAM_MAP},
	[KEY_PICKLE] = {"pickle", PARAM_BOOL},
	[KEY_PRELOAD] = {"preload", PARAM_STRING},
	[KEY_WORKERS] = {"workers", PARAM_COUNT},
	[KEY_WORKERS_MIN] = {"workers_min", PARAM_COUNT},
	[KEY_WORKERS_MAX] = {"workers_max", PARAM_COUNT},
	[KEY_IDLE_SECONDS] = {"idle_seconds", PARAM_SECONDS},
	[KEY_EXTRA_WORKERS] = {"extra_workers", PARAM_INT},
	[KEY_MAX_TASKS] = {"max_tasks", PARAM_COUNT},
	[KEY_MAX_RSS] = {"max_rss", PARAM_COUNT},
	[KEY_MEMORY] = {"memory", PARAM_COUNT},
	[KEY_STOP_SECONDS] = {"stop_seconds", PARAM_SECONDS},
	[KEY_CWD] = {"cwd", PARAM_ANY},
	[KEY_ENV] = {"env", PARAM_MAP},
	[KEY_ENV_CLEAR] = {"env_clear", PARAM_BOOL},
	[KEY_UMASK] = {"umask", PARAM_INT},
	[KEY_NICE] = {"nice", PARAM_INT},
	[KEY_AFFINITY] = {"affinity", PARAM_ARRAY},
	[KEY_RLIMITS] = {"rlimits", PARAM_MAP},
};

struct reader {
	struct procpool_value values[KEY_COUNT]; /* size 0: not given */
	struct pool_spec *spec;
	struct problem *problem;
};

/* What each part returns: POOL_PARAMS_READ, or wrong() or -ENOMEM. */
#define wrong(reader, ...) (problem_set((reader)->problem, __VA_ARGS__), POOL_PARAMS_WRONG)

static bool is_given(const struct reader *reader, enum key key)
{
	return reader->values[key].size > 0;
}

/* ---- texts ---- */

/* A string that can be handed to a system call: not empty, and without a NUL. */
static bool is_text(struct procpool_value value, size_t size_max, struct slice *ret)
{
	return slice_of(value, ret) && ret->size > 0 && ret->size <= size_max &&
	       !memchr(ret->data, '\0', ret->size);
}

static int read_path(struct reader *reader, enum key key, bool absolute, char **ret)
{
	struct slice path;
	if (!is_given(reader, key))
		return POOL_PARAMS_READ;
	if (!is_text(reader->values[key], PATH_MAX - 1, &path) || (absolute && path.data[0] != '/'))
		return wrong(reader,
			     "key '%s' must be %s path, a string of 1 to %d bytes without a NUL",
			     keys[key].name, absolute ? "an absolute" : "a", PATH_MAX - 1);
	char *copy = strndup(path.data, path.size);
	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return POOL_PARAMS_READ;
}

static int read_list(struct reader *reader, enum key key, char ***list)
{
	struct procpool_iter it = procpool_iter(reader->values[key]);
	struct procpool_value element;
	struct slice text;
	if (it.remaining > STRINGS_MAX)
		return wrong(reader, "key '%s' must be an array of at most %d strings",
			     keys[key].name, STRINGS_MAX);
	while (procpool_iter_next(&it, &element)) {
		if (!is_text(element, PATH_MAX - 1, &text))
			return wrong(reader,
				     "key '%s' must be an array of strings, each of 1 to %d bytes "
				     "without a NUL",
				     keys[key].name, PATH_MAX - 1);
		if (string_list_append(list, strndup(text.data, text.size)) < 0)
			return -ENOMEM;
	}
	return POOL_PARAMS_READ;
}

/* ---- what is run ---- */

static int read_initializer(struct reader *reader)
{
	struct slice name;
	if (!is_given(reader, KEY_INITIALIZER))
		return POOL_PARAMS_READ;
	if (!is_text(reader->values[KEY_INITIALIZER], SIZE_MAX, &name))
		return wrong(reader, "key 'initializer' must be the name of a function");
	reader->spec->initializer = strndup(name.data, name.size);
	return reader->spec->initializer ? POOL_PARAMS_READ : -ENOMEM;
}

/* A value that goes on to the runtime as it came. */
static int read_held(struct reader *reader, enum key key, struct span *ret)
{
	struct procpool_value value = reader->values[key];
	if (value.size == 0)
		return POOL_PARAMS_READ;
	struct blob *blob = blob_copy(value.data, value.size);
	if (!blob)
		return -ENOMEM;
	*ret = span_of_blob(blob);
	return POOL_PARAMS_READ;
}

static int read_preload(struct reader *reader)
{
	struct slice preload;
	if (!slice_of(reader->values[KEY_PRELOAD], &preload))
		return POOL_PARAMS_READ;
	reader->spec->preload_always = slice_is(preload, "always");
	if (!reader->spec->preload_always && !slice_is(preload, "auto"))
		return wrong(reader, "key 'preload' must be \"auto\" or \"always\", not \"%s\"",
			     problem_quote(preload).text);
	return POOL_PARAMS_READ;
}

/* Whether it goes together. */
static int check_code(struct reader *reader)
{
	const struct pool_spec *spec = reader->spec;
	if (is_given(reader, KEY_RUNTIME) && !spec->runtime[0])
		return wrong(reader, "key 'runtime' is empty: name a program, or leave it out");
	if (spec->main && !spec->runtime[0])
		return wrong(reader, "key 'main' is for runtimes that run scripts: name one with "
				     "key 'runtime'");
	if ((spec->pickle || spec->options.size > 0) && !spec->runtime[0])
		return wrong(reader,
			     "key '%s' is for runtimes of other languages: name one with "
			     "key 'runtime'",
			     spec->pickle ? "pickle" : "options");
	if (!spec->modules[0] && !spec->runtime[0])
		return wrong(reader,
			     "the pool has nothing to serve: name modules with key 'modules'");
	return POOL_PARAMS_READ;
}

static int read_code(struct reader *reader)
{
	struct pool_spec *spec = reader->spec;
	int r = read_list(reader, KEY_MODULES, &spec->modules);
	if (r == 0)
		r = read_list(reader, KEY_RUNTIME, &spec->runtime);
	if (r == 0)
		r = read_path(reader, KEY_MAIN, false, &spec->main);
	if (r == 0)
		r = read_initializer(reader);
	if (r == 0)
		r = read_held(reader, KEY_INITARGS, &spec->initargs);
	if (r == 0)
		r = read_held(reader, KEY_OPTIONS, &spec->options);
	if (r == 0)
		r = read_preload(reader);
	if (r != 0)
		return r;
	procpool_value_bool(reader->values[KEY_PICKLE], &spec->pickle);
	return check_code(reader);
}

/* ---- numbers ---- */

/* An integer from min to max, where it is given. */
static int read_number(struct reader *reader, enum key key, uint64_t min, uint64_t max,
		       uint64_t *ret)
{
	uint64_t n;
	if (!is_given(reader, key))
		return POOL_PARAMS_READ;
	if (!procpool_value_uint(reader->values[key], &n) || n < min || n > max)
		return wrong(reader, "key '%s' must be an integer from %llu to %llu",
			     keys[key].name, (unsigned long long)min, (unsigned long long)max);
	*ret = n;
	return POOL_PARAMS_READ;
}

static int read_workers(struct reader *reader, enum key key, unsigned min, unsigned *ret)
{
	uint64_t n = *ret;
	int r = read_number(reader, key, min, POOL_WORKERS_MAX, &n);
	*ret = (unsigned)n;
	return r;
}

static int read_seconds(struct reader *reader, enum key key, uint64_t *ret_us)
{
	double seconds;
	if (!procpool_value_double(reader->values[key], &seconds))
		return POOL_PARAMS_READ; /* not given, or nil */
	if (seconds > SECONDS_MAX)
		return wrong(reader, "key '%s' must be at most %.0f seconds", keys[key].name,
			     SECONDS_MAX);
	*ret_us = (uint64_t)(seconds * 1e6);
	return POOL_PARAMS_READ;
}

static int check_workers(struct reader *reader)
{
	const struct pool_spec *spec = reader->spec;
	bool dynamic = spec->workers_min > 0 || spec->workers_max > 0;
	if (spec->workers > 0 && dynamic)
		return wrong(reader,
			     "key 'workers' cannot go with '%s': say either how many there "
			     "always are, or at least and at most",
			     spec->workers_min > 0 ? "workers_min" : "workers_max");
	if (spec->workers_max > 0 && spec->workers_min > spec->workers_max)
		return wrong(reader,
			     "key 'workers_min' (%u) must not be larger than 'workers_max' (%u)",
			     spec->workers_min, spec->workers_max);
	if (is_given(reader, KEY_IDLE_SECONDS) && !dynamic)
		return wrong(reader, "key 'idle_seconds' is for pools with 'workers_max'");
	return POOL_PARAMS_READ;
}

static int read_policies(struct reader *reader)
{
	struct pool_spec *spec = reader->spec;
	int r = read_workers(reader, KEY_WORKERS, 1, &spec->workers);
	if (r == 0)
		r = read_workers(reader, KEY_WORKERS_MIN, 1, &spec->workers_min);
	if (r == 0)
		r = read_workers(reader, KEY_WORKERS_MAX, 1, &spec->workers_max);
	if (r == 0)
		r = read_workers(reader, KEY_EXTRA_WORKERS, 0, &spec->extra_workers);
	if (r == 0)
		r = read_number(reader, KEY_MAX_TASKS, 1, NUMBER_MAX, &spec->max_tasks);
	if (r == 0)
		r = read_number(reader, KEY_MAX_RSS, MEMORY_MIN, NUMBER_MAX, &spec->max_rss_bytes);
	if (r == 0)
		r = read_number(reader, KEY_MEMORY, MEMORY_MIN, NUMBER_MAX, &spec->memory_bytes);
	if (r == 0)
		r = read_seconds(reader, KEY_IDLE_SECONDS, &spec->idle_us);
	if (r == 0)
		r = read_seconds(reader, KEY_STOP_SECONDS, &spec->stop_us);
	return r == 0 ? check_workers(reader) : r;
}

/* ---- as what processes run ---- */

static int set_variable(struct reader *reader, struct slice name, struct procpool_value value)
{
	struct slice text = {0};
	bool removed = procpool_value_type(value) == PROCPOOL_NIL;
	if (!removed && (!slice_of(value, &text) || memchr(text.data, '\0', text.size)))
		return wrong(reader,
			     "key 'env' has a value of %s that is neither a string without "
			     "a NUL nor nil",
			     problem_quote(name).text);
	if (name.size + text.size > VALUE_BYTES)
		return wrong(reader, "key 'env' has a variable of more than %zu bytes",
			     VALUE_BYTES);
	int r = process_settings_set_variable(&reader->spec->process, name.data, name.size,
					      removed ? NULL : text.data, text.size);
	if (r == -EEXIST)
		return wrong(reader, "key 'env' has %s twice", problem_quote(name).text);
	return r;
}

static int read_env(struct reader *reader)
{
	struct procpool_iter it = procpool_iter(reader->values[KEY_ENV]);
	struct procpool_value key, value;
	struct slice name;
	int r = POOL_PARAMS_READ;
	if (it.remaining / 2 > PROCESS_VARIABLES_MAX)
		return wrong(reader, "key 'env' has more than %d variables", PROCESS_VARIABLES_MAX);
	while (r == 0 && procpool_iter_next_pair(&it, &key, &value)) {
		if (!is_text(key, VALUE_BYTES, &name) || memchr(name.data, '=', name.size))
			return wrong(reader, "a key of 'env' must be a string, not empty, without "
					     "'=' and NUL");
		r = set_variable(reader, name, value);
	}
	return r;
}

/* An integer, or nil: no limit. */
static bool read_limit(struct procpool_value value, uint64_t *ret)
{
	*ret = UINT64_MAX;
	return procpool_value_type(value) == PROCPOOL_NIL ||
	       (procpool_value_uint(value, ret) && *ret <= INT64_MAX);
}

/* A limit, or an array of the soft and the hard one. */
static bool read_limits(struct procpool_value value, uint64_t *ret_soft, uint64_t *ret_hard)
{
	if (procpool_value_type(value) != PROCPOOL_ARRAY) {
		bool ok = read_limit(value, ret_soft);
		*ret_hard = *ret_soft;
		return ok;
	}
	return procpool_value_count(value) == 2 &&
	       read_limit(procpool_value_at(value, 0), ret_soft) &&
	       read_limit(procpool_value_at(value, 1), ret_hard) && *ret_soft <= *ret_hard;
}

static int read_rlimits(struct reader *reader)
{
	struct procpool_iter it = procpool_iter(reader->values[KEY_RLIMITS]);
	struct procpool_value key, value;
	uint64_t soft, hard;
	while (procpool_iter_next_pair(&it, &key, &value)) {
		struct slice name = {0};
		int resource = slice_of(key, &name)
				       ? process_settings_find_limit(name.data, name.size)
				       : -1;
		if (resource < 0)
			return wrong(reader,
				     "key 'rlimits' has no limit '%s': it has those of "
				     "prlimit(1), such as cpu and nofile",
				     problem_quote(name).text);
		if (!read_limits(value, &soft, &hard))
			return wrong(reader,
				     "key 'rlimits' has for '%s' neither a limit (an integer "
				     "from 0 on, or nil) nor [soft, hard], soft not larger",
				     problem_quote(name).text);
		process_settings_set_limit(&reader->spec->process, resource, soft, hard);
	}
	return POOL_PARAMS_READ;
}

static int read_affinity(struct reader *reader)
{
	struct procpool_iter it = procpool_iter(reader->values[KEY_AFFINITY]);
	struct procpool_value element;
	uint64_t cpu;
	if (is_given(reader, KEY_AFFINITY) && it.remaining == 0)
		return wrong(reader, "key 'affinity' is empty: name processors, or leave it out");
	while (procpool_iter_next(&it, &element)) {
		if (!procpool_value_uint(element, &cpu) || cpu >= PROCESS_CPUS_MAX)
			return wrong(reader,
				     "key 'affinity' must be an array of processors, each "
				     "an integer from 0 to %d",
				     PROCESS_CPUS_MAX - 1);
		process_settings_add_cpu(&reader->spec->process, (unsigned)cpu);
	}
	return POOL_PARAMS_READ;
}

static int read_nice(struct reader *reader)
{
	int64_t nice = 0;
	if (is_given(reader, KEY_NICE) &&
	    (!procpool_value_int(reader->values[KEY_NICE], &nice) || nice < -20 || nice > 19))
		return wrong(reader, "key 'nice' must be an integer from -20 to 19");
	reader->spec->process.nice = (int)nice;
	return POOL_PARAMS_READ;
}

static int read_settings(struct reader *reader)
{
	struct process_settings *settings = &reader->spec->process;
	uint64_t mask = 0;
	int r = read_path(reader, KEY_CWD, true, &settings->cwd);
	if (r == 0)
		r = read_number(reader, KEY_UMASK, 0, UMASK_MAX, &mask);
	settings->has_umask = is_given(reader, KEY_UMASK);
	settings->umask = (unsigned)mask;
	procpool_value_bool(reader->values[KEY_ENV_CLEAR], &settings->env_clear);
	if (r == 0)
		r = read_nice(reader);
	if (r == 0)
		r = read_env(reader);
	if (r == 0)
		r = read_affinity(reader);
	return r == 0 ? read_rlimits(reader) : r;
}

int pool_params_read(struct procpool_value map, size_t name_max, unsigned workers,
		     struct pool_spec **ret, struct problem *problem)
{
	struct reader reader = {.problem = problem};
	if (!params_read_map(map, "key", keys, KEY_COUNT, name_max, reader.values, problem))
		return POOL_PARAMS_WRONG;
	reader.spec = pool_spec_create("");
	int r = reader.spec ? read_code(&reader) : -ENOMEM;
	if (r == 0)
		r = read_policies(&reader);
	if (r == 0)
		r = read_settings(&reader);
	if (r != 0) {
		pool_spec_unref(reader.spec);
		return r;
	}
	pool_spec_settle(reader.spec, workers);
	reader.spec->bytes = map.size;
	*ret = reader.spec;
	return POOL_PARAMS_READ;
}
