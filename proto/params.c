/* SPDX-License-Identifier: MIT */
#include "proto/params.h"

#include <assert.h>
#include <math.h>

static const char *const type_names[] = {
	[PARAM_ANY] = "a value",
	[PARAM_BOOL] = "a bool",
	[PARAM_STRING] = "a string",
	[PARAM_COUNT] = "an integer, 1 or more",
	[PARAM_UINT] = "an integer, 0 or more",
	[PARAM_INT] = "an integer",
	[PARAM_JOB] = "a job id, an integer from 1 to 9007199254740991",
	[PARAM_SECONDS] = "a number of seconds, finite and not negative, or nil",
	[PARAM_DELAY] = "a number of seconds, finite and not negative",
	[PARAM_DURATION] = "a number of seconds, finite and more than 0",
	[PARAM_ARRAY] = "an array",
	[PARAM_MAP] = "a map",
};

static bool fits(struct procpool_value value, enum param_type type)
{
	enum procpool_type is = procpool_value_type(value);
	uint64_t n;
	int64_t i;
	double seconds;

	switch (type) {
	case PARAM_ANY:
		return is != PROCPOOL_NONE;
	case PARAM_BOOL:
		return is == PROCPOOL_BOOL;
	case PARAM_STRING:
		return is == PROCPOOL_STRING || is == PROCPOOL_BYTES;
	case PARAM_COUNT:
		return procpool_value_uint(value, &n) && n >= 1;
	case PARAM_UINT:
		return procpool_value_uint(value, &n);
	case PARAM_INT:
		return procpool_value_int(value, &i);
	case PARAM_JOB:
		return procpool_value_uint(value, &n) && n >= 1 && n <= PARAM_JOB_MAX;
	case PARAM_SECONDS:
		return is == PROCPOOL_NIL || (procpool_value_double(value, &seconds) &&
					      isfinite(seconds) && seconds >= 0);
	case PARAM_DURATION:
		return procpool_value_double(value, &seconds) && isfinite(seconds) && seconds > 0;
	case PARAM_DELAY:
		return is != PROCPOOL_NIL && fits(value, PARAM_SECONDS);
	case PARAM_ARRAY:
		return is == PROCPOOL_ARRAY;
	case PARAM_MAP:
		return is == PROCPOOL_MAP;
	}
	return false;
}

bool params_check(struct procpool_value value, enum param_type type, size_t name_max,
		  const char *what, const char *name, struct problem *problem)
{
	struct slice text;
	if (!fits(value, type))
		return problem_set(problem, "%s '%s' must be %s", what, name, type_names[type]);
	if (type == PARAM_STRING && slice_of(value, &text) && text.size > name_max)
		return problem_set(problem, "%s '%s' is longer than %zu bytes", what, name,
				   name_max);
	return true;
}

bool params_read(struct procpool_value params, const struct param *table, size_t min, size_t max,
		 size_t name_max, struct procpool_value *ret, struct problem *problem)
{
	size_t count = procpool_value_count(params);
	if (count > max)
		return problem_set(problem, "%zu params are too many, at most %zu are taken", count,
				   max);
	if (count < min)
		return problem_set(problem, "param '%s' is missing", table[count].name);

	struct procpool_iter it = procpool_iter(params);
	for (size_t i = 0; i < max; i++) {
		ret[i] = (struct procpool_value){0};
		if (procpool_iter_next(&it, &ret[i]) &&
		    !params_check(ret[i], table[i].type, name_max, "param", table[i].name, problem))
			return false;
	}
	return true;
}

static size_t find(const struct param *table, size_t count, struct slice key)
{
	size_t i = 0;
	while (i < count && !slice_is(key, table[i].name))
		i++;
	return i;
}

bool params_read_map(struct procpool_value map, const char *what, const struct param *table,
		     size_t count, size_t name_max, struct procpool_value *ret,
		     struct problem *problem)
{
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	struct slice name;

	assert(count <= PARAM_KEYS_MAX);
	memset(ret, 0, count * sizeof(*ret));
	while (procpool_iter_next_pair(&it, &key, &value)) {
		if (!slice_of(key, &name))
			return problem_set(problem, "a key of type %s is no %s",
					   procpool_type_name(procpool_value_type(key)), what);
		size_t i = find(table, count, name);
		if (i == count)
			return problem_set(problem, "unknown %s '%s'", what,
					   problem_quote(name).text);
		if (ret[i].size > 0)
			return problem_set(problem, "%s '%s' is given twice", what, table[i].name);
		if (!params_check(value, table[i].type, name_max, what, table[i].name, problem))
			return false;
		ret[i] = value;
	}
	return true;
}
