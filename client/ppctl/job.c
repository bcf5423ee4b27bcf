/* SPDX-License-Identifier: MIT */
/* wait, result, cancel, job and jobs: what has been submitted before, by its id. */
#include "arguments.h"
#include "command.h"
#include "json_write.h"
#include "print.h"
#include "table.h"

static enum exit_status read_job(const struct session *session, int64_t *ret)
{
	struct text why = {0};
	enum exit_status status = STATUS_OK;
	if (argument_job(session->args->operands[0], ret, &why) != ARGUMENTS_OK)
		status = error_print(STATUS_USAGE, session->args->json, "usage", "%s",
				     text_cstring(&why));
	text_fini(&why);
	return status;
}

/*
 * Calls a method with the job's id and, where seconds is not negative, those. STATUS_OK: *out is
 * what the job or the daemon said; errors are reported here.
 */
static enum exit_status request(struct session *session, const char *method, double seconds,
				struct procpool_outcome *out)
{
	int64_t job;
	enum exit_status status = read_job(session, &job);
	if (status != STATUS_OK)
		return status;
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, seconds < 0 ? 1 : 2);
	procpool_write_int(&params, job);
	if (seconds >= 0)
		procpool_write_double(&params, seconds);
	enum session_status end =
		session_request(session, method, procpool_writer_value(&params), out);
	procpool_writer_fini(&params);
	if (end != SESSION_OK)
		return session_end(session, end);
	if (out->code == PROCPOOL_OK)
		return STATUS_OK;
	struct text about = {0};
	text_addf(&about, "job %lld", (long long)job);
	status = error_report(text_cstring(&about), out, session->args->json);
	text_fini(&about);
	return status;
}

static enum exit_status fetch(struct session *session, const char *method, double seconds)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = request(session, method, seconds, &outcome);
	if (status == STATUS_OK)
		print_result(&session->output.pending, outcome.value, session->args->raw);
	procpool_outcome_fini(&outcome);
	return status;
}

/* The daemon watches the time, so that its answer tells the job's state; ppctl's own deadline only
 * guards against a daemon that does not answer. */
enum exit_status command_wait(struct session *session)
{
	if (session->deadline_ms >= 0)
		session->deadline_ms += 5000;
	return fetch(session, "wait", session->args->timeout);
}

enum exit_status command_result(struct session *session)
{
	return fetch(session, "result", -1);
}

enum exit_status command_cancel(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = request(session, "cancel", -1, &outcome);
	bool cancelled = false;
	const char *state = "unknown";
	size_t size = 7;
	if (status == STATUS_OK) {
		procpool_value_bool(procpool_value_get(outcome.value, "cancelled"), &cancelled);
		procpool_value_string(procpool_value_get(outcome.value, "state"), &state, &size);
		if (session->args->json)
			print_result(&session->output.pending, outcome.value, false);
		if (!cancelled)
			status = error_print(STATUS_REFUSED, session->args->json, "not-cancelled",
					     "job %s was not cancelled: it is %.*s",
					     session->args->operands[0], (int)size, state);
	}
	procpool_outcome_fini(&outcome);
	return status;
}

enum exit_status command_job(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = request(session, "job", -1, &outcome);
	if (status == STATUS_OK && session->args->json)
		print_result(&session->output.pending, outcome.value, false);
	else if (status == STATUS_OK)
		table_write_map(&session->output.pending, outcome.value);
	procpool_outcome_fini(&outcome);
	return status;
}

/* As many jobs at once as this daemon allows. */
static int64_t page_size(const struct session *session)
{
	int64_t size = 100; /* PROTOCOL.md, the default of `limit` */
	struct procpool_value limits = procpool_value_get(procpool_hello(session->pp), "limits");
	procpool_value_int(procpool_value_get(limits, "jobs_page"), &size);
	return size;
}

static void write_page_options(struct procpool_writer *w, const struct session *session,
			       int64_t after)
{
	const struct arguments *args = session->args;
	procpool_write_array(w, 1);
	procpool_write_map(w, 1 + (after > 0) + (args->pool != NULL) + (args->state != NULL));
	procpool_write_string(w, "limit");
	procpool_write_int(w, page_size(session));
	if (after > 0) {
		procpool_write_string(w, "after");
		procpool_write_int(w, after);
	}
	if (args->pool) {
		procpool_write_string(w, "pool");
		procpool_write_string(w, args->pool);
	}
	if (args->state) {
		procpool_write_string(w, "state");
		procpool_write_string(w, args->state);
	}
}

/* Copies the jobs of a page and writes the last one's id. Returns how many they were. */
static uint32_t take_page(struct procpool_writer *jobs, struct procpool_value page,
			  int64_t *ret_last)
{
	struct procpool_iter it = procpool_iter(page);
	struct procpool_value job;
	uint32_t count = 0;
	while (procpool_iter_next(&it, &job)) {
		procpool_write_value(jobs, job);
		procpool_value_int(procpool_value_get(job, "job"), ret_last);
		count++;
	}
	return count;
}

/* All pages into one array. */
static enum exit_status fetch_jobs(struct session *session, struct procpool_writer *jobs)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = STATUS_OK;
	size_t place = procpool_write_open_array(jobs);
	uint32_t count = 0, taken;
	int64_t last = 0;
	do {
		int64_t after = last;
		struct procpool_writer params;
		procpool_writer_init(&params);
		write_page_options(&params, session, after);
		enum session_status end =
			session_request(session, "jobs", procpool_writer_value(&params), &outcome);
		procpool_writer_fini(&params);
		taken = 0;
		if (end != SESSION_OK)
			status = session_end(session, end);
		else if (outcome.code != PROCPOOL_OK)
			status = error_report(NULL, &outcome, session->args->json);
		else
			taken = take_page(jobs, outcome.value, &last);
		count += taken;
		if (last <= after)
			break;
	} while (taken > 0);
	procpool_write_count(jobs, place, count);
	procpool_outcome_fini(&outcome);
	return status;
}

enum exit_status command_jobs(struct session *session)
{
	static const struct column columns[] = {
		{"job", "JOB", COLUMN_NUMBER},       {"state", "STATE", COLUMN_TEXT},
		{"since", "SINCE", COLUMN_AGE},      {"function", "FUNCTION", COLUMN_TEXT},
		{"pool", "POOL", COLUMN_TEXT},       {"kind", "KIND", COLUMN_TEXT},
		{"tasks", "TASKS", COLUMN_NUMBER},   {"finished", "FINISHED", COLUMN_NUMBER},
		{"worker", "WORKER", COLUMN_NUMBER}, {"uid", "UID", COLUMN_NUMBER},
		{"client", "CLIENT", COLUMN_TEXT},
	};
	struct procpool_writer jobs;
	procpool_writer_init(&jobs);
	enum exit_status status = fetch_jobs(session, &jobs);
	struct procpool_value rows = procpool_writer_value(&jobs);
	if (status == STATUS_OK && session->args->json)
		print_result(&session->output.pending, rows, false);
	else if (status == STATUS_OK)
		table_write(&session->output.pending, rows, columns,
			    sizeof(columns) / sizeof(*columns));
	procpool_writer_fini(&jobs);
	return status;
}
