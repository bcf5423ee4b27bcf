/* SPDX-License-Identifier: MIT */
/*
 * Adding a method touches: the table at the end, PROTOCOL.md, a golden vector, tests/conformance,
 * ppctl where it makes sense, and its man page.
 */
#include "io/requests.h"

#include <stdlib.h>
#include <string.h>

#include "io/administer.h"
#include "io/call.h"
#include "io/observe.h"
#include "io/peer.h"
#include "io/pool_requests.h"
#include "io/rights.h"
#include "io/server.h"
#include "proto/options.h"
#include "proto/request.h"

/* ---- calling functions ---- */

/* At least a microsecond; 0: none, or so long that it is none. */
static uint64_t seconds_to_us(double seconds)
{
	if (!(seconds > 0) || seconds >= SECONDS_MAX)
		return 0;
	uint64_t us = (uint64_t)(seconds * 1e6);
	return us > 0 ? us : 1;
}

static void submit(struct call *call, enum options_method method)
{
	bool is_map = method == OPTIONS_MAP || method == OPTIONS_MAP_ASYNC;
	bool async = method == OPTIONS_APPLY_ASYNC || method == OPTIONS_MAP_ASYNC;
	const struct param table[] = {{"func", PARAM_STRING},
				      {is_map ? "items" : "args", PARAM_ARRAY},
				      {"opts", PARAM_MAP}};
	struct procpool_value params[3];
	struct task_options options;
	struct problem problem;
	if (!call_read_params(call, table, 2, 3, params))
		return;
	if (!task_options_parse(params[2], method, call->core->limits.name_bytes, &options,
				&problem)) {
		call_answer_problem(call, &problem);
		return;
	}
	if (options.retries > call->core->limits.retries_max) {
		problem_set(&problem, "option 'retries' is at most retries_max (%llu)",
			    (unsigned long long)call->core->limits.retries_max);
		call_answer_problem(call, &problem);
		return;
	}
	struct slice function = call_text(params[0]);
	struct submission submission = {
		.is_map = is_map,
		.async = async,
		.msgid = call->msgid,
		.function = function.data,
		.function_size = function.size,
		.pool = options.pool.data,
		.pool_size = options.pool.size,
		.message = {call->blob, NULL, 0},
		.args = params[1],
		.kwargs = options.kwargs,
		.pickle = options.pickle,
		.chunksize =
			options.chunksize < UINT32_MAX ? (uint32_t)options.chunksize : UINT32_MAX,
		.timeout_us = seconds_to_us(options.timeout),
		.star = options.star,
		.collect = options.collect,
		.stream = options.stream,
		.values = options.values,
		.detach = options.detach,
		.priority = options.priority,
		.retries = (uint32_t)options.retries,
		.parent = options.parent,
		.expires = options.expires && options.expires_seconds < SECONDS_MAX,
	};
	if (submission.expires)
		submission.expires_us = (uint64_t)(options.expires_seconds * 1e6);
	struct outcome error;
	uint64_t id =
		core_submit(call->core, call->session, &submission, call->server->now_us, &error);
	if (id == 0) {
		call_answer_error(call, error);
	} else if (async) {
		/* Actions are executed after this, so the id comes before any push. */
		procpool_write_uint(call_begin_answer(call), id);
		peer_written(call->peer);
	}
}

static void handle_apply(struct call *call)
{
	submit(call, OPTIONS_APPLY);
}

static void handle_apply_async(struct call *call)
{
	submit(call, OPTIONS_APPLY_ASYNC);
}

static void handle_map(struct call *call)
{
	submit(call, OPTIONS_MAP);
}

static void handle_map_async(struct call *call)
{
	submit(call, OPTIONS_MAP_ASYNC);
}

/* ---- jobs ---- */

static void wait_for(struct call *call, struct job *job, uint64_t until_us)
{
	struct outcome error;
	if (!core_wait(call->core, call->session, call->msgid, job, until_us, call->server->now_us,
		       &error))
		call_answer_error(call, error);
}

static void handle_wait(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}, {"seconds", PARAM_SECONDS}};
	struct procpool_value params[2];
	if (!call_read_params(call, table, 1, 2, params))
		return;
	struct job *job = call_find_job(call, params[0], ACCESS_ADMINISTER);
	if (job)
		wait_for(call, job, call_until(call, params[1]));
}

static void handle_result(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}};
	struct procpool_value params[1];
	if (!call_read_params(call, table, 1, 1, params))
		return;
	struct job *job = call_find_job(call, params[0], ACCESS_ADMINISTER);
	if (job)
		wait_for(call, job, 0);
}

/* What cancel names: a job id, or {request: msgid}. NULL: answered. */
static struct job *find_cancelled(struct call *call, struct procpool_value what)
{
	static const struct param table[] = {{"request", PARAM_INT}};
	static const struct param job_table[] = {{"job", PARAM_JOB}};
	struct procpool_value values[1];
	if (procpool_value_type(what) != PROCPOOL_MAP)
		return call_read_params(call, job_table, 1, 1, values)
			       ? call_find_job(call, values[0], ACCESS_ADMINISTER)
			       : NULL;
	int64_t msgid;
	struct problem problem;
	struct outcome error;
	if (!call_read_map(call, what, "key", table, 1, values))
		return NULL;
	if (!procpool_value_int(values[0], &msgid) || msgid < 0 || msgid > UINT32_MAX) {
		problem_set(&problem,
			    "cancel takes a job id or {request: msgid}, a msgid from 0 to 2^32-1");
		call_answer_problem(call, &problem);
		return NULL;
	}
	struct job *job = core_find_request(call->session, (uint32_t)msgid, &error);
	if (!job)
		call_answer_error(call, error);
	return job;
}

static void handle_cancel(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_ANY}};
	struct procpool_value params[1];
	if (!call_read_params(call, table, 1, 1, params))
		return;
	struct job *job = find_cancelled(call, params[0]);
	if (!job)
		return;
	struct cancellation done = core_cancel(call->core, job, call->server->now_us);
	struct procpool_writer *w = call_begin_answer(call);
	procpool_write_map(w, 5);
	procpool_write_string(w, "job");
	procpool_write_uint(w, done.job_id);
	procpool_write_string(w, "cancelled");
	procpool_write_bool(w, done.cancelled);
	procpool_write_string(w, "state");
	procpool_write_string(w, job_state_name(done.state));
	procpool_write_string(w, "begun");
	procpool_write_uint(w, done.begun);
	procpool_write_string(w, "running");
	procpool_write_uint(w, done.running);
	peer_written(call->peer);
}

static void handle_job(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}};
	struct procpool_value params[1];
	if (!call_read_params(call, table, 1, 1, params))
		return;
	struct job *job = call_find_job(call, params[0], ACCESS_OBSERVE);
	if (!job)
		return;
	observe_job(call->core, call->session, job, call_begin_answer(call));
	peer_written(call->peer);
}

static bool is_job_state(struct slice name)
{
	for (int state = 0; state < JOB_STATE_COUNT; state++)
		if (slice_is(name, job_state_name((enum job_state)state)))
			return true;
	return false;
}

static void handle_jobs(struct call *call)
{
	static const struct param table[] = {{"filter", PARAM_MAP}};
	static const struct param keys[] = {{"limit", PARAM_COUNT},
					    {"after", PARAM_INT},
					    {"state", PARAM_STRING},
					    {"pool", PARAM_STRING}};
	struct procpool_value params[1], values[4];
	uint64_t page = call->core->limits.jobs_page;
	struct observe_jobs_filter filter = {.limit = page < 100 ? page : 100};
	struct problem problem;
	if (!call_read_params(call, table, 0, 1, params) ||
	    !call_read_map(call, params[0], "key", keys, 4, values))
		return;
	procpool_value_uint(values[0], &filter.limit);
	if (filter.limit > page) {
		problem_set(&problem, "limit is at most jobs_page (%llu): page with after",
			    (unsigned long long)page);
		call_answer_problem(call, &problem);
		return;
	}
	if (values[1].size > 0 &&
	    (!procpool_value_uint(values[1], &filter.after) || filter.after > PARAM_JOB_MAX)) {
		problem_set(&problem, "after is a job id, or 0");
		call_answer_problem(call, &problem);
		return;
	}
	struct slice state = call_text(values[2]), pool = call_text(values[3]);
	if (state.data && !is_job_state(state)) {
		problem_set(&problem,
			    "state is waiting, running, done, failed or cancelled, not %s",
			    problem_quote(state).text);
		call_answer_problem(call, &problem);
		return;
	}
	filter.state = state.data;
	filter.state_size = state.size;
	filter.pool = pool.data;
	filter.pool_size = pool.size;
	observe_jobs(call->server, call->session, &filter, call_begin_answer(call));
	peer_written(call->peer);
}

/* ---- subscriptions ---- */

/* {job: id}, {pool: name} or {}. False: answered. */
static bool read_what(struct call *call, struct job **ret_job, struct pool **ret_pool)
{
	static const struct param table[] = {{"what", PARAM_MAP}};
	static const struct param keys[] = {{"job", PARAM_JOB}, {"pool", PARAM_STRING}};
	struct procpool_value params[1], values[2];
	struct problem problem;
	*ret_job = NULL;
	*ret_pool = NULL;
	if (!call_read_params(call, table, 1, 1, params) ||
	    !call_read_map(call, params[0], "key", keys, 2, values))
		return false;
	if (values[0].size > 0 && values[1].size > 0) {
		problem_set(&problem, "subscribe to a job or to a pool, not to both in one");
		call_answer_problem(call, &problem);
		return false;
	}
	if (values[0].size > 0)
		return (*ret_job = call_find_job(call, values[0], ACCESS_OBSERVE));
	if (values[1].size > 0)
		return (*ret_pool = call_find_pool(call, values[1], ACCESS_ALL));
	return true;
}

static void handle_subscribe(struct call *call)
{
	struct job *job;
	struct pool *pool;
	struct outcome error;
	if (!read_what(call, &job, &pool))
		return;
	if (!core_subscribe(call->core, call->session, job, pool, &error)) {
		call_answer_error(call, error);
		return;
	}
	call_answer_nil(call);
}

static void handle_unsubscribe(struct call *call)
{
	struct job *job;
	struct pool *pool;
	if (!read_what(call, &job, &pool))
		return;
	procpool_write_bool(call_begin_answer(call),
			    core_unsubscribe(call->core, call->session, job, pool));
	peer_written(call->peer);
}

/* ---- the rest ---- */

/* Reads the map of hello. False: answered. */
static bool read_hello(struct call *call)
{
	static const struct param table[] = {{"client", PARAM_MAP}};
	static const struct param keys[] = {
		{"client", PARAM_STRING}, {"version", PARAM_STRING}, {"errors", PARAM_STRING}};
	struct procpool_value params[1], values[3];
	struct problem problem;
	if (!call_read_params(call, table, 0, 1, params) ||
	    !call_read_map(call, params[0], "key", keys, 3, values))
		return false;
	struct slice client = call_text(values[0]), errors = call_text(values[2]);
	if (errors.data && !slice_is(errors, "text") && !slice_is(errors, "map")) {
		problem_set(&problem, "errors is \"map\" or \"text\", not %s",
			    problem_quote(errors).text);
		call_answer_problem(call, &problem);
		return false;
	}
	if (errors.data)
		call->peer->error_form =
			slice_is(errors, "text") ? ERROR_FORM_TEXT : ERROR_FORM_MAP;
	if (client.data) {
		free(call->session->client);
		call->session->client = strndup(client.data, client.size);
	}
	return true;
}

static void handle_hello(struct call *call)
{
	if (!read_hello(call))
		return;
	const struct limits *limits = &call->core->limits;
	struct procpool_writer *w = call_begin_answer(call);
	procpool_write_map(w, 6);
	procpool_write_string(w, "server");
	procpool_write_string(w, "procpoold");
	procpool_write_string(w, "version");
	procpool_write_string(w, PROCPOOL_VERSION);
	procpool_write_string(w, "protocol");
	procpool_write_uint(w, PROTOCOL_VERSION);
	procpool_write_string(w, "session");
	procpool_write_uint(w, call->session->id);
	procpool_write_string(w, "rights");
	rights_write(w, session_rights(call->session));
	procpool_write_string(w, "limits");
#define X(name, value, text) +1
	procpool_write_map(w, PROTO_LIMITS(X));
#undef X
#define X(name, value, text)                                                                       \
	procpool_write_string(w, #name);                                                           \
	procpool_write_uint(w, limits->name);
	PROTO_LIMITS(X)
#undef X
	peer_written(call->peer);
}

static void handle_ping(struct call *call)
{
	if (!call_no_params(call))
		return;
	procpool_write_string(call_begin_answer(call), "pong");
	peer_written(call->peer);
}

static void handle_pools(struct call *call)
{
	if (!call_no_params(call))
		return;
	observe_pools(call->server, call->session, call_begin_answer(call));
	peer_written(call->peer);
}

static void handle_workers(struct call *call)
{
	if (!call_no_params(call))
		return;
	observe_workers(call->server, call->session, call_begin_answer(call));
	peer_written(call->peer);
}

static void handle_functions(struct call *call)
{
	static const struct param table[] = {{"filter", PARAM_MAP}};
	static const struct param keys[] = {{"pool", PARAM_STRING}};
	struct procpool_value params[1], values[1];
	struct pool *pool = NULL;
	if (!call_read_params(call, table, 0, 1, params) ||
	    !call_read_map(call, params[0], "key", keys, 1, values))
		return;
	if (values[0].size > 0 && !(pool = call_find_pool(call, values[0], ACCESS_ALL)))
		return;
	observe_functions(call->server, call->session, pool, call_begin_answer(call));
	peer_written(call->peer);
}

static void handle_stats(struct call *call)
{
	if (!call_no_params(call))
		return;
	observe_stats(call->server, call_begin_answer(call));
	peer_written(call->peer);
}

/* rights: one of which is needed to call it (io/rights.h). */
static const struct {
	const char *name;
	unsigned rights;
	void (*handle)(struct call *call);
} methods[] = {
	{"apply", RIGHT_CALL, handle_apply},
	{"apply_async", RIGHT_CALL, handle_apply_async},
	{"map", RIGHT_CALL, handle_map},
	{"map_async", RIGHT_CALL, handle_map_async},
	{"wait", RIGHT_CALL | RIGHT_ADMINISTER, handle_wait},
	{"result", RIGHT_CALL | RIGHT_ADMINISTER, handle_result},
	{"cancel", RIGHT_CALL | RIGHT_ADMINISTER, handle_cancel},
	{"job", RIGHT_CALL | RIGHT_OBSERVE, handle_job},
	{"jobs", RIGHT_CALL | RIGHT_OBSERVE, handle_jobs},
	{"subscribe", RIGHT_CALL | RIGHT_OBSERVE, handle_subscribe},
	{"unsubscribe", RIGHT_CALL | RIGHT_OBSERVE, handle_unsubscribe},
	{"hello", RIGHT_ANY, handle_hello},
	{"ping", RIGHT_ANY, handle_ping},
	{"pools", RIGHT_ANY, handle_pools},
	{"workers", RIGHT_OBSERVE, handle_workers},
	{"functions", RIGHT_ANY, handle_functions},
	{"stats", RIGHT_OBSERVE, handle_stats},
	{"open", RIGHT_OPEN, pool_handle_open},
	{"close", RIGHT_OPEN, pool_handle_close},
	{"join", RIGHT_OPEN, pool_handle_join},
	{"terminate", RIGHT_OPEN, pool_handle_terminate},
	{"recycle", RIGHT_ADMINISTER, administer_recycle},
	{"reload", RIGHT_ADMINISTER_DAEMON, administer_reload},
	{"scale", RIGHT_ADMINISTER, administer_scale},
	{"pause", RIGHT_ADMINISTER, administer_pause},
	{"resume", RIGHT_ADMINISTER, administer_resume},
	{"drain", RIGHT_ADMINISTER, administer_drain},
	{"kill", RIGHT_ADMINISTER, administer_kill},
};

void requests_handle(struct peer *peer, const struct request *request, struct blob *blob)
{
	struct call call = {
		.peer = peer,
		.server = peer->server,
		.core = &peer->server->core,
		.session = peer->session,
		.msgid = request->msgid,
		.params = request->params,
		.blob = blob,
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!slice_is(request->method, methods[i].name))
			continue;
		if (rights_of(call.core, call.session) & methods[i].rights)
			methods[i].handle(&call);
		else
			call_answer_error(&call, rights_denied(methods[i].name, methods[i].rights));
		return;
	}
	call_answer_error(&call, error_outcome(ERR_UNKNOWN_METHOD, "there is no method %s",
					       problem_quote(request->method).text));
}
