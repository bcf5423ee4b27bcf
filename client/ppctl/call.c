/* SPDX-License-Identifier: MIT */
/* apply and async: one call of one function, with the arguments of the command line. */
#include <string.h>

#include "arguments.h"
#include "command.h"
#include "print.h"

/* How long async waits for a job's id that it must know in order to cancel the job. */
#define CANCEL_MS 2000

static enum arguments_status write_arguments(struct procpool_writer *w,
					     const struct arguments *args, struct text *why)
{
	procpool_write_array(w, (size_t)args->operand_count - 1);
	for (int i = 1; i < args->operand_count; i++) {
		const char *operand = args->operands[i];
		if (argument_value(w, operand, strlen(operand), args->strings, why) != ARGUMENTS_OK)
			return ARGUMENTS_WRONG;
	}
	return ARGUMENTS_OK;
}

/* One call's function, arguments and named arguments. */
struct call {
	const char *function; /* borrowed */
	struct procpool_writer arguments;
	struct procpool_writer kwargs; /* empty: none */
};

static void call_fini(struct call *call)
{
	procpool_writer_fini(&call->arguments);
	procpool_writer_fini(&call->kwargs);
}

static enum exit_status call_init(struct call *call, const struct arguments *args)
{
	struct text why = {0};
	enum exit_status status = STATUS_OK;
	call->function = args->operands[0];
	procpool_writer_init(&call->arguments);
	procpool_writer_init(&call->kwargs);
	if (write_arguments(&call->arguments, args, &why) != ARGUMENTS_OK ||
	    arguments_kwargs(&call->kwargs, args, &why) != ARGUMENTS_OK)
		status = error_print(STATUS_USAGE, args->json, "usage", "%s", text_cstring(&why));
	else if (call->arguments.error || call->kwargs.error)
		text_no_memory();
	text_fini(&why);
	if (status != STATUS_OK)
		call_fini(call);
	return status;
}

static enum session_status apply(struct session *session, const struct call *call,
				 struct procpool_outcome *out)
{
	struct procpool_options options;
	struct procpool_call *started;
	arguments_call_options(session->args, &options);
	options.kwargs = procpool_writer_value(&call->kwargs);
	out->code = procpool_apply_async(session->pp, call->function,
					 procpool_writer_value(&call->arguments), &options, NULL,
					 NULL, &started);
	if (out->code == PROCPOOL_OK)
		return session_await(session, started, out);
	out->message = procpool_code_text(out->code);
	return SESSION_OK;
}

enum exit_status command_apply(struct session *session)
{
	const struct arguments *args = session->args;
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	struct call call;
	enum exit_status status = call_init(&call, args);
	if (status != STATUS_OK)
		return status;
	enum session_status end = apply(session, &call, &outcome);
	if (end != SESSION_OK)
		status = session_end(session, end);
	else if (outcome.code != PROCPOOL_OK)
		status = error_report(call.function, &outcome, args->json);
	else
		print_result(&session->output.pending, outcome.value, args->raw);
	procpool_outcome_fini(&outcome);
	call_fini(&call);
	return status;
}

static void write_submission(struct procpool_writer *w, const struct call *call,
			     const struct arguments *args)
{
	bool kwargs = call->kwargs.size > 0, timed = args->run_timeout > 0;
	bool expires = args->expires >= 0;
	procpool_write_array(w, 3);
	procpool_write_string(w, call->function);
	procpool_write_value(w, procpool_writer_value(&call->arguments));
	procpool_write_map(w, 3 + (args->pool != NULL) + timed + expires + kwargs);
	procpool_write_string(w, "detach");
	procpool_write_bool(w, true);
	procpool_write_string(w, "retries");
	procpool_write_uint(w, args->retries);
	procpool_write_string(w, "priority");
	procpool_write_int(w, args->priority);
	if (expires) {
		procpool_write_string(w, "expires");
		procpool_write_double(w, args->expires);
	}
	if (args->pool) {
		procpool_write_string(w, "pool");
		procpool_write_string(w, args->pool);
	}
	if (timed) {
		procpool_write_string(w, "timeout");
		procpool_write_double(w, args->run_timeout);
	}
	if (kwargs) {
		procpool_write_string(w, "kwargs");
		procpool_write_value(w, procpool_writer_value(&call->kwargs));
	}
}

/* Waits for a call whatever happens meanwhile, but not for long. */
static const struct procpool_outcome *await_stubbornly(struct procpool_call *call)
{
	if (!procpool_call_outcome(call))
		procpool_call_wait(call, CANCEL_MS / 1000.0);
	return procpool_call_outcome(call);
}

/* Nobody will learn the job's id: it must not run on, detached as it is. */
static void cancel_job(struct session *session, const struct procpool_outcome *submitted)
{
	uint64_t job;
	struct procpool_writer w;
	struct procpool_call *call;
	if (!submitted || submitted->code != PROCPOOL_OK ||
	    !procpool_value_uint(submitted->value, &job))
		return;
	procpool_writer_init(&w);
	procpool_write_array(&w, 1);
	procpool_write_uint(&w, job);
	if (procpool_request_async(session->pp, "cancel", procpool_writer_value(&w), NULL, NULL,
				   &call) == PROCPOOL_OK) {
		await_stubbornly(call);
		procpool_call_free(call);
	}
	procpool_writer_fini(&w);
}

/* Prints the id; the job runs on only where that succeeded. */
static enum exit_status answer(struct session *session, const char *function,
			       const struct procpool_outcome *outcome)
{
	if (outcome->code != PROCPOOL_OK)
		return error_report(function, outcome, session->args->json);
	print_result(&session->output.pending, outcome->value, false);
	if (output_drain(&session->output) != OUTPUT_OK)
		cancel_job(session, outcome);
	return STATUS_OK;
}

enum exit_status command_async(struct session *session)
{
	struct call call;
	struct procpool_call *started;
	struct procpool_writer params;
	enum exit_status status = call_init(&call, session->args);
	if (status != STATUS_OK)
		return status;
	procpool_writer_init(&params);
	write_submission(&params, &call, session->args);
	struct procpool_outcome failed = PROCPOOL_OUTCOME_INIT;
	failed.code = procpool_request_async(session->pp, "apply_async",
					     procpool_writer_value(&params), NULL, NULL, &started);
	if (failed.code != PROCPOOL_OK) {
		status = error_report(call.function, &failed, session->args->json);
	} else {
		enum session_status end = SESSION_OK;
		while (!procpool_call_outcome(started) && end == SESSION_OK)
			end = session_turn(session, -1, -1, NULL);
		if (end == SESSION_OK || end == SESSION_LOST) {
			status = answer(session, call.function, procpool_call_outcome(started));
		} else {
			cancel_job(session, await_stubbornly(started));
			status = session_end(session, end);
		}
		procpool_call_free(started);
	}
	procpool_writer_fini(&params);
	call_fini(&call);
	return status;
}
