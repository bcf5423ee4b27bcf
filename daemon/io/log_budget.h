/* SPDX-License-Identifier: MIT */
/*
 * How much is logged: so many lines in ten seconds, of each source and of all together, so that no
 * client, worker or pool can fill a disk or drown what others have to say. A source is a pool or a
 * user; the daemon itself has lines of its own, which nobody can take from it.
 *
 * A source of which something was dropped has half as much in the next ten seconds, down to an
 * eighth, and twice as much again after ten in which nothing was: what never stops is worth less
 * than what comes at once.
 *
 * The graver a line, the more of its source's and of all lines may have been logged before it: half
 * of them for information, a quarter more for warnings, all for errors. What was dropped is
 * counted, to be told once when the ten seconds are over.
 *
 * All together stays below the 10,000 lines in 30 seconds from which on the journal by itself drops
 * whatever a service says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/log.h"

#define LOG_PERIOD_US    UINT64_C(10000000)
#define LOG_LINES_SOURCE 1200U
#define LOG_LINES_ALL    3000U
#define LOG_LINES_OWN    300U
/* A longer one counts as several. */
#define LOG_LINE_BYTES  1024U
#define LOG_STRIKES_MAX 3U /* times that a source's lines are halved */

#define LOG_SOURCES_MAX 64U /* of one period; all further ones are one */
#define LOG_SOURCE_SIZE 80U

struct log_source {
	char name[LOG_SOURCE_SIZE]; /* "pool images"; cut */
	unsigned lines;
	unsigned strikes;
	bool over;        /* something was dropped in this period */
	uint64_t dropped; /* and not told yet */
};

/* Zeroed: nothing was logged. */
struct log_budget {
	uint64_t since_us; /* 0: no period has begun */
	unsigned lines;    /* of all sources but the daemon */
	bool dropped;      /* something was */
	struct log_source own;
	struct log_source others;
	struct log_source sources[LOG_SOURCES_MAX];
	unsigned source_count;
};

/* Counts a line, as logged or as dropped, before there is any: a flood is not even formatted. Whose
 * it is (NULL: the daemon's own), for log_budget_charge(); or NULL: it is dropped. */
struct log_source *log_budget_take(struct log_budget *budget, const char *source,
				   enum log_level level, uint64_t now_us);

/* It had so many bytes. */
void log_budget_charge(struct log_budget *budget, struct log_source *source, size_t bytes);

/* When something that was dropped is to be told; UINT64_MAX: nothing was. */
uint64_t log_budget_due_us(const struct log_budget *budget);

/* The next source of which something was dropped in a period that is over. False: there is none, or
 * it is not over. */
bool log_budget_next_dropped(struct log_budget *budget, uint64_t now_us, struct log_source *ret);
