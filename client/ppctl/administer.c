/* SPDX-License-Identifier: MIT */
/* recycle, reload, scale, pause, resume, drain and kill: what changes pools and workers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "command.h"
#include "json_write.h"
#include "print.h"
#include "text.h"

/* Calls a method. STATUS_OK: *out is the answer; errors are reported here. */
static enum exit_status request(struct session *session, const char *method,
				struct procpool_writer *params, struct procpool_outcome *out)
{
	enum session_status end =
		session_request(session, method, procpool_writer_value(params), out);
	procpool_writer_fini(params);
	if (end != SESSION_OK)
		return session_end(session, end);
	if (out->code == PROCPOOL_OK)
		return STATUS_OK;
	return error_report(NULL, out, session->args->json);
}

/* Calls a method whose success says all; what it answers is for programs. */
static enum exit_status order(struct session *session, const char *method,
			      struct procpool_writer *params)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = request(session, method, params, &outcome);
	if (status == STATUS_OK && session->args->json)
		print_result(&session->output.pending, outcome.value, false);
	procpool_outcome_fini(&outcome);
	return status;
}

/* Begins params that start with the operand: a pool. */
static void begin_params(const struct session *session, struct procpool_writer *params,
			 unsigned count)
{
	procpool_writer_init(params);
	procpool_write_array(params, count);
	procpool_write_string(params, session->args->operands[0]);
}

static enum exit_status order_pool(struct session *session, const char *method)
{
	struct procpool_writer params;
	begin_params(session, &params, 1);
	return order(session, method, &params);
}

enum exit_status command_recycle(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	struct procpool_writer params;
	begin_params(session, &params, 1);
	enum exit_status status = request(session, "recycle", &params, &outcome);
	struct procpool_value shown = outcome.value;
	if (status == STATUS_OK && !session->args->json)
		shown = procpool_value_get(outcome.value, "generation");
	if (status == STATUS_OK)
		print_result(&session->output.pending, shown, false);
	procpool_outcome_fini(&outcome);
	return status;
}

/* "changed: images, fonts". Whether there are any. */
static bool print_names(struct text *out, const char *what, struct procpool_value names)
{
	struct procpool_iter it = procpool_iter(names);
	struct procpool_value name;
	const void *data;
	size_t size;
	bool any = false;
	while (procpool_iter_next(&it, &name)) {
		if (!procpool_value_bytes(name, &data, &size))
			continue;
		text_addf(out, "%s%s", any ? ", " : what, any ? "" : ": ");
		print_name(out, data, size);
		any = true;
	}
	if (any)
		text_add_char(out, '\n');
	return any;
}

static void print_changes(struct text *out, struct procpool_value done)
{
	bool any = print_names(out, "changed", procpool_value_get(done, "changed"));
	any |= print_names(out, "added", procpool_value_get(done, "added"));
	any |= print_names(out, "removed", procpool_value_get(done, "removed"));
	any |= print_names(out, "changed by a restart only", procpool_value_get(done, "restart"));
	if (!any)
		text_add_string(out, "no pool has changed\n");
}

/* The error tells of the first pool that failed. */
static void tell_of_others(struct procpool_value failed)
{
	struct procpool_iter it = procpool_iter(failed);
	struct procpool_value each;
	procpool_iter_next(&it, &each);
	while (procpool_iter_next(&it, &each)) {
		struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
		struct text name = {0};
		const void *data;
		size_t size;
		if (procpool_value_bytes(procpool_value_get(each, "pool"), &data, &size))
			print_name(&name, data, size);
		outcome.code = PROCPOOL_ERR_INITIALIZER_FAILED;
		outcome.error = procpool_value_get(each, "error");
		error_report(text_cstring(&name), &outcome, false);
		text_fini(&name);
	}
}

/* Where a pool fails, all the rest is in force, and said, too. */
enum exit_status command_reload(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = STATUS_OK;
	static const uint8_t nothing[] = {0x90};
	struct procpool_value none = {nothing, sizeof(nothing)};
	enum session_status end = session_request(session, "reload", none, &outcome);
	bool failed = outcome.code != PROCPOOL_OK;
	struct procpool_value done = failed ? outcome.error : outcome.value;
	if (end != SESSION_OK)
		return session_end(session, end);
	if (session->args->json && !failed)
		print_result(&session->output.pending, done, false);
	else if (!session->args->json && procpool_value_get(done, "changed").size > 0)
		print_changes(&session->output.pending, done);
	if (failed)
		status = error_report(NULL, &outcome, session->args->json);
	if (failed && !session->args->json)
		tell_of_others(procpool_value_get(outcome.error, "failed"));
	procpool_outcome_fini(&outcome);
	return status;
}

enum exit_status command_pause(struct session *session)
{
	return order_pool(session, "pause");
}

enum exit_status command_resume(struct session *session)
{
	return order_pool(session, "resume");
}

/* The daemon watches the time, as of wait. */
enum exit_status command_drain(struct session *session)
{
	struct procpool_writer params;
	double seconds = session->args->timeout;
	begin_params(session, &params, seconds < 0 ? 1 : 2);
	if (seconds >= 0)
		procpool_write_double(&params, seconds);
	if (session->deadline_ms >= 0)
		session->deadline_ms += 5000;
	return order(session, "drain", &params);
}

/* A number up to the end of the text or a '-', which *ret_end then points to. */
static bool read_number(const char *text, long *ret, const char **ret_end)
{
	char *end;
	errno = 0;
	*ret = strtol(text, &end, 10);
	*ret_end = end;
	return *text >= '0' && *text <= '9' && errno == 0 && (*end == '\0' || *end == '-');
}

static enum exit_status wrong_number(const struct session *session, const char *what)
{
	return error_print(STATUS_USAGE, session->args->json, "usage", "%s is not %s",
			   session->args->operands[session->args->operand_count - 1], what);
}

enum exit_status command_scale(struct session *session)
{
	const char *text = session->args->operands[1], *end;
	struct procpool_writer params;
	long min, max;
	bool ok = read_number(text, &min, &end);
	bool range = ok && *end == '-';
	if (range)
		ok = read_number(end + 1, &max, &end) && *end == '\0';
	if (!ok)
		return wrong_number(session, "a number of workers, or two as in 2-8");
	begin_params(session, &params, 2);
	if (range) {
		procpool_write_map(&params, 2);
		procpool_write_string(&params, "min");
		procpool_write_int(&params, min);
		procpool_write_string(&params, "max");
		procpool_write_int(&params, max);
	} else {
		procpool_write_int(&params, min);
	}
	return order(session, "scale", &params);
}

enum exit_status command_kill(struct session *session)
{
	struct procpool_writer params;
	const char *end;
	long pid;
	if (!read_number(session->args->operands[0], &pid, &end) || *end != '\0' || pid == 0)
		return wrong_number(session, "the pid of a worker");
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_int(&params, pid);
	return order(session, "kill", &params);
}
