/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: lines on standard error, with "<N>" priorities where that is the journal and
 * with the time elsewhere. One line is one write, so that it does not mix with what others write
 * there. Control characters, newlines among them, are shown as spaces: what a client or worker
 * says cannot forge a line.
 *
 * The level and where standard error leads are the only state of the process kept here; they are
 * set once at the start. Log an error once, where it ends.
 */
#pragma once

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#define LOG_LINE_MAX 2048 /* a longer line is cut, and ends in "..." */

/* Lines above the level are dropped. Before the call, the level is info. */
void log_init(enum log_level level);

/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* False for an unknown name. */
bool log_level_parse(const char *name, enum log_level *ret);

/* Whether a line of this level would be written: before work that only serves it. */
bool log_enabled(enum log_level level);

/* One line, printf-like, without a newline at its end. errno is kept. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
	} while (0)
