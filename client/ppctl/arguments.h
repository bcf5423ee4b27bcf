/* SPDX-License-Identifier: MIT */
/*
 * What the command line says: options into struct arguments, operands left as they are, and the
 * rule by which an ARG becomes a value.
 *
 * Every option stands in one table, in arguments.c, with its help text; a command names the ones
 * that it takes by their letters. Those of OPTIONS_COMMON work for all, before the command's name
 * too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct procpool_options;
struct procpool_writer;
struct text;

enum item_format {
	ITEMS_LINES, /* one string a line */
	ITEMS_JSON,  /* one JSON value a line */
	ITEMS_NUL,   /* strings that end with a NUL */
};

#define WINDOW_DEFAULT 1024
#define WINDOW_MAX     100000

struct arguments {
	const char *socket;   /* NULL: the places that PROTOCOL.md names */
	bool is_private;      /* a daemon of its own instead */
	const char **modules; /* that this loads; owned array of borrowed strings */
	int module_count;
	bool json;
	double timeout;     /* seconds; negative: none */
	double run_timeout; /* seconds; 0: none */
	const char *pool;
	bool raw;
	bool strings;
	bool star;
	bool halt;
	bool no_progress;
	enum item_format format;
	unsigned window; /* calls of map in flight */
	double expires;  /* seconds; negative: never */
	unsigned retries;
	int priority;
	const char *state;
	bool help;
	bool version;
	const char **kwargs; /* NAME=ARG each; owned array of borrowed strings */
	int kwarg_count;
	char **operands; /* borrowed from argv */
	int operand_count;
};

#define OPTIONS_COMMON "SxmJth"

enum arguments_status {
	ARGUMENTS_OK,
	ARGUMENTS_WRONG, /* *why says what, a sentence */
};

void arguments_init(struct arguments *args);
void arguments_fini(struct arguments *args);

/*
 * Takes the options from argv[1] on, whose letters are in `accepted`, and sets the operands to what
 * follows. With `leading` options end at the first operand, so that what follows a function's name
 * is all data, also -5; without it they may stand anywhere. May be called again for the operands.
 */
enum arguments_status arguments_parse(struct arguments *args, const char *accepted, bool leading,
				      int argc, char **argv, struct text *why);

/* The options of a call that were given: pool, and when and how often it may run. */
void arguments_call_options(const struct arguments *args, struct procpool_options *ret);

/* Appends the help text of the options in `accepted`, a line each. */
void arguments_help(struct text *out, const char *accepted);

/* Appends an ARG as a value: JSON where it parses as JSON and `strings` is false, else a string;
 * what is not UTF-8 as bytes. */
enum arguments_status argument_value(struct procpool_writer *w, const char *data, size_t size,
				     bool strings, struct text *why);

/* Writes the named arguments as a map, and nothing where there are none. */
enum arguments_status arguments_kwargs(struct procpool_writer *w, const struct arguments *args,
				       struct text *why);

/* A job's id, 1 to 2^53-1. */
enum arguments_status argument_job(const char *text, int64_t *ret, struct text *why);
