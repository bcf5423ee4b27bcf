/* SPDX-License-Identifier: MIT */
/* pools, workers, functions and ping: a question to the daemon, its answer as a table or JSON. */
#include "command.h"
#include "json_write.h"
#include "print.h"
#include "table.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* What methods without params get. */
static const struct procpool_value nothing;

/* The rows of the pool that was asked for; all of them where none was. */
static struct procpool_value select_pool(struct procpool_value rows, const char *pool,
					 struct procpool_writer *w)
{
	struct procpool_iter it = procpool_iter(rows);
	struct procpool_value row;
	uint32_t count = 0;
	if (!pool)
		return rows;
	size_t place = procpool_write_open_array(w);
	while (procpool_iter_next(&it, &row)) {
		if (!procpool_value_is(procpool_value_get(row, "pool"), pool))
			continue;
		procpool_write_value(w, row);
		count++;
	}
	procpool_write_count(w, place, count);
	return procpool_writer_value(w);
}

static void print_rows(struct session *session, struct procpool_value rows,
		       const struct column *columns, size_t count)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	rows = select_pool(rows, session->args->pool, &w);
	if (session->args->json)
		print_result(&session->output.pending, rows, false);
	else
		table_write(&session->output.pending, rows, columns, count);
	procpool_writer_fini(&w);
}

static enum exit_status observe(struct session *session, const char *method,
				struct procpool_value params, const struct column *columns,
				size_t count)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = STATUS_OK;
	enum session_status end = session_request(session, method, params, &outcome);
	if (end != SESSION_OK)
		status = session_end(session, end);
	else if (outcome.code != PROCPOOL_OK)
		status = error_report(NULL, &outcome, session->args->json);
	else
		print_rows(session, outcome.value, columns, count);
	procpool_outcome_fini(&outcome);
	return status;
}

enum exit_status command_pools(struct session *session)
{
	static const struct column columns[] = {
		{"name", "NAME", COLUMN_TEXT},
		{"state", "STATE", COLUMN_TEXT},
		{"workers", "WORKERS", COLUMN_NUMBER},
		{"target", "TARGET", COLUMN_NUMBER},
		{"running", "RUNNING", COLUMN_NUMBER},
		{"waiting", "WAITING", COLUMN_NUMBER},
		{"restarts", "RESTARTS", COLUMN_NUMBER},
		{"runtime", "RUNTIME", COLUMN_TEXT},
		{"generation", "GENERATION", COLUMN_NUMBER},
		{"stale", "STALE", COLUMN_TEXT},
		{"modules", "MODULES", COLUMN_TEXT},
		{"error", "ERROR", COLUMN_ERROR},
	};
	return observe(session, "pools", nothing, columns, COUNT(columns));
}

enum exit_status command_workers(struct session *session)
{
	static const struct column columns[] = {
		{"pid", "PID", COLUMN_NUMBER},       {"pool", "POOL", COLUMN_TEXT},
		{"worker", "WORKER", COLUMN_NUMBER}, {"state", "STATE", COLUMN_TEXT},
		{"since", "SINCE", COLUMN_AGE},      {"tasks", "TASKS", COLUMN_NUMBER},
		{"job", "JOB", COLUMN_NUMBER},       {"function", "FUNCTION", COLUMN_TEXT},
	};
	return observe(session, "workers", nothing, columns, COUNT(columns));
}

enum exit_status command_functions(struct session *session)
{
	static const struct column columns[] = {
		{"name", "NAME", COLUMN_TEXT},
		{"pool", "POOL", COLUMN_TEXT},
		{"doc", "DESCRIPTION", COLUMN_LONG},
	};
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, session->args->pool ? 1 : 0);
	if (session->args->pool) {
		procpool_write_map(&w, 1);
		procpool_write_string(&w, "pool");
		procpool_write_string(&w, session->args->pool);
	}
	enum exit_status status =
		observe(session, "functions", procpool_writer_value(&w), columns, COUNT(columns));
	procpool_writer_fini(&w);
	return status;
}

enum exit_status command_ping(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	enum exit_status status = STATUS_OK;
	enum session_status end = session_request(session, "ping", nothing, &outcome);
	if (end != SESSION_OK)
		status = session_end(session, end);
	else if (outcome.code != PROCPOOL_OK)
		status = error_report(NULL, &outcome, session->args->json);
	else
		print_result(&session->output.pending, outcome.value, !session->args->json);
	procpool_outcome_fini(&outcome);
	return status;
}
