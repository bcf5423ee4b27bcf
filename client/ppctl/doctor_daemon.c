/* SPDX-License-Identifier: MIT */
/* The parts of `ppctl doctor` on the daemon's limits and its pools. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "json_write.h"
#include "print.h"
#include "proto/limit_table.h"

/* A pool whose workers die more often than that, on average, has something wrong. */
#define RESTARTS_MIN     3
#define RESTARTS_SECONDS 600.0
#define RESTARTS_MANY    10 /* where it is not known since when */

/* ---- limits ---- */

struct limit {
	const char *name;
	uint64_t value;
	const char *text;
};

static const struct limit limits[] = {
#define X(name, value, text) {#name, value, text},
	PROTO_LIMITS(X)
#undef X
};

#define LIMIT_COUNT (sizeof(limits) / sizeof(*limits))

/* Those that differ from what they are by default; a daemon may know others. */
static void report_limits(struct doctor *doctor, struct procpool_value in_force)
{
	struct procpool_writer *w = &doctor->facts;
	unsigned changed = 0;
	size_t place = procpool_write_open_array(w);
	uint32_t count = 0;
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		uint64_t value;
		if (!procpool_value_uint(procpool_value_get(in_force, limits[i].name), &value))
			continue;
		procpool_write_map(w, 3);
		procpool_write_string(w, "name");
		procpool_write_string(w, limits[i].name);
		procpool_write_string(w, "value");
		procpool_write_uint(w, value);
		procpool_write_string(w, "default");
		procpool_write_uint(w, limits[i].value);
		count++;
		if (value == limits[i].value)
			continue;
		changed++;
		report_line(&doctor->report, REPORT_NOTE,
			    "%s is %" PRIu64 ", by default %" PRIu64 ": %s", limits[i].name, value,
			    limits[i].value, limits[i].text);
	}
	procpool_write_count(w, place, count);
	if (changed == 0)
		report_line(&doctor->report, REPORT_OK,
			    "all %u are as by default (see PROTOCOL.md, or --json)", count);
	else
		report_line(&doctor->report, REPORT_OK, "the other %u are as by default",
			    count - changed);
}

/* ---- descriptors ---- */

/* The daemon's process, 0 where it cannot be told. */
static int daemon_pid(const struct doctor *doctor)
{
	struct units units;
	if (strcmp(doctor->place->comm, "procpoold") == 0)
		return doctor->place->pid;
	if (strcmp(doctor->place->comm, "systemd") == 0 &&
	    units_ask(doctor->place->pid != 1, &units))
		return units.service.main_pid;
	return 0;
}

/* How many descriptors that process may have; 0 where it cannot be told. */
static uint64_t descriptor_limit(int pid)
{
	char line[256];
	uint64_t limit = 0;
	snprintf(line, sizeof(line), "/proc/%d/limits", pid);
	FILE *file = pid > 0 ? fopen(line, "re") : NULL;
	if (!file)
		return 0;
	while (limit == 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Max open files %" SCNu64, &limit) != 1)
			limit = 0;
	fclose(file);
	return limit;
}

/* Whether the daemon can have all connections that its limits allow: a descriptor each. */
static void report_descriptors(struct doctor *doctor, struct procpool_value in_force)
{
	uint64_t connections, have = descriptor_limit(daemon_pid(doctor));
	if (have == 0 ||
	    !procpool_value_uint(procpool_value_get(in_force, "connections"), &connections))
		return;
	if (have > connections)
		report_line(&doctor->report, REPORT_OK,
			    "the daemon may have %" PRIu64 " descriptors", have);
	else
		report_problem(&doctor->report, "few-descriptors",
			       "raise LimitNOFILE= of its unit, or 'ulimit -Hn' where it is "
			       "started; or lower the limit connections",
			       "the daemon may have %" PRIu64 " descriptors, too few for %" PRIu64
			       " connections and its workers",
			       have, connections);
}

void doctor_limits(struct doctor *doctor)
{
	procpool_write_string(&doctor->facts, "limits");
	if (!doctor->connected) {
		procpool_write_nil(&doctor->facts);
		return;
	}
	struct procpool_value in_force =
		procpool_value_get(procpool_hello(doctor->session->pp), "limits");
	report_section(&doctor->report, "Limits");
	report_limits(doctor, in_force);
	report_descriptors(doctor, in_force);
}

/* ---- pools ---- */

/* A string of a map from the daemon, for people. */
static void add_string(struct text *out, struct procpool_value value)
{
	const char *data;
	size_t size;
	if (procpool_value_string(value, &data, &size))
		print_name(out, data, size);
}

static uint64_t number(struct procpool_value map, const char *key)
{
	uint64_t value = 0;
	procpool_value_uint(procpool_value_get(map, key), &value);
	return value;
}

static void report_failing(struct doctor *doctor, const char *name, struct procpool_value row)
{
	struct text why = {0};
	add_string(&why, procpool_value_get(procpool_value_get(row, "error"), "message"));
	report_problem(&doctor->report, "pool-failing",
		       "mend that; it is tried again by itself, or at once with 'ppctl recycle'",
		       "%s is failing: %s", name, text_cstring(&why));
	text_fini(&why);
}

static void report_refused(struct doctor *doctor, const char *name, struct procpool_value error)
{
	struct text why = {0};
	add_string(&why, procpool_value_get(error, "message"));
	report_problem(&doctor->report, "pool-stale",
		       "mend that, then its administrator says 'ppctl reload'",
		       "%s runs its old code, because what is configured does not load: %s", name,
		       text_cstring(&why));
	text_fini(&why);
}

/* A line on how the pool is, with what one may do there. */
static void report_state(struct doctor *doctor, const char *name, struct procpool_value row)
{
	struct report *report = &doctor->report;
	struct procpool_value state = procpool_value_get(row, "state");
	struct text line = {0}, advice = {0};
	bool ready = procpool_value_is(state, "ready");
	text_addf(&advice, "as its administrator: ppctl resume %s", name);
	if (procpool_value_is(state, "failing")) {
		report_failing(doctor, name, row);
	} else if (procpool_value_is(state, "paused")) {
		report_problem(report, "pool-paused", text_cstring(&advice),
			       "%s is paused: calls wait", name);
	} else if (procpool_value_is(state, "draining")) {
		report_problem(report, "pool-draining", text_cstring(&advice),
			       "%s is draining: calls are refused", name);
	} else {
		add_string(&line, state);
		text_addf(&line, ", %" PRIu64 " of %" PRIu64 " workers", number(row, "workers"),
			  number(row, "target"));
		doctor_add_rights(&line, "; you may: ", procpool_value_get(row, "rights"));
		report_line(report, ready ? REPORT_OK : REPORT_NOTE, "%s is %s", name,
			    text_cstring(&line));
	}
	text_fini(&advice);
	text_fini(&line);
}

/* uptime: 0 where it is not known. */
static bool dies_often(uint64_t restarts, double uptime)
{
	if (uptime == 0)
		return restarts >= RESTARTS_MANY;
	return restarts >= RESTARTS_MIN && uptime / (double)restarts < RESTARTS_SECONDS;
}

static void report_pool(struct doctor *doctor, struct procpool_value row, double uptime)
{
	struct text text = {0};
	uint64_t restarts = number(row, "restarts");
	bool stale = false;
	add_string(&text, procpool_value_get(row, "name"));
	const char *name = text_cstring(&text);
	report_state(doctor, name, row);
	bool failing = procpool_value_is(procpool_value_get(row, "state"), "failing");
	struct procpool_value refused = procpool_value_get(row, "error");
	if (procpool_value_bool(procpool_value_get(row, "stale"), &stale) && stale && !failing &&
	    procpool_value_type(refused) == PROCPOOL_MAP)
		report_refused(doctor, name, refused);
	else if (stale)
		report_problem(&doctor->report, "pool-stale",
			       "its administrator loads what is there now with 'ppctl recycle'",
			       "%s runs code of which a file has changed since it was loaded",
			       name);
	if (dies_often(restarts, uptime))
		report_problem(&doctor->report, "pool-restarts",
			       "the daemon's log tells how they ended (journalctl -u procpoold)",
			       "%s has workers that die again and again: %" PRIu64 " so far", name,
			       restarts);
	text_fini(&text);
}

/* Seconds since the daemon started; 0 where it does not tell, or not this user. */
static double ask_uptime(struct doctor *doctor)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	double uptime = 0;
	if (doctor_may_observe(doctor) && doctor_ask(doctor, "stats", &outcome))
		procpool_value_double(procpool_value_get(outcome.value, "uptime"), &uptime);
	procpool_outcome_fini(&outcome);
	return uptime;
}

/* Root and the daemon's own user see all that there are. */
static void report_no_pool(struct doctor *doctor)
{
	uid_t uid = doctor->user.uid;
	report_line(&doctor->report, REPORT_NOTE, "%s",
		    uid == 0 || uid == doctor->place->uid
			    ? "none is configured: see procpoold.conf(5)"
			    : "none that you may see: nothing can be called here");
}

void doctor_pools(struct doctor *doctor)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	struct procpool_iter it;
	struct procpool_value row;
	bool connected = doctor->connected;
	procpool_write_string(&doctor->facts, "pools");
	if (connected)
		report_section(&doctor->report, "Pools");
	if (!doctor_ask(doctor, "pools", &outcome)) {
		if (doctor->connected)
			report_problem(&doctor->report, "no-answer", DOCTOR_RESTART,
				       "the daemon does not tell of its pools: %s",
				       outcome.message);
		procpool_write_nil(&doctor->facts);
		procpool_outcome_fini(&outcome);
		return;
	}
	procpool_write_value(&doctor->facts, outcome.value);
	double uptime = ask_uptime(doctor);
	it = procpool_iter(outcome.value);
	while (procpool_iter_next(&it, &row))
		report_pool(doctor, row, uptime);
	if (procpool_value_count(outcome.value) == 0)
		report_no_pool(doctor);
	procpool_outcome_fini(&outcome);
}
