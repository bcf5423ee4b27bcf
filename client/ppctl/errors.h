/* SPDX-License-Identifier: MIT */
/*
 * What went wrong: as text for people or JSON for programs, and as an exit status. Every error code
 * has its status and a hint what to do next in one table.
 */
#pragma once

#include <procpool.h>
#include <stdbool.h>

struct text;

/* Documented in help.c and ppctl(1). */
enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /* a function failed */
	STATUS_USAGE = 2,     /* the command line is wrong, or what it names does not exist */
	STATUS_NO_DAEMON = 3, /* none could be reached, or it went away */
	STATUS_REFUSED = 4,   /* the daemon or the system would not or could not */
};

enum exit_status error_status(enum procpool_code code);

/* Whether the error is not one item's alone: every other item would meet it as well. */
bool error_concerns_all(enum procpool_code code);

/* The message alone: the daemon's or function's own, else the library's. Not NUL-terminated. */
void error_message(const struct procpool_outcome *outcome, const char **ret, size_t *ret_size);

/*
 * Appends the whole error for people: "ppctl: about: message", then lines with what else the error
 * has (traceback, data, stderr) and what to do next. `about` may be NULL.
 */
void error_write(struct text *out, const char *about, const struct procpool_outcome *outcome);

/* Appends the error as one JSON map, without newline. */
void error_write_json(struct text *out, const struct procpool_outcome *outcome);

/* Prints it on stderr, as one of these, and returns its exit status. */
enum exit_status error_report(const char *about, const struct procpool_outcome *outcome, bool json);

/* Prints an error of ppctl's own: a code for programs and a sentence. Returns `status`. */
__attribute__((format(printf, 4, 5))) enum exit_status
error_print(enum exit_status status, bool json, const char *code, const char *format, ...);
