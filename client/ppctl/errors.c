/* SPDX-License-Identifier: MIT */
#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_write.h"
#include "text.h"

struct rule {
	enum procpool_code code;
	enum exit_status status;
	bool all;         /* concerns every call of the function */
	const char *hint; /* what to do next, or NULL */
};

static const struct rule rules[] = {
	{PROCPOOL_ERR_FUNCTION_FAILED, STATUS_FAILED, false, NULL},
	{PROCPOOL_ERR_BAD_REQUEST, STATUS_USAGE, false, NULL},
	{PROCPOOL_ERR_UNKNOWN_METHOD, STATUS_USAGE, true, "this daemon is older than ppctl"},
	{PROCPOOL_ERR_UNKNOWN_FUNCTION, STATUS_USAGE, true,
	 "'ppctl functions' lists what there is"},
	{PROCPOOL_ERR_AMBIGUOUS, STATUS_USAGE, true, "name one with --pool"},
	{PROCPOOL_ERR_NO_SUCH_POOL, STATUS_USAGE, true, "'ppctl pools' lists what there is"},
	{PROCPOOL_ERR_NO_SUCH_JOB, STATUS_USAGE, false,
	 "'ppctl jobs' lists what there is; results are kept for a limited time"},
	{PROCPOOL_ERR_DENIED, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_BUSY, STATUS_REFUSED, false, "try again when something has ended"},
	{PROCPOOL_ERR_TOO_LARGE, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_TIMEOUT, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_EXPIRED, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_CANCELLED, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_WORKER_LOST, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_OUT_OF_MEMORY, STATUS_REFUSED, false, NULL},
	{PROCPOOL_ERR_INITIALIZER_FAILED, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_WOULD_DEADLOCK, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_NOT_READY, STATUS_REFUSED, false, "'ppctl wait JOB' waits for it"},
	{PROCPOOL_ERR_POOL_CLOSED, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_SHUTTING_DOWN, STATUS_REFUSED, true, NULL},
	{PROCPOOL_PENDING, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_NO_DAEMON, STATUS_NO_DAEMON, true, NULL},
	{PROCPOOL_ERR_LOST, STATUS_NO_DAEMON, true,
	 "the connection was lost: whether it ran is unknown"},
	{PROCPOOL_ERR_NOT_SENT, STATUS_NO_DAEMON, true, NULL},
	{PROCPOOL_ERR_SYSTEM, STATUS_REFUSED, true, NULL},
	{PROCPOOL_ERR_INVALID, STATUS_USAGE, false, NULL},
	{PROCPOOL_ERR_NO_MEMORY, STATUS_REFUSED, true, NULL},
};

static const struct rule *rule_of(enum procpool_code code)
{
	static const struct rule other = {PROCPOOL_ERR_OTHER, STATUS_REFUSED, false, NULL};
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].code == code)
			return &rules[i];
	return &other;
}

enum exit_status error_status(enum procpool_code code)
{
	return code == PROCPOOL_OK ? STATUS_OK : rule_of(code)->status;
}

bool error_concerns_all(enum procpool_code code)
{
	return rule_of(code)->all;
}

void error_message(const struct procpool_outcome *outcome, const char **ret, size_t *ret_size)
{
	if (procpool_value_string(procpool_value_get(outcome->error, "message"), ret, ret_size) &&
	    *ret_size > 0)
		return;
	*ret = outcome->message[0] ? outcome->message : procpool_code_text(outcome->code);
	*ret_size = strlen(*ret);
}

/* "heading: " and the lines of a string, indented below it where they are several. */
static void write_block(struct text *out, const char *heading, struct procpool_value string)
{
	const char *data;
	size_t size;
	if (!procpool_value_string(string, &data, &size))
		return;
	while (size > 0 && data[size - 1] == '\n')
		size--;
	if (size == 0)
		return;
	text_addf(out, "  %s:", heading);
	const char *separator = memchr(data, '\n', size) ? "\n    " : " ";
	while (size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t line = newline ? (size_t)(newline - data) : size;
		text_add_string(out, separator);
		text_add(out, data, line);
		data += line + (newline != NULL);
		size -= line + (newline != NULL);
	}
	text_add_char(out, '\n');
}

static void write_names(struct text *out, const char *before, struct procpool_value names,
			const char *after)
{
	struct procpool_iter it = procpool_iter(names);
	struct procpool_value name;
	const char *data, *separator = before;
	size_t size;
	while (procpool_iter_next(&it, &name)) {
		if (!procpool_value_bytes(name, (const void **)&data, &size))
			continue;
		text_addf(out, "%s%.*s", separator, (int)size, data);
		separator = ", ";
	}
	if (separator != before)
		text_add_string(out, after);
}

static void write_details(struct text *out, struct procpool_value error)
{
	struct procpool_value data = procpool_value_get(error, "data");
	write_block(out, "traceback", procpool_value_get(error, "traceback"));
	write_block(out, "stderr", procpool_value_get(error, "stderr"));
	if (data.size > 0 && procpool_value_type(data) != PROCPOOL_NIL) {
		text_add_string(out, "  data: ");
		json_write(out, data);
		text_add_char(out, '\n');
	}
	write_names(out, "  similar: ", procpool_value_get(error, "suggestions"), "\n");
	write_names(out, "  pools: ", procpool_value_get(error, "pools"), "\n");
}

/* What to do about it, or NULL. */
static const char *hint_of(const struct procpool_outcome *outcome)
{
	/* Without a state it is a pool that is not ready. */
	if (outcome->code == PROCPOOL_ERR_NOT_READY &&
	    procpool_value_get(outcome->error, "state").size == 0)
		return NULL;
	return rule_of(outcome->code)->hint;
}

void error_write(struct text *out, const char *about, const struct procpool_outcome *outcome)
{
	const char *message;
	size_t size;
	error_message(outcome, &message, &size);
	text_add_string(out, "ppctl: ");
	if (about)
		text_addf(out, "%s: ", about);
	if (outcome->index >= 0)
		text_addf(out, "item %lld: ", (long long)outcome->index + 1);
	text_add(out, message, size);
	text_add_char(out, '\n');
	write_details(out, outcome->error);
	const char *hint = hint_of(outcome);
	if (hint)
		text_addf(out, "  %s\n", hint);
}

static void write_own_json(struct text *out, const char *code, const char *message, size_t size)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "code");
	procpool_write_string(&w, code);
	procpool_write_string(&w, "message");
	procpool_write_string_n(&w, message, size);
	json_write(out, procpool_writer_value(&w));
	procpool_writer_fini(&w);
}

void error_write_json(struct text *out, const struct procpool_outcome *outcome)
{
	const char *message;
	size_t size;
	error_message(outcome, &message, &size);
	if (outcome->error.size > 0)
		json_write(out, outcome->error);
	else
		write_own_json(out, procpool_code_name(outcome->code), message, size);
}

static void print_stderr(struct text *out)
{
	fwrite(out->data, 1, out->size, stderr);
	fflush(stderr);
	text_fini(out);
}

enum exit_status error_report(const char *about, const struct procpool_outcome *outcome, bool json)
{
	struct text out = {0};
	if (json) {
		text_add_string(&out, "{\"error\":");
		error_write_json(&out, outcome);
		text_add_string(&out, "}\n");
	} else {
		error_write(&out, about, outcome);
	}
	print_stderr(&out);
	return error_status(outcome->code);
}

enum exit_status error_print(enum exit_status status, bool json, const char *code,
			     const char *format, ...)
{
	char *message = NULL;
	va_list args;
	va_start(args, format);
	int size = vasprintf(&message, format, args);
	va_end(args);
	if (size < 0)
		text_no_memory();
	struct text out = {0};
	if (json) {
		text_add_string(&out, "{\"error\":");
		write_own_json(&out, code, message, (size_t)size);
		text_add_string(&out, "}\n");
	} else {
		text_addf(&out, "ppctl: %s\n", message);
	}
	free(message);
	print_stderr(&out);
	return status;
}
