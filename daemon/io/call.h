/* SPDX-License-Identifier: MIT */
/*
 * One call of a client while it is handled: what its handler reads the params with, and answers
 * with. A call is answered once, by its handler or later by the core. What reads returns false, or
 * NULL, when it has answered what is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/access.h"
#include "core/outcome.h"
#include "proto/params.h"

struct blob;
struct core;
struct peer;
struct server;
struct session;

/* Who gives longer waits for ever; as microseconds they still have to be counted. */
#define SECONDS_MAX 1e9

struct call {
	struct peer *peer;
	struct server *server;
	struct core *core;
	struct session *session;
	uint32_t msgid;
	struct procpool_value params;
	struct blob *blob; /* what its bytes lie in, or NULL: borrowed */
};

/* Answers bad-request. */
void call_answer_problem(struct call *call, const struct problem *problem);
/* Takes the outcome over. */
void call_answer_error(struct call *call, struct outcome error);
void call_answer_nil(struct call *call);
/* Followed by the caller writing one value, and peer_written(). */
struct procpool_writer *call_begin_answer(struct call *call);

/* As params_read() and params_read_map() do. */
bool call_read_params(struct call *call, const struct param *table, size_t min, size_t max,
		      struct procpool_value *ret);
bool call_read_map(struct call *call, struct procpool_value map, const char *what,
		   const struct param *table, size_t count, struct procpool_value *ret);
bool call_no_params(struct call *call);

/* The text of a value that was found to be a string. */
struct slice call_text(struct procpool_value value);

/* When a wait is over whose seconds are a value of PARAM_SECONDS: TIME_NEVER where there is none.
 */
uint64_t call_until(const struct call *call, struct procpool_value seconds);

/* The job named by a value of type PARAM_JOB, to which the session has that right
 * (core_find_job()); the pool named by one of PARAM_STRING, in which it has one of these. */
struct job *call_find_job(struct call *call, struct procpool_value value, enum access_right right);
struct pool *call_find_pool(struct call *call, struct procpool_value value, unsigned rights);
