/* SPDX-License-Identifier: MIT */
#include "io/pool_requests.h"

#include "core/core.h"
#include "io/about.h"
#include "io/call.h"
#include "io/log.h"
#include "io/pool_params.h"
#include "io/server.h"

/* Makes the pool's spec of the only param. NULL: answered. */
static struct pool_spec *read_spec(struct call *call)
{
	static const struct param table[] = {{"options", PARAM_MAP}};
	struct procpool_value params[1];
	struct pool_spec *spec;
	struct problem problem;
	if (!call_read_params(call, table, 1, 1, params))
		return NULL;
	int r = pool_params_read(params[0], call->core->limits.name_bytes,
				 call->server->config->workers, &spec, &problem);
	if (r == POOL_PARAMS_READ) {
		spec->uid = call->core->own_uid; /* the launcher says its default */
		spec->slow_us = call->server->config->slow_us;
		return spec;
	}
	if (r == POOL_PARAMS_WRONG)
		call_answer_problem(call, &problem);
	else
		call_answer_error(
			call, error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left"));
	return NULL;
}

void pool_handle_open(struct call *call)
{
	struct outcome error;
	struct pool_spec *spec = read_spec(call);
	if (!spec)
		return;
	if (core_open_pool(call->core, call->session, call->msgid, spec, call->server->now_us,
			   &error)) {
		struct log_fields fields = about_session(call->session);
		fields.pool = spec->name;
		fields.is_own_pool = true;
		log_event(LOG_LEVEL_INFO, &fields, "pool %s: opened by uid %u", fields.pool,
			  (unsigned)fields.uid);
	} else {
		call_answer_error(call, error);
	}
	pool_spec_unref(spec);
}

typedef bool (*end_fn)(struct core *core, struct session *session, struct slice name,
		       uint64_t now_us, struct outcome *ret_error);

static void end_pool(struct call *call, end_fn end)
{
	static const struct param table[] = {{"pool", PARAM_STRING}};
	struct procpool_value params[1];
	struct outcome error;
	if (!call_read_params(call, table, 1, 1, params))
		return;
	if (end(call->core, call->session, call_text(params[0]), call->server->now_us, &error))
		call_answer_nil(call);
	else
		call_answer_error(call, error);
}

void pool_handle_close(struct call *call)
{
	end_pool(call, core_close_pool);
}

void pool_handle_terminate(struct call *call)
{
	end_pool(call, core_terminate_pool);
}

void pool_handle_join(struct call *call)
{
	static const struct param table[] = {{"pool", PARAM_STRING}, {"seconds", PARAM_SECONDS}};
	struct procpool_value params[2];
	struct outcome error;
	if (!call_read_params(call, table, 1, 2, params))
		return;
	if (!core_join_pool(call->core, call->session, call->msgid, call_text(params[0]),
			    call_until(call, params[1]), call->server->now_us, &error))
		call_answer_error(call, error);
}
