/* SPDX-License-Identifier: MIT */
#include "arguments.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <procpool.h>

#include "json_read.h"
#include "procpool/value.h"
#include "text.h"
#include "utf8.h"

static const struct option_text {
	char letter;
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
} options[] = {
	{'p', "pool", "NAME", "the pool to use, or to show"},
	{'k', "kwarg", "NAME=ARG", "a named argument; may be repeated"},
	{'s', "strings", NULL, "take every ARG as a string, even where it is JSON"},
	{'r', "raw", NULL, "print strings and bytes as they are, not as JSON"},
	{'j', "json-lines", NULL, "read one JSON value a line"},
	{'0', "null", NULL, "read strings that end with a NUL instead of a newline"},
	{'R', "run-timeout", "SECONDS", "stop a call that runs longer"},
	{'a', "star", NULL, "each item is an array: the arguments of one call"},
	{'H', "halt", NULL, "stop at the first item that fails"},
	{'n', "no-progress", NULL, "no status line, even on a terminal"},
	{'w', "window", "N", "at most N calls in flight (1024)"},
	{'e', "expires", "SECONDS", "fail what has not begun after so long"},
	{'y', "retries", "N", "run what fails up to N times more (0 to 100)"},
	{'P', "priority", "N", "from -2 to 2: what is higher begins first"},
	{'T', "state", "STATE", "only jobs that are waiting, running, done, failed or cancelled"},
	{'S', "socket", "PATH", "where the daemon listens"},
	{'x', "private", NULL, "start a daemon for this command alone"},
	{'m', "module", "NAME|PATH", "what that one serves (demo); may be repeated"},
	{'t', "timeout", "SECONDS", "give up, and cancel what was submitted, after so long"},
	{'J', "json", NULL, "print tables as JSON, and errors as JSON on stderr"},
	{'h', "help", NULL, "show this help"},
	{'V', "version", NULL, "show the version"},
};

#define OPTION_COUNT (sizeof(options) / sizeof(*options))

/* The default of the daemon's limit retries_max; where that is lower, it says so. */
#define RETRIES_MAX 100

void arguments_init(struct arguments *args)
{
	*args = (struct arguments){.timeout = -1, .window = WINDOW_DEFAULT, .expires = -1};
}

void arguments_fini(struct arguments *args)
{
	free(args->kwargs);
	free(args->modules);
}

/* Appends to an owned array. */
static void append(const char ***array, int *count, const char *text)
{
	const char **grown = reallocarray(*array, (size_t)*count + 1, sizeof(*grown));
	if (!grown)
		text_no_memory();
	grown[(*count)++] = text;
	*array = grown;
}

static enum arguments_status add_kwarg(struct arguments *args, const char *text, struct text *why)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text) {
		text_addf(why, "a named argument is NAME=ARG, not '%s'", text);
		return ARGUMENTS_WRONG;
	}
	append(&args->kwargs, &args->kwarg_count, text);
	return ARGUMENTS_OK;
}

static enum arguments_status read_seconds(const char *text, const char *what, double *ret,
					  struct text *why)
{
	char *end;
	errno = 0;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(seconds) || seconds < 0) {
		text_addf(why, "%s is a number of seconds, not '%s'", what, text);
		return ARGUMENTS_WRONG;
	}
	*ret = seconds;
	return ARGUMENTS_OK;
}

static enum arguments_status read_number(const char *text, const char *what, long min, long max,
					 long *ret, struct text *why)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || number < min || number > max) {
		text_addf(why, "%s is a number from %ld to %ld, not '%s'", what, min, max, text);
		return ARGUMENTS_WRONG;
	}
	*ret = number;
	return ARGUMENTS_OK;
}

static enum arguments_status set_run_timeout(struct arguments *args, const char *text,
					     struct text *why)
{
	char *end;
	errno = 0;
	double seconds = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(seconds) || seconds <= 0) {
		text_addf(why, "a run timeout is a number of seconds, more than 0, not '%s'", text);
		return ARGUMENTS_WRONG;
	}
	args->run_timeout = seconds;
	return ARGUMENTS_OK;
}

static enum arguments_status set_window(struct arguments *args, const char *text, struct text *why)
{
	long number = WINDOW_DEFAULT;
	enum arguments_status status = read_number(text, "a window", 1, WINDOW_MAX, &number, why);
	args->window = (unsigned)number;
	return status;
}

static enum arguments_status set_retries(struct arguments *args, const char *text, struct text *why)
{
	long number = 0;
	enum arguments_status status =
		read_number(text, "the number of retries", 0, RETRIES_MAX, &number, why);
	args->retries = (unsigned)number;
	return status;
}

static enum arguments_status set_priority(struct arguments *args, const char *text,
					  struct text *why)
{
	long number = 0;
	enum arguments_status status = read_number(text, "a priority", -2, 2, &number, why);
	args->priority = (int)number;
	return status;
}

static enum arguments_status set_format(struct arguments *args, enum item_format format,
					struct text *why)
{
	if (args->format != ITEMS_LINES && args->format != format) {
		text_add_string(why, "-j and -0 exclude each other");
		return ARGUMENTS_WRONG;
	}
	args->format = format;
	return ARGUMENTS_OK;
}

static enum arguments_status set_option(struct arguments *args, int letter, struct text *why)
{
	switch (letter) {
	case 'p':
		args->pool = optarg;
		break;
	case 'k':
		return add_kwarg(args, optarg, why);
	case 's':
		args->strings = true;
		break;
	case 'r':
		args->raw = true;
		break;
	case 'j':
		return set_format(args, ITEMS_JSON, why);
	case '0':
		return set_format(args, ITEMS_NUL, why);
	case 'R':
		return set_run_timeout(args, optarg, why);
	case 'a':
		args->star = true;
		break;
	case 'H':
		args->halt = true;
		break;
	case 'n':
		args->no_progress = true;
		break;
	case 'w':
		return set_window(args, optarg, why);
	case 'T':
		args->state = optarg;
		break;
	case 'S':
		args->socket = optarg;
		break;
	case 'x':
		args->is_private = true;
		break;
	case 'm':
		append(&args->modules, &args->module_count, optarg);
		break;
	case 't':
		return read_seconds(optarg, "a timeout", &args->timeout, why);
	case 'e':
		return read_seconds(optarg, "an expiry", &args->expires, why);
	case 'y':
		return set_retries(args, optarg, why);
	case 'P':
		return set_priority(args, optarg, why);
	case 'J':
		args->json = true;
		break;
	case 'h':
		args->help = true;
		break;
	case 'V':
		args->version = true;
		break;
	}
	return ARGUMENTS_OK;
}

/* getopt's tables for the accepted options. */
struct tables {
	struct option longs[OPTION_COUNT + 1];
	char shorts[2 + 2 * OPTION_COUNT + 1];
};

static void build_tables(struct tables *tables, const char *accepted, bool leading)
{
	*tables = (struct tables){0};
	size_t count = 0, used = 0;
	if (leading)
		tables->shorts[used++] = '+';
	tables->shorts[used++] = ':'; /* a missing argument is told apart from an unknown option */
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_text *option = &options[i];
		if (!strchr(accepted, option->letter))
			continue;
		int has_argument = option->argument ? required_argument : no_argument;
		tables->longs[count++] =
			(struct option){option->name, has_argument, NULL, option->letter};
		tables->shorts[used++] = option->letter;
		if (option->argument)
			tables->shorts[used++] = ':';
	}
}

/* getopt is silent here (opterr 0); this says the same in full sentences. */
static enum arguments_status complain(int result, const char *word, struct text *why)
{
	bool is_long = strncmp(word, "--", 2) == 0;
	if (result == ':' && is_long)
		text_addf(why, "option '%s' takes an argument", word);
	else if (result == ':')
		text_addf(why, "option '-%c' takes an argument", optopt);
	else if (is_long && strchr(word, '=') && optopt != 0)
		text_addf(why, "option '%s' takes no argument", word);
	else if (optopt != 0)
		text_addf(why, "there is no option '-%c' here", optopt);
	else
		text_addf(why, "there is no option '%s' here", word);
	return ARGUMENTS_WRONG;
}

enum arguments_status arguments_parse(struct arguments *args, const char *accepted, bool leading,
				      int argc, char **argv, struct text *why)
{
	struct tables tables;
	build_tables(&tables, accepted, leading);
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	int letter;
	while ((letter = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
		if (letter == '?' || letter == ':')
			return complain(letter, argv[optind - 1], why);
		if (set_option(args, letter, why) != ARGUMENTS_OK)
			return ARGUMENTS_WRONG;
	}
	args->operands = argv + optind;
	args->operand_count = argc - optind;
	return ARGUMENTS_OK;
}

void arguments_call_options(const struct arguments *args, struct procpool_options *ret)
{
	/* What libprocpool has for 0 is none. */
	const double at_once = 1e-9;
	*ret = (struct procpool_options)PROCPOOL_OPTIONS_INIT;
	ret->pool = args->pool;
	ret->timeout = args->run_timeout;
	if (args->expires >= 0)
		ret->expires = args->expires > 0 ? args->expires : at_once;
	ret->retries = args->retries;
	ret->priority = args->priority;
}

void arguments_help(struct text *out, const char *accepted)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_text *option = &options[i];
		if (!strchr(accepted, option->letter))
			continue;
		struct text left = {0};
		text_addf(&left, "-%c, --%s", option->letter, option->name);
		if (option->argument)
			text_addf(&left, " %s", option->argument);
		text_addf(out, "  %-24s  %s\n", text_cstring(&left), option->help);
		text_fini(&left);
	}
}

enum arguments_status argument_value(struct procpool_writer *w, const char *data, size_t size,
				     bool strings, struct text *why)
{
	if (!strings) {
		struct text reason = {0};
		enum json_status status = json_read(data, size, w, &reason);
		if (status == JSON_REFUSED)
			text_addf(why, "cannot send '%.*s': %s (-s takes it as a string)",
				  (int)(size < 100 ? size : 100), data, text_cstring(&reason));
		text_fini(&reason);
		if (status != JSON_NOT)
			return status == JSON_OK ? ARGUMENTS_OK : ARGUMENTS_WRONG;
	}
	if (utf8_valid(data, size))
		procpool_write_string_n(w, data, size);
	else
		procpool_write_bytes(w, data, size);
	return ARGUMENTS_OK;
}

enum arguments_status arguments_kwargs(struct procpool_writer *w, const struct arguments *args,
				       struct text *why)
{
	if (args->kwarg_count == 0)
		return ARGUMENTS_OK;
	procpool_write_map(w, (size_t)args->kwarg_count);
	for (int i = 0; i < args->kwarg_count; i++) {
		const char *name = args->kwargs[i], *equals = strchr(name, '=');
		procpool_write_string_n(w, name, (size_t)(equals - name));
		if (argument_value(w, equals + 1, strlen(equals + 1), args->strings, why) !=
		    ARGUMENTS_OK)
			return ARGUMENTS_WRONG;
	}
	return ARGUMENTS_OK;
}

enum arguments_status argument_job(const char *text, int64_t *ret, struct text *why)
{
	char *end;
	errno = 0;
	long long job = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || job < 1 || job > (INT64_C(1) << 53) - 1) {
		text_addf(why,
			  "a job is a number, as 'ppctl async' and 'ppctl jobs' print it, not '%s'",
			  text);
		return ARGUMENTS_WRONG;
	}
	*ret = job;
	return ARGUMENTS_OK;
}
