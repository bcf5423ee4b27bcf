/* SPDX-License-Identifier: MIT */
#include "io/administer.h"

#include <limits.h>

#include "core/control.h"
#include "core/core.h"
#include "io/about.h"
#include "io/call.h"
#include "io/log.h"
#include "io/peer.h"
#include "io/reload.h"
#include "io/server.h"

/* The pool that is the only param. NULL: answered. */
static struct pool *read_pool(struct call *call)
{
	static const struct param table[] = {{"pool", PARAM_STRING}};
	struct procpool_value params[1];
	return call_read_params(call, table, 1, 1, params)
		       ? call_find_pool(call, params[0], ACCESS_ADMINISTER)
		       : NULL;
}

/* Whoever reads the log of a pool that does nothing wants to know. */
static void log_order(const struct call *call, const struct pool *pool, const char *order)
{
	struct log_fields fields = about_call(call, pool);
	log_event(LOG_LEVEL_INFO, &fields, "pool %s: %s, as uid %u asked", fields.pool, order,
		  (unsigned)fields.uid);
}

void administer_recycle(struct call *call)
{
	struct outcome error;
	struct pool *pool = read_pool(call);
	if (!pool)
		return;
	if (core_recycle(call->core, call->session, call->msgid, pool, call->server->now_us,
			 &error))
		log_order(call, pool, "recycling");
	else
		call_answer_error(call, error);
}

void administer_reload(struct call *call)
{
	struct outcome error;
	if (call_no_params(call) && !reload_begin(call->server, call->session, call->msgid, &error))
		call_answer_error(call, error);
}

/* ---- how many workers ---- */

struct counts {
	uint64_t min, max;
};

/* A number, or {min, max} of which one may be missing. False: answered. */
static bool read_counts(struct call *call, struct procpool_value value, struct counts *counts)
{
	static const struct param keys[] = {{"min", PARAM_COUNT}, {"max", PARAM_COUNT}};
	struct procpool_value values[2];
	struct problem problem;
	if (procpool_value_uint(value, &counts->min)) {
		counts->max = counts->min;
	} else if (procpool_value_type(value) == PROCPOOL_MAP) {
		if (!call_read_map(call, value, "key", keys, 2, values))
			return false;
		procpool_value_uint(values[0], &counts->min);
		procpool_value_uint(values[1], &counts->max);
	} else {
		counts->min = 0;
	}
	if (counts->min >= 1 && counts->min <= counts->max && counts->max <= POOL_WORKERS_MAX)
		return true;
	problem_set(&problem,
		    "scale takes a number of workers from 1 to %d, or {min, max}, min not above "
		    "max",
		    POOL_WORKERS_MAX);
	call_answer_problem(call, &problem);
	return false;
}

void administer_scale(struct call *call)
{
	static const struct param table[] = {{"pool", PARAM_STRING}, {"workers", PARAM_ANY}};
	struct procpool_value params[2];
	struct outcome error;
	if (!call_read_params(call, table, 2, 2, params))
		return;
	struct pool *pool = call_find_pool(call, params[0], ACCESS_ADMINISTER);
	if (!pool)
		return;
	struct counts counts = {pool->min, pool->max};
	if (!read_counts(call, params[1], &counts))
		return;
	if (!control_scale(pool, (unsigned)counts.min, (unsigned)counts.max, call->server->now_us,
			   &error)) {
		call_answer_error(call, error);
		return;
	}
	struct log_fields fields = about_call(call, pool);
	log_event(LOG_LEVEL_INFO, &fields, "pool %s: %u to %u workers, as uid %u asked",
		  fields.pool, pool->min, pool->max, (unsigned)fields.uid);
	struct procpool_writer *w = call_begin_answer(call);
	procpool_write_map(w, 3);
	procpool_write_string(w, "pool");
	procpool_write_string(w, pool->spec->name);
	procpool_write_string(w, "min");
	procpool_write_uint(w, pool->min);
	procpool_write_string(w, "max");
	procpool_write_uint(w, pool->max);
	peer_written(call->peer);
}

/* ---- pausing and draining ---- */

void administer_pause(struct call *call)
{
	struct outcome error;
	struct pool *pool = read_pool(call);
	if (!pool)
		return;
	if (!control_pause(pool, call->server->now_us, &error)) {
		call_answer_error(call, error);
		return;
	}
	log_order(call, pool, "paused");
	call_answer_nil(call);
}

void administer_resume(struct call *call)
{
	struct outcome error;
	struct pool *pool = read_pool(call);
	if (!pool)
		return;
	if (!control_resume(pool, &error)) {
		call_answer_error(call, error);
		return;
	}
	log_order(call, pool, "resumed");
	call_answer_nil(call);
}

void administer_drain(struct call *call)
{
	static const struct param table[] = {{"pool", PARAM_STRING}, {"seconds", PARAM_SECONDS}};
	struct procpool_value params[2];
	struct outcome error;
	if (!call_read_params(call, table, 1, 2, params))
		return;
	struct pool *pool = call_find_pool(call, params[0], ACCESS_ADMINISTER);
	if (!pool)
		return;
	log_order(call, pool, "draining");
	if (!control_drain(call->session, call->msgid, pool, call_until(call, params[1]),
			   call->server->now_us, &error))
		call_answer_error(call, error);
}

/* ---- workers ---- */

void administer_kill(struct call *call)
{
	static const struct param table[] = {{"pid", PARAM_COUNT}};
	struct procpool_value params[1];
	struct problem problem;
	uint64_t pid = 0;
	if (!call_read_params(call, table, 1, 1, params))
		return;
	procpool_value_uint(params[0], &pid);
	struct worker *worker = NULL;
	if (pid <= INT_MAX)
		worker = control_find_worker(call->core, call->session, (pid_t)pid);
	if (!worker) {
		problem_set(&problem, "no worker has the pid %llu; the method workers lists them",
			    (unsigned long long)pid);
		call_answer_problem(call, &problem);
		return;
	}
	if (!(pool_rights(worker->pool, call->session) & ACCESS_ADMINISTER)) {
		call_answer_error(
			call, error_denied_in_pool(worker->pool->spec->name, ACCESS_ADMINISTER));
		return;
	}
	struct log_fields fields = about_call(call, worker->pool);
	fields.worker = worker->number;
	fields.pid = worker->pid;
	log_event(LOG_LEVEL_INFO, &fields,
		  "pool %s: worker %u (pid %ld) is killed, as uid %u asked", fields.pool,
		  fields.worker, (long)fields.pid, (unsigned)fields.uid);
	control_kill(worker, call->server->now_us);
	struct procpool_writer *w = call_begin_answer(call);
	procpool_write_map(w, 3);
	procpool_write_string(w, "pool");
	procpool_write_string(w, worker->pool->spec->name);
	procpool_write_string(w, "worker");
	procpool_write_uint(w, worker->number);
	procpool_write_string(w, "pid");
	procpool_write_uint(w, pid);
	peer_written(call->peer);
}
