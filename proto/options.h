/* SPDX-License-Identifier: MIT */
/*
 * The options of apply, apply_async, map and map_async (PROTOCOL.md, "apply"). Adding one touches:
 * the table in options.c, struct task_options, PROTOCOL.md, a golden vector,
 * tests/unit/test_options.c.
 */
#pragma once

#include "proto/params.h"

enum options_method {
	OPTIONS_APPLY = 1,
	OPTIONS_APPLY_ASYNC = 2,
	OPTIONS_MAP = 4,
	OPTIONS_MAP_ASYNC = 8,
};

#define TASK_PRIORITY_MIN (-2)
#define TASK_PRIORITY_MAX 2

/* Borrowed from the message. All zero: no options. */
struct task_options {
	struct slice pool;            /* data NULL: not given */
	struct procpool_value kwargs; /* a map whose keys are strings; size 0: not given */
	struct procpool_value pickle; /* true or a bin; size 0: not given, or false */
	uint64_t chunksize;           /* elements; 0: not given */
	double timeout;               /* seconds; 0: not given */
	bool detach;
	bool star;
	bool collect; /* errors: "collect" */
	bool stream;
	bool values; /* stream: "values" */
	int8_t priority;
	uint64_t retries;
	bool expires;
	double expires_seconds;
	uint64_t parent; /* id of a job; 0: not given */
};

/*
 * Reads the options map of a method; a value of size 0 means that it was left out. False: *problem
 * says what is wrong and names the key; *ret is then undefined.
 */
bool task_options_parse(struct procpool_value map, enum options_method method, size_t name_max,
			struct task_options *ret, struct problem *problem);
