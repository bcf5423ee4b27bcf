/* SPDX-License-Identifier: MIT */
/* Pools of one's own: the methods open, close, join and terminate. */
#include <string.h>

#include "connection.h"
#include "outcome.h"

static size_t list_count(const char *const *list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	return count;
}

static void write_list(struct procpool_writer *w, const char *key, const char *const *list)
{
	if (!list)
		return;
	procpool_write_string(w, key);
	procpool_write_array(w, list_count(list));
	for (; *list; list++)
		procpool_write_string(w, *list);
}

static void write_text(struct procpool_writer *w, const char *key, const char *text)
{
	if (!text)
		return;
	procpool_write_string(w, key);
	procpool_write_string(w, text);
}

/* "NAME=value"s to be set, "NAME"s to be removed. */
static void write_env(struct procpool_writer *w, const char *const *env)
{
	if (!env)
		return;
	procpool_write_string(w, "env");
	procpool_write_map(w, list_count(env));
	for (; *env; env++) {
		size_t size = strcspn(*env, "=");
		procpool_write_string_n(w, *env, size);
		if ((*env)[size] == '=')
			procpool_write_string(w, *env + size + 1);
		else
			procpool_write_nil(w);
	}
}

static void write_more(struct procpool_writer *w, struct procpool_value more)
{
	struct procpool_iter it = procpool_iter(more);
	struct procpool_value key, value;
	while (procpool_iter_next_pair(&it, &key, &value)) {
		procpool_write_value(w, key);
		procpool_write_value(w, value);
	}
}

static void write_options(struct procpool_writer *w, const struct procpool_pool_options *o)
{
	procpool_write_map(
		w, (size_t)(o->modules != NULL) + (o->runtime != NULL) + (o->main != NULL) +
			   (o->workers > 0) + (o->initializer != NULL) + (o->initargs.size > 0) +
			   (o->cwd != NULL) + (o->env != NULL) + procpool_value_count(o->more));
	write_list(w, "modules", o->modules);
	write_list(w, "runtime", o->runtime);
	write_text(w, "main", o->main);
	if (o->workers > 0) {
		procpool_write_string(w, "workers");
		procpool_write_uint(w, o->workers);
	}
	write_text(w, "initializer", o->initializer);
	if (o->initargs.size > 0) {
		procpool_write_string(w, "initargs");
		procpool_write_value(w, o->initargs);
	}
	write_text(w, "cwd", o->cwd);
	write_env(w, o->env);
	write_more(w, o->more);
}

/* One whole value of this type, or none. */
static bool is_value(struct procpool_value value, enum procpool_type type)
{
	struct procpool_value whole;
	return value.size == 0 ||
	       (procpool_value_type(value) == type &&
		procpool_value_parse(value.data, value.size, &whole) && whole.size == value.size);
}

/* The name in the answer to open. */
static bool copy_name(struct procpool_value answer, char ret[PROCPOOL_POOL_NAME_SIZE])
{
	const char *name;
	size_t size;
	if (!procpool_value_string(procpool_value_get(answer, "pool"), &name, &size) ||
	    size >= PROCPOOL_POOL_NAME_SIZE)
		return false;
	memcpy(ret, name, size);
	ret[size] = '\0';
	return true;
}

enum procpool_code procpool_pool_open(struct procpool *pp,
				      const struct procpool_pool_options *options,
				      char ret_pool[PROCPOOL_POOL_NAME_SIZE],
				      struct procpool_outcome *out)
{
	struct procpool_pool_options o = PROCPOOL_POOL_OPTIONS_INIT;
	struct procpool_outcome own = PROCPOOL_OUTCOME_INIT;
	struct procpool_outcome *answer = out ? out : &own;
	struct procpool_writer params;
	if (!options || options->size == 0)
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (!is_value(o.initargs, PROCPOOL_ARRAY) || !is_value(o.more, PROCPOOL_MAP))
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	write_options(&params, &o);
	enum procpool_code code = request_written(pp, "open", &params, answer);
	if (code == PROCPOOL_OK && !copy_name(answer->value, ret_pool))
		code = outcome_fail(answer, PROCPOOL_ERR_OTHER, 0, NULL);
	procpool_outcome_fini(&own);
	return code;
}

static enum procpool_code request_pool(struct procpool *pp, const char *method, const char *pool,
				       double seconds, struct procpool_outcome *out)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, seconds >= 0 ? 2 : 1);
	procpool_write_string(&params, pool);
	if (seconds >= 0)
		procpool_write_double(&params, seconds);
	return request_written(pp, method, &params, out);
}

enum procpool_code procpool_pool_close(struct procpool *pp, const char *pool,
				       struct procpool_outcome *out)
{
	return request_pool(pp, "close", pool, -1, out);
}

enum procpool_code procpool_pool_terminate(struct procpool *pp, const char *pool,
					   struct procpool_outcome *out)
{
	return request_pool(pp, "terminate", pool, -1, out);
}

enum procpool_code procpool_pool_join(struct procpool *pp, const char *pool, double seconds,
				      struct procpool_outcome *out)
{
	return request_pool(pp, "join", pool, seconds, out);
}
