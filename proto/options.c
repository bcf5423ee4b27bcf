/* SPDX-License-Identifier: MIT */
#include "proto/options.h"

enum option {
	OPTION_POOL,
	OPTION_KWARGS,
	OPTION_DETACH,
	OPTION_CHUNKSIZE,
	OPTION_STAR,
	OPTION_ERRORS,
	OPTION_STREAM,
	OPTION_PRIORITY,
	OPTION_RETRIES,
	OPTION_TIMEOUT,
	OPTION_EXPIRES,
	OPTION_PARENT,
	OPTION_PICKLE,
	OPTION_COUNT,
};

static const struct param options[OPTION_COUNT] = {
	[OPTION_POOL] = {"pool", PARAM_STRING},
	[OPTION_KWARGS] = {"kwargs", PARAM_MAP},
	[OPTION_DETACH] = {"detach", PARAM_BOOL},
	[OPTION_CHUNKSIZE] = {"chunksize", PARAM_COUNT},
	[OPTION_STAR] = {"star", PARAM_BOOL},
	[OPTION_ERRORS] = {"errors", PARAM_STRING},
	[OPTION_STREAM] = {"stream", PARAM_ANY},
	[OPTION_PRIORITY] = {"priority", PARAM_INT},
	[OPTION_RETRIES] = {"retries", PARAM_UINT},
	[OPTION_TIMEOUT] = {"timeout", PARAM_DURATION},
	[OPTION_EXPIRES] = {"expires", PARAM_DELAY},
	[OPTION_PARENT] = {"parent", PARAM_JOB},
	[OPTION_PICKLE] = {"pickle", PARAM_ANY},
};

#define ALL (OPTIONS_APPLY | OPTIONS_APPLY_ASYNC | OPTIONS_MAP | OPTIONS_MAP_ASYNC)

/* The methods that take the option. */
static const unsigned option_methods[OPTION_COUNT] = {
	[OPTION_POOL] = ALL,
	[OPTION_KWARGS] = ALL,
	[OPTION_DETACH] = OPTIONS_APPLY_ASYNC | OPTIONS_MAP_ASYNC,
	[OPTION_CHUNKSIZE] = OPTIONS_MAP | OPTIONS_MAP_ASYNC,
	[OPTION_STAR] = OPTIONS_MAP | OPTIONS_MAP_ASYNC,
	[OPTION_ERRORS] = OPTIONS_MAP | OPTIONS_MAP_ASYNC,
	[OPTION_STREAM] = OPTIONS_MAP_ASYNC,
	[OPTION_PRIORITY] = ALL,
	[OPTION_RETRIES] = ALL,
	[OPTION_TIMEOUT] = ALL,
	[OPTION_EXPIRES] = ALL,
	[OPTION_PARENT] = ALL,
	[OPTION_PICKLE] = ALL,
};

#undef ALL

static const char *method_name(enum options_method method)
{
	switch (method) {
	case OPTIONS_APPLY:
		return "apply";
	case OPTIONS_APPLY_ASYNC:
		return "apply_async";
	case OPTIONS_MAP:
		return "map";
	case OPTIONS_MAP_ASYNC:
		return "map_async";
	}
	return "?";
}

static bool check_methods(const struct procpool_value values[OPTION_COUNT],
			  enum options_method method, struct problem *problem)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (values[i].size > 0 && !(option_methods[i] & method))
			return problem_set(problem, "%s takes no option '%s'", method_name(method),
					   options[i].name);
	return true;
}

static bool check_kwargs(struct procpool_value kwargs, struct problem *problem)
{
	struct procpool_iter it = procpool_iter(kwargs);
	struct procpool_value key, value;
	struct slice name;
	while (procpool_iter_next_pair(&it, &key, &value))
		if (!slice_of(key, &name))
			return problem_set(problem,
					   "a key of option 'kwargs' must be a string, not %s",
					   procpool_type_name(procpool_value_type(key)));
	return true;
}

static bool read_errors(struct procpool_value value, bool *ret_collect, struct problem *problem)
{
	struct slice errors;
	if (!slice_of(value, &errors))
		return true; /* not given */
	*ret_collect = slice_is(errors, "collect");
	if (!*ret_collect && !slice_is(errors, "raise"))
		return problem_set(problem,
				   "option 'errors' must be \"raise\" or \"collect\", not \"%s\"",
				   problem_quote(errors).text);
	return true;
}

static bool read_stream(struct procpool_value value, struct task_options *ret,
			struct problem *problem)
{
	struct slice form;
	if (value.size == 0 || procpool_value_bool(value, &ret->stream))
		return true;
	ret->stream = ret->values = slice_of(value, &form) && slice_is(form, "values");
	return ret->values || problem_set(problem, "option 'stream' must be a bool or \"values\"");
}

static bool read_priority(struct procpool_value value, int8_t *ret, struct problem *problem)
{
	int64_t n;
	if (!procpool_value_int(value, &n))
		return true; /* not given */
	if (n < TASK_PRIORITY_MIN || n > TASK_PRIORITY_MAX)
		return problem_set(problem, "option 'priority' must be an integer from %d to %d",
				   TASK_PRIORITY_MIN, TASK_PRIORITY_MAX);
	*ret = (int8_t)n;
	return true;
}

static bool read_pickle(struct procpool_value value, struct procpool_value *ret,
			struct problem *problem)
{
	bool is_true = false;
	enum procpool_type type = procpool_value_type(value);
	if (value.size > 0 && type != PROCPOOL_BYTES && !procpool_value_bool(value, &is_true))
		return problem_set(problem,
				   "option 'pickle' must be true, or a pickled callable (a bin), "
				   "not %s",
				   procpool_type_name(type));
	if (type == PROCPOOL_BYTES || is_true)
		*ret = value;
	return true;
}

bool task_options_parse(struct procpool_value map, enum options_method method, size_t name_max,
			struct task_options *ret, struct problem *problem)
{
	struct procpool_value values[OPTION_COUNT];

	*ret = (struct task_options){0};
	if (map.size == 0)
		return true;
	if (procpool_value_type(map) != PROCPOOL_MAP)
		return problem_set(problem, "the options must be a map, not %s",
				   procpool_type_name(procpool_value_type(map)));
	if (!params_read_map(map, "option", options, OPTION_COUNT, name_max, values, problem) ||
	    !check_methods(values, method, problem) ||
	    !check_kwargs(values[OPTION_KWARGS], problem) ||
	    !read_errors(values[OPTION_ERRORS], &ret->collect, problem) ||
	    !read_stream(values[OPTION_STREAM], ret, problem) ||
	    !read_priority(values[OPTION_PRIORITY], &ret->priority, problem) ||
	    !read_pickle(values[OPTION_PICKLE], &ret->pickle, problem))
		return false;

	slice_of(values[OPTION_POOL], &ret->pool);
	ret->kwargs = values[OPTION_KWARGS];
	procpool_value_uint(values[OPTION_CHUNKSIZE], &ret->chunksize);
	procpool_value_uint(values[OPTION_PARENT], &ret->parent);
	ret->expires = procpool_value_double(values[OPTION_EXPIRES], &ret->expires_seconds);
	procpool_value_uint(values[OPTION_RETRIES], &ret->retries);
	procpool_value_double(values[OPTION_TIMEOUT], &ret->timeout);
	procpool_value_bool(values[OPTION_DETACH], &ret->detach);
	procpool_value_bool(values[OPTION_STAR], &ret->star);
	if (ret->stream && ret->detach)
		return problem_set(problem, "option 'stream' cannot go with option 'detach'");
	return true;
}
