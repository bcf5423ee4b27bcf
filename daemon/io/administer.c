/* SPDX-License-Identifier: MIT */
#include "io/administer.h"

#include "core/core.h"
#include "io/call.h"
#include "io/log.h"
#include "io/server.h"

/* The pool that is the only param. NULL: answered. */
static struct pool *read_pool(struct call *call)
{
	static const struct param table[] = {{"pool", PARAM_STRING}};
	struct procpool_value params[1];
	return call_read_params(call, table, 1, 1, params) ? call_find_pool(call, params[0]) : NULL;
}

void administer_recycle(struct call *call)
{
	struct outcome error;
	struct pool *pool = read_pool(call);
	if (!pool)
		return;
	if (core_recycle(call->core, call->session, call->msgid, pool, call->server->now_us,
			 &error))
		log_info("pool %s: recycling, as uid %u asked", pool->spec->name,
			 (unsigned)call->session->user->uid);
	else
		call_answer_error(call, error);
}
