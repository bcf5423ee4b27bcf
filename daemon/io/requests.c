/* SPDX-License-Identifier: MIT */
/*
 * Adding a method touches: the table at the end, PROTOCOL.md, a golden vector, tests/conformance,
 * ppctl where it makes sense, and its man page.
 */
#include "io/requests.h"

#include <stdlib.h>
#include <string.h>

#include "io/observe.h"
#include "io/peer.h"
#include "io/server.h"
#include "proto/options.h"
#include "proto/params.h"
#include "proto/request.h"

/* One call while it is handled. */
struct call {
	struct peer *peer;
	struct server *server;
	struct core *core;
	struct session *session;
	uint32_t msgid;
	struct procpool_value params;
	struct blob *blob;
};

typedef void (*handle_fn)(struct call *call);

/* ---- answers ---- */

static void answer_problem(struct call *call, const struct problem *problem)
{
	reply_error(peer_writer(call->peer), call->msgid, call->peer->error_form, ERR_BAD_REQUEST,
		    problem->text);
	peer_written(call->peer);
}

/* Takes the outcome over. */
static void answer_error(struct call *call, struct outcome error)
{
	reply_error_value(peer_writer(call->peer), call->msgid, call->peer->error_form,
			  span_value(error.value));
	peer_written(call->peer);
	outcome_fini(&error);
}

/* Followed by the caller writing one value, and peer_written(). */
static struct procpool_writer *begin_answer(struct call *call)
{
	struct procpool_writer *w = peer_writer(call->peer);
	reply_begin_result(w, call->msgid);
	return w;
}

static bool read_params(struct call *call, const struct param *table, size_t min, size_t max,
			struct procpool_value *ret)
{
	struct problem problem;
	if (params_read(call->params, table, min, max, call->core->limits.name_bytes, ret,
			&problem))
		return true;
	answer_problem(call, &problem);
	return false;
}

static bool read_map(struct call *call, struct procpool_value map, const char *what,
		     const struct param *table, size_t count, struct procpool_value *ret)
{
	struct problem problem;
	if (params_read_map(map, what, table, count, call->core->limits.name_bytes, ret, &problem))
		return true;
	answer_problem(call, &problem);
	return false;
}

static bool no_params(struct call *call)
{
	struct procpool_value none[1];
	return read_params(call, NULL, 0, 0, none);
}

/* The text of a value that params_read() found to be a string. */
static struct slice text_of(struct procpool_value value)
{
	struct slice text = {0};
	slice_of(value, &text);
	return text;
}

/* A job named by a params value of type PARAM_JOB; NULL: answered. */
static struct job *find_job(struct call *call, struct procpool_value value)
{
	uint64_t id = 0;
	struct outcome error;
	procpool_value_uint(value, &id);
	struct job *job = core_find_job(call->core, call->session, id, &error);
	if (!job)
		answer_error(call, error);
	return job;
}

static struct pool *find_pool(struct call *call, struct procpool_value value)
{
	struct slice name = text_of(value);
	struct pool *pool = core_find_pool(call->core, name.data, name.size);
	if (!pool)
		answer_error(
			call,
			error_outcome(ERR_NO_SUCH_POOL,
				      "there is no pool %s; the method pools lists those there are",
				      problem_quote(name).text));
	return pool;
}

/* ---- calling functions ---- */

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
	if (!read_params(call, table, 2, 3, params))
		return;
	if (!task_options_parse(params[2], method, call->core->limits.name_bytes, &options,
				&problem)) {
		answer_problem(call, &problem);
		return;
	}
	if (options.retries > call->core->limits.retries_max) {
		problem_set(&problem, "option 'retries' is at most retries_max (%llu)",
			    (unsigned long long)call->core->limits.retries_max);
		answer_problem(call, &problem);
		return;
	}
	struct slice function = text_of(params[0]);
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
		.chunksize =
			options.chunksize < UINT32_MAX ? (uint32_t)options.chunksize : UINT32_MAX,
		.star = options.star,
		.collect = options.collect,
		.stream = options.stream,
		.detach = options.detach,
		.priority = options.priority,
		.retries = (uint32_t)options.retries,
	};
	struct outcome error;
	uint64_t id =
		core_submit(call->core, call->session, &submission, call->server->now_us, &error);
	if (id == 0) {
		answer_error(call, error);
	} else if (async) {
		/* Actions are executed after this, so the id comes before any push. */
		procpool_write_uint(begin_answer(call), id);
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
		answer_error(call, error);
}

static void handle_wait(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}, {"seconds", PARAM_SECONDS}};
	const double seconds_max = 1e9;
	struct procpool_value params[2];
	double seconds;
	uint64_t until_us = TIME_NEVER;
	if (!read_params(call, table, 1, 2, params))
		return;
	struct job *job = find_job(call, params[0]);
	if (!job)
		return;
	if (procpool_value_double(params[1], &seconds) && seconds < seconds_max)
		until_us = call->server->now_us + (uint64_t)(seconds * 1e6);
	wait_for(call, job, until_us);
}

static void handle_result(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}};
	struct procpool_value params[1];
	if (!read_params(call, table, 1, 1, params))
		return;
	struct job *job = find_job(call, params[0]);
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
		return read_params(call, job_table, 1, 1, values) ? find_job(call, values[0])
								  : NULL;
	int64_t msgid;
	struct problem problem;
	struct outcome error;
	if (!read_map(call, what, "key", table, 1, values))
		return NULL;
	if (!procpool_value_int(values[0], &msgid) || msgid < 0 || msgid > UINT32_MAX) {
		problem_set(&problem,
			    "cancel takes a job id or {request: msgid}, a msgid from 0 to 2^32-1");
		answer_problem(call, &problem);
		return NULL;
	}
	struct job *job = core_find_request(call->session, (uint32_t)msgid, &error);
	if (!job)
		answer_error(call, error);
	return job;
}

static void handle_cancel(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_ANY}};
	struct procpool_value params[1];
	if (!read_params(call, table, 1, 1, params))
		return;
	struct job *job = find_cancelled(call, params[0]);
	if (!job)
		return;
	struct cancellation done = core_cancel(call->core, job, call->server->now_us);
	struct procpool_writer *w = begin_answer(call);
	procpool_write_map(w, 4);
	procpool_write_string(w, "job");
	procpool_write_uint(w, done.job_id);
	procpool_write_string(w, "cancelled");
	procpool_write_bool(w, done.cancelled);
	procpool_write_string(w, "state");
	procpool_write_string(w, job_state_name(done.state));
	procpool_write_string(w, "begun");
	procpool_write_uint(w, done.begun);
	peer_written(call->peer);
}

static void handle_job(struct call *call)
{
	static const struct param table[] = {{"job", PARAM_JOB}};
	struct procpool_value params[1];
	if (!read_params(call, table, 1, 1, params))
		return;
	struct job *job = find_job(call, params[0]);
	if (!job)
		return;
	observe_job(job, begin_answer(call));
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
	if (!read_params(call, table, 0, 1, params) ||
	    !read_map(call, params[0], "key", keys, 4, values))
		return;
	procpool_value_uint(values[0], &filter.limit);
	if (filter.limit > page) {
		problem_set(&problem, "limit is at most jobs_page (%llu): page with after",
			    (unsigned long long)page);
		answer_problem(call, &problem);
		return;
	}
	if (values[1].size > 0 &&
	    (!procpool_value_uint(values[1], &filter.after) || filter.after > PARAM_JOB_MAX)) {
		problem_set(&problem, "after is a job id, or 0");
		answer_problem(call, &problem);
		return;
	}
	struct slice state = text_of(values[2]), pool = text_of(values[3]);
	if (state.data && !is_job_state(state)) {
		problem_set(&problem,
			    "state is waiting, running, done, failed or cancelled, not %s",
			    problem_quote(state).text);
		answer_problem(call, &problem);
		return;
	}
	filter.state = state.data;
	filter.state_size = state.size;
	filter.pool = pool.data;
	filter.pool_size = pool.size;
	observe_jobs(call->server, call->session, &filter, begin_answer(call));
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
	if (!read_params(call, table, 1, 1, params) ||
	    !read_map(call, params[0], "key", keys, 2, values))
		return false;
	if (values[0].size > 0 && values[1].size > 0) {
		problem_set(&problem, "subscribe to a job or to a pool, not to both in one");
		answer_problem(call, &problem);
		return false;
	}
	if (values[0].size > 0)
		return (*ret_job = find_job(call, values[0]));
	if (values[1].size > 0)
		return (*ret_pool = find_pool(call, values[1]));
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
		answer_error(call, error);
		return;
	}
	procpool_write_nil(begin_answer(call));
	peer_written(call->peer);
}

static void handle_unsubscribe(struct call *call)
{
	struct job *job;
	struct pool *pool;
	if (!read_what(call, &job, &pool))
		return;
	procpool_write_bool(begin_answer(call),
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
	if (!read_params(call, table, 0, 1, params) ||
	    !read_map(call, params[0], "key", keys, 3, values))
		return false;
	struct slice client = text_of(values[0]), errors = text_of(values[2]);
	if (errors.data && !slice_is(errors, "text") && !slice_is(errors, "map")) {
		problem_set(&problem, "errors is \"map\" or \"text\", not %s",
			    problem_quote(errors).text);
		answer_problem(call, &problem);
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
	struct procpool_writer *w = begin_answer(call);
	procpool_write_map(w, 5);
	procpool_write_string(w, "server");
	procpool_write_string(w, "procpoold");
	procpool_write_string(w, "version");
	procpool_write_string(w, PROCPOOL_VERSION);
	procpool_write_string(w, "protocol");
	procpool_write_uint(w, PROTOCOL_VERSION);
	procpool_write_string(w, "session");
	procpool_write_uint(w, call->session->id);
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
	if (!no_params(call))
		return;
	procpool_write_string(begin_answer(call), "pong");
	peer_written(call->peer);
}

static void handle_pools(struct call *call)
{
	if (!no_params(call))
		return;
	observe_pools(call->server, begin_answer(call));
	peer_written(call->peer);
}

static void handle_workers(struct call *call)
{
	if (!no_params(call))
		return;
	observe_workers(call->server, begin_answer(call));
	peer_written(call->peer);
}

static void handle_functions(struct call *call)
{
	static const struct param table[] = {{"filter", PARAM_MAP}};
	static const struct param keys[] = {{"pool", PARAM_STRING}};
	struct procpool_value params[1], values[1];
	struct pool *pool = NULL;
	if (!read_params(call, table, 0, 1, params) ||
	    !read_map(call, params[0], "key", keys, 1, values))
		return;
	if (values[0].size > 0 && !(pool = find_pool(call, values[0])))
		return;
	observe_functions(call->server, pool, begin_answer(call));
	peer_written(call->peer);
}

static void handle_stats(struct call *call)
{
	if (!no_params(call))
		return;
	observe_stats(call->server, begin_answer(call));
	peer_written(call->peer);
}

static const struct {
	const char *name;
	handle_fn handle;
} methods[] = {
	{"apply", handle_apply},
	{"apply_async", handle_apply_async},
	{"map", handle_map},
	{"map_async", handle_map_async},
	{"wait", handle_wait},
	{"result", handle_result},
	{"cancel", handle_cancel},
	{"job", handle_job},
	{"jobs", handle_jobs},
	{"subscribe", handle_subscribe},
	{"unsubscribe", handle_unsubscribe},
	{"hello", handle_hello},
	{"ping", handle_ping},
	{"pools", handle_pools},
	{"workers", handle_workers},
	{"functions", handle_functions},
	{"stats", handle_stats},
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
		if (slice_is(request->method, methods[i].name)) {
			methods[i].handle(&call);
			return;
		}
	}
	answer_error(&call, error_outcome(ERR_UNKNOWN_METHOD, "there is no method %s",
					  problem_quote(request->method).text));
}
