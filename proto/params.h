/* SPDX-License-Identifier: MIT */
/*
 * Reading what a method is given: positional params, and maps whose keys are known. Both are driven
 * by const tables, allocate nothing and report the first mistake as a problem that names it.
 */
#pragma once

#include <stdint.h>

#include "proto/problem.h"

enum param_type {
	PARAM_ANY,
	PARAM_BOOL,
	PARAM_STRING,   /* str or bin, at most name_max bytes */
	PARAM_COUNT,    /* an integer, 1 or more */
	PARAM_UINT,     /* an integer, 0 or more */
	PARAM_INT,      /* any integer from -2^63 to 2^63-1 */
	PARAM_JOB,      /* a job id: 1 to 2^53-1 */
	PARAM_SECONDS,  /* a number, finite, not negative; or nil for no limit */
	PARAM_DELAY,    /* a number of seconds, finite, not negative */
	PARAM_DURATION, /* a number of seconds, finite and more than 0 */
	PARAM_ARRAY,
	PARAM_MAP,
};

struct param {
	const char *name;
	enum param_type type;
};

#define PARAM_JOB_MAX  ((UINT64_C(1) << 53) - 1)
#define PARAM_KEYS_MAX 32U /* keys in one table */

/*
 * Positional params: `min` to `max` values of the types in the table, of which params[i] is row i.
 * The rest of ret[max] is set to values of size 0. Nil is a value of PARAM_ANY and PARAM_SECONDS
 * only.
 */
bool params_read(struct procpool_value params, const struct param *table, size_t min, size_t max,
		 size_t name_max, struct procpool_value *ret, struct problem *problem);

/*
 * A map with the keys of the table, each at most once: ret[i] is the value of row i, or of size 0.
 * A map of size 0 (a param left out) has no keys. `what` names the map in the problem ("option").
 */
bool params_read_map(struct procpool_value map, const char *what, const struct param *table,
		     size_t count, size_t name_max, struct procpool_value *ret,
		     struct problem *problem);

/* Whether the value is of the type. `what` and `name` name it in the problem. */
bool params_check(struct procpool_value value, enum param_type type, size_t name_max,
		  const char *what, const char *name, struct problem *problem);
