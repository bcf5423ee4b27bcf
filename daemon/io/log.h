/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: to the journal, with fields, where standard error is the journal's; to standard
 * error elsewhere, with the time and the level. One line is one entry, and one write: whatever text
 * of others is in it cannot end it, forge another, or reach a terminal as a command (core/text.h).
 *
 * The sentence says everything that people want to know; fields are for finding it (procpoold(8)),
 * and are not written to standard error.
 *
 * What may be logged:
 *
 *   - never arguments and results, nor what is made of them: not the message of an exception, nor
 *     its traceback, data or progress, at any level. They are the callers', who are told. Of what
 *     failed, the log says what, where, whose, and the outcome's code.
 *   - names: of pools, functions, methods, clients. Numbers, sizes, times.
 *   - what workers print, and what they say by the protocol's log message, as their pool's: whoever
 *     writes a function decides what it prints. Why the code of a configured pool does not load.
 *   - of pools that sessions have opened, no more than that: their owners are told the rest.
 *
 * Levels: error: something that is configured does not work, and somebody has to do something.
 * warning: something was lost or refused that should not be. info: the life of the service, and
 * what workers print. debug: sessions, jobs.
 *
 * It is limited (log_budget.h), and never waits for long: what neither the journal nor standard
 * error takes within 10 ms is lost and counted, and for a second nothing else waits.
 *
 * Where it leads, the level and what was logged lately are the only state of the process kept here.
 * Log an error once, where it ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* What is worth finding: each has a MESSAGE_ID in the journal. */
enum log_kind {
	LOG_KIND_ANY,
	LOG_KIND_CRASH,   /* a worker or a spawner has ended that should not have */
	LOG_KIND_SLOW,    /* a task runs, or ran, for longer than slow_seconds */
	LOG_KIND_REFUSED, /* somebody wanted what he may not */
	LOG_KIND_RELOAD,  /* the configuration was read again, or not */
	LOG_KIND_COUNT,
};

/*
 * Whom and what a line is about. All borrowed; zero: not said.
 *
 * A line counts as its pool's where it has one, else as its user's, else as the daemon's own; that
 * of a pool which a session has opened as its user's.
 */
struct log_fields {
	enum log_kind kind;
	const char *pool;
	bool is_own_pool; /* of a session */
	unsigned worker;  /* its number */
	pid_t pid;        /* of a worker or a runtime */
	uint64_t job;
	const char *function;
	const char *stream; /* "stdout", "stderr" or "log": a worker's own words */
	bool has_uid;
	uid_t uid; /* of the peer, or whose job it is */
	uint64_t session;
	const char *client; /* what it calls itself */
	uint64_t duration_us;
	const char *outcome; /* "done", "cancelled", or the code of an error */
};

#define LOG_LINE_MAX 2048 /* a longer line is cut, and ends in "..." */

/* Lines above the level are dropped. Before the call, the level is info, and all goes to standard
 * error. */
void log_init(enum log_level level);
/* Likewise, of a journal whose socket is elsewhere. */
void log_init_at(enum log_level level, const char *journal_socket);

/* From now on. */
void log_set_level(enum log_level level);

/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* False for an unknown name. */
bool log_level_parse(const char *name, enum log_level *ret);

/* Whether a line of this level would be written: before work that only serves it. */
bool log_enabled(enum log_level level);

/* One line, printf-like, without a newline at its end; fields: or NULL. errno is kept. */
void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* When log_tell_lost() has something to tell, of CLOCK_MONOTONIC; UINT64_MAX: it has nothing. */
uint64_t log_due_us(void);
/* Tells what was not logged, once it is due. Any later line does so, too. */
void log_tell_lost(void);

/* Before the process ends: what is lost is told. */
void log_fini(void);

/* About nobody but the daemon itself. */
#define log_line(level, ...) log_event(level, NULL, __VA_ARGS__)
#define log_error(...)       log_event(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...)     log_event(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...)        log_event(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_event(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__);                             \
	} while (0)
