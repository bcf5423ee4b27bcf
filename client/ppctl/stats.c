/* SPDX-License-Identifier: MIT */
/* stats: the daemon's counters, and its histograms as percentiles. */
#include "command.h"
#include "histogram.h"
#include "json_write.h"
#include "print.h"

/* "title   accepted 10, done 9, ...": a map's keys and numbers on one line. */
static void write_counters(struct text *out, const char *title, struct procpool_value map)
{
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	const char *name, *separator = "";
	size_t size;
	text_addf(out, "%-10s", title);
	while (procpool_iter_next_pair(&it, &key, &value)) {
		if (!procpool_value_string(key, &name, &size))
			continue;
		text_addf(out, "%s%.*s ", separator, (int)size, name);
		json_write(out, value);
		separator = ", ";
	}
	text_add_char(out, '\n');
}

static void write_stats(struct text *out, struct procpool_value stats)
{
	double uptime = 0;
	procpool_value_double(procpool_value_get(stats, "uptime"), &uptime);
	text_addf(out, "%-10s", "uptime");
	print_seconds(out, uptime);
	text_addf(out, "\n%-10s", "sessions");
	json_write(out, procpool_value_get(stats, "sessions"));
	text_add_char(out, '\n');
	write_counters(out, "jobs", procpool_value_get(stats, "jobs"));
	write_counters(out, "tasks", procpool_value_get(stats, "tasks"));
	text_addf(out, "%-10s", "waiting");
	histogram_write(out, procpool_value_get(stats, "waiting_seconds"));
	text_addf(out, "\n%-10s", "running");
	histogram_write(out, procpool_value_get(stats, "running_seconds"));
	text_addf(out, "\n%-10spushes ", "lost");
	json_write(out, procpool_value_get(stats, "lost"));
	text_add_string(out, ", notifications ");
	json_write(out, procpool_value_get(stats, "notifications"));
	text_add_char(out, '\n');
}

enum exit_status command_stats(struct session *session)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	struct procpool_value nothing = {0};
	enum exit_status status = STATUS_OK;
	enum session_status end = session_request(session, "stats", nothing, &outcome);
	if (end != SESSION_OK)
		status = session_end(session, end);
	else if (outcome.code != PROCPOOL_OK)
		status = error_report(NULL, &outcome, session->args->json);
	else if (session->args->json)
		print_result(&session->output.pending, outcome.value, false);
	else
		write_stats(&session->output.pending, outcome.value);
	procpool_outcome_fini(&outcome);
	return status;
}
