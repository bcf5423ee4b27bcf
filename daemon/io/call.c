/* SPDX-License-Identifier: MIT */
#include "io/call.h"

#include <string.h>

#include "core/core.h"
#include "io/about.h"
#include "io/peer.h"
#include "io/server.h"

void call_answer_problem(struct call *call, const struct problem *problem)
{
	reply_error(peer_writer(call->peer), call->msgid, call->peer->error_form, ERR_BAD_REQUEST,
		    problem->text);
	peer_written(call->peer);
}

/* Without the advice for whom it is said to. */
static void log_refusal(const struct call *call, struct procpool_value error)
{
	struct log_fields fields = about_session(call->session);
	const char *text = "", *advice;
	size_t size = 0;
	procpool_value_string(procpool_value_get(error, "message"), &text, &size);
	advice = memchr(text, ':', size);
	fields.kind = LOG_KIND_REFUSED;
	fields.outcome = error_name(ERR_DENIED);
	log_event(LOG_LEVEL_INFO, &fields, "session %llu of user %u is refused: %.*s",
		  (unsigned long long)fields.session, (unsigned)fields.uid,
		  advice ? (int)(advice - text) : (int)size, text);
}

void call_answer_error(struct call *call, struct outcome error)
{
	if (error.code == ERR_DENIED)
		log_refusal(call, span_value(error.value));
	reply_error_value(peer_writer(call->peer), call->msgid, call->peer->error_form,
			  span_value(error.value));
	peer_written(call->peer);
	outcome_fini(&error);
}

struct procpool_writer *call_begin_answer(struct call *call)
{
	struct procpool_writer *w = peer_writer(call->peer);
	reply_begin_result(w, call->msgid);
	return w;
}

bool call_read_params(struct call *call, const struct param *table, size_t min, size_t max,
		      struct procpool_value *ret)
{
	struct problem problem;
	if (params_read(call->params, table, min, max, call->core->limits.name_bytes, ret,
			&problem))
		return true;
	call_answer_problem(call, &problem);
	return false;
}

bool call_read_map(struct call *call, struct procpool_value map, const char *what,
		   const struct param *table, size_t count, struct procpool_value *ret)
{
	struct problem problem;
	if (params_read_map(map, what, table, count, call->core->limits.name_bytes, ret, &problem))
		return true;
	call_answer_problem(call, &problem);
	return false;
}

void call_answer_nil(struct call *call)
{
	procpool_write_nil(call_begin_answer(call));
	peer_written(call->peer);
}

bool call_no_params(struct call *call)
{
	struct procpool_value none[1];
	return call_read_params(call, NULL, 0, 0, none);
}

struct slice call_text(struct procpool_value value)
{
	struct slice text = {0};
	slice_of(value, &text);
	return text;
}

uint64_t call_until(const struct call *call, struct procpool_value seconds_value)
{
	double seconds;
	if (!procpool_value_double(seconds_value, &seconds) || seconds >= SECONDS_MAX)
		return TIME_NEVER;
	return call->server->now_us + (uint64_t)(seconds * 1e6);
}

struct job *call_find_job(struct call *call, struct procpool_value value, enum access_right right)
{
	uint64_t id = 0;
	struct outcome error;
	procpool_value_uint(value, &id);
	struct job *job = core_find_job(call->core, call->session, id, right, &error);
	if (!job)
		call_answer_error(call, error);
	return job;
}

struct pool *call_find_pool(struct call *call, struct procpool_value value, unsigned rights)
{
	struct outcome error;
	struct pool *pool =
		core_need_pool(call->core, call->session, call_text(value), rights, &error);
	if (!pool)
		call_answer_error(call, error);
	return pool;
}
