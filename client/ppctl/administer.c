/* SPDX-License-Identifier: MIT */
/* recycle: what changes a pool, and answers when it has. */
#include "command.h"
#include "json_write.h"
#include "print.h"

/* Calls a method with the pool that is the operand. STATUS_OK: *out is the answer; errors are
 * reported here. */
static enum exit_status request(struct session *session, const char *method,
				struct procpool_outcome *out)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_string(&params, session->args->operands[0]);
	enum session_status end =
		session_request(session, method, procpool_writer_value(&params), out);
	procpool_writer_fini(&params);
	if (end != SESSION_OK)
		return session_end(session, end);
	if (out->code == PROCPOOL_OK)
		return STATUS_OK;
	return error_report(NULL, out, session->args->json);
}

enum exit_status command_recycle(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = request(session, "recycle", &outcome);
	struct procpool_value shown = outcome.value;
	if (status == STATUS_OK && !session->args->json)
		shown = procpool_value_get(outcome.value, "generation");
	if (status == STATUS_OK)
		print_result(&session->output.pending, shown, false);
	procpool_outcome_fini(&outcome);
	return status;
}
