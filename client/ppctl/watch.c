/* SPDX-License-Identifier: MIT */
/* watch: a line for each push that a subscription brings. */
#include <string.h>
#include <time.h>

#include "arguments.h"
#include "command.h"
#include "json_write.h"
#include "print.h"

/* What may wait for a slow reader of the output; beyond it events are dropped, and counted. */
#define PENDING_MAX (4U << 20)

struct watch {
	struct session *session;
	int64_t job;   /* 0: not one job */
	bool ended;    /* that job has */
	uint64_t lost; /* dropped since the last line */
};

static void write_time(struct text *out)
{
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	text_addf(out, "%02d:%02d:%02d.%03ld ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		  now.tv_nsec / 1000000);
}

/* A string of a map as it is, another value as JSON, nothing for a missing one. */
static void write_field(struct text *out, const char *before, struct procpool_value map,
			const char *key)
{
	const char *data;
	size_t size;
	struct procpool_value value = procpool_value_get(map, key);
	if (value.size == 0 || procpool_value_type(value) == PROCPOOL_NIL)
		return;
	text_add_string(out, before);
	if (procpool_value_string(value, &data, &size))
		print_name(out, data, size);
	else
		json_write(out, value);
}

static void write_duration(struct text *out, const char *before, struct procpool_value map,
			   const char *key)
{
	double seconds;
	if (!procpool_value_double(procpool_value_get(map, key), &seconds))
		return;
	text_add_string(out, before);
	print_seconds(out, seconds);
}

static void write_result(struct text *out, const struct procpool_push *push, bool raw)
{
	const char *message;
	size_t size;
	text_addf(out, "job %llu", (unsigned long long)push->job);
	write_field(out, " ", push->detail, "function");
	write_duration(out, " waited ", push->detail, "waited");
	write_duration(out, " ran ", push->detail, "ran");
	if (push->outcome && push->outcome->code == PROCPOOL_OK) {
		text_add_string(out, ": ");
		if (raw)
			json_write_raw(out, push->outcome->value);
		else
			json_write(out, push->outcome->value);
	} else if (push->outcome) {
		error_message(push->outcome, &message, &size);
		text_addf(out, ": %s: %.*s", procpool_code_name(push->outcome->code), (int)size,
			  message);
	}
}

static void write_event(struct text *out, struct procpool_value event)
{
	static const struct {
		const char *before, *key;
	} fields[] = {
		{"", "event"},          {" ", "job"},           {" ", "function"},
		{" pid ", "pid"},       {" worker ", "worker"}, {" pool ", "pool"},
		{" ", "state"},         {" signal ", "signal"}, {" status ", "exit_status"},
		{" ", "lost"},          {" stale: ", "stale"},  {" ", "error"},
		{" element ", "index"}, {": ", "value"},
	};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		write_field(out, fields[i].before, event, fields[i].key);
	if (procpool_value_is(procpool_value_get(event, "event"), "lost"))
		text_add_string(out, " events, because they were read too slowly");
}

static void copy_pairs(struct procpool_writer *w, struct procpool_value map)
{
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	while (procpool_iter_next_pair(&it, &key, &value)) {
		procpool_write_value(w, key);
		procpool_write_value(w, value);
	}
}

/* One flat object: the push's name, and what it says under PROTOCOL.md's names. */
static void write_json(struct text *out, const struct procpool_push *push)
{
	struct procpool_writer w;
	size_t details = procpool_value_count(push->detail);
	procpool_writer_init(&w);
	procpool_write_map(&w, push->kind == PROCPOOL_PUSH_RESULT  ? 4 + details
			       : push->kind == PROCPOOL_PUSH_EVENT ? 1 + details
								   : 2);
	procpool_write_string(&w, "push");
	procpool_write_value(&w, push->name);
	if (push->kind == PROCPOOL_PUSH_RESULT) {
		procpool_write_string(&w, "job");
		procpool_write_uint(&w, push->job);
		procpool_write_string(&w, "error");
		procpool_write_value(&w, procpool_value_at(push->params, 1));
		procpool_write_string(&w, "value");
		procpool_write_value(&w, procpool_value_at(push->params, 2));
	}
	if (push->kind == PROCPOOL_PUSH_RESULT || push->kind == PROCPOOL_PUSH_EVENT) {
		copy_pairs(&w, push->detail);
	} else {
		procpool_write_string(&w, "params");
		procpool_write_value(&w, push->params);
	}
	json_write(out, procpool_writer_value(&w));
	procpool_writer_fini(&w);
}

static void write_human(struct text *out, const struct procpool_push *push, bool raw)
{
	write_time(out);
	switch (push->kind) {
	case PROCPOOL_PUSH_RESULT:
		write_result(out, push, raw);
		break;
	case PROCPOOL_PUSH_EVENT:
		write_event(out, push->detail);
		break;
	case PROCPOOL_PUSH_ERROR:
	case PROCPOOL_PUSH_OUTPUT:
	case PROCPOOL_PUSH_OTHER:
		json_write_raw(out, push->name);
		text_add_char(out, ' ');
		json_write(out, push->params);
		break;
	}
}

/* In the form of the daemon's own event. Not to read on instead would make the daemon close. */
static void write_lost(struct watch *watch, struct text *out)
{
	unsigned long long lost = watch->lost;
	if (lost > 0 && watch->session->args->json)
		text_addf(out, "{\"push\":\"event\",\"event\":\"lost\",\"lost\":%llu}\n", lost);
	else if (lost > 0)
		text_addf(out, "lost %llu events, because they were read too slowly\n", lost);
	watch->lost = 0;
}

static void write_push(struct watch *watch, struct text *out, const struct procpool_push *push)
{
	write_lost(watch, out);
	if (watch->session->args->json)
		write_json(out, push);
	else
		write_human(out, push, watch->session->args->raw);
	text_add_char(out, '\n');
}

static void on_push(struct procpool *pp, const struct procpool_push *push, void *data)
{
	(void)pp;
	struct watch *watch = data;
	struct output *output = &watch->session->output;
	if (output_size(output) < PENDING_MAX)
		write_push(watch, &output->pending, push);
	else
		watch->lost++;
	if (push->kind == PROCPOOL_PUSH_RESULT && watch->job > 0 &&
	    push->job == (uint64_t)watch->job)
		watch->ended = true;
}

static void write_what(struct procpool_writer *w, const char *pool, int64_t job)
{
	procpool_write_array(w, 1);
	procpool_write_map(w, (job > 0) + (pool != NULL));
	if (job > 0) {
		procpool_write_string(w, "job");
		procpool_write_int(w, job);
	}
	if (pool) {
		procpool_write_string(w, "pool");
		procpool_write_string(w, pool);
	}
}

static enum exit_status subscribe(struct watch *watch)
{
	struct session *session = watch->session;
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	struct procpool_writer params;
	enum exit_status status = STATUS_OK;
	procpool_writer_init(&params);
	write_what(&params, session->args->pool, watch->job);
	procpool_on_push(session->pp, on_push, watch);
	enum session_status end =
		session_request(session, "subscribe", procpool_writer_value(&params), &outcome);
	if (end != SESSION_OK)
		status = session_end(session, end);
	else if (outcome.code != PROCPOOL_OK)
		status = error_report(NULL, &outcome, session->args->json);
	procpool_writer_fini(&params);
	procpool_outcome_fini(&outcome);
	return status;
}

static enum exit_status read_operand(struct watch *watch)
{
	const struct arguments *args = watch->session->args;
	struct text why = {0};
	if (args->operand_count > 0 && args->pool)
		text_add_string(&why, "watch: name a job or a pool, not both");
	else if (args->operand_count > 0)
		argument_job(args->operands[0], &watch->job, &why);
	enum exit_status status = STATUS_OK;
	if (why.size > 0)
		status = error_print(STATUS_USAGE, args->json, "usage", "%s", text_cstring(&why));
	text_fini(&why);
	return status;
}

enum exit_status command_watch(struct session *session)
{
	struct watch watch = {.session = session};
	enum exit_status status = read_operand(&watch);
	if (status == STATUS_OK)
		status = subscribe(&watch);
	enum session_status end = SESSION_OK;
	while (status == STATUS_OK && end == SESSION_OK && !watch.ended)
		end = session_turn(session, -1, -1, NULL);
	/* To have watched for the time asked for is no failure, unless a job's end was awaited. */
	if (status == STATUS_OK && !watch.ended && (end != SESSION_TIMEOUT || watch.job > 0))
		status = session_end(session, end);
	procpool_on_push(session->pp, NULL, NULL);
	return status;
}
