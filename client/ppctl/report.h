/* SPDX-License-Identifier: MIT */
/*
 * What an examination found, for people: lines in sections, each with a mark whether it is as it
 * should be, and with what is wrong the advice what to do next. What is wrong is kept as findings
 * for programs, too.
 *
 * Texts of others (the names of pools, what a daemon says) go through print_name() before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "procpool/value.h"
#include "text.h"

enum report_mark {
	REPORT_OK,
	REPORT_NOTE, /* worth knowing, perhaps as it should be */
};

struct report {
	bool symbols; /* the terminal has UTF-8 */
	bool colours;
	struct text out;
	struct procpool_writer findings; /* an array of maps {code, message, advice} */
	size_t place;                    /* of its count */
	uint32_t problems;               /* how many findings */
};

/* For standard output, as it is. */
void report_init(struct report *report);
void report_fini(struct report *report);

void report_section(struct report *report, const char *title);

__attribute__((format(printf, 3, 4))) void report_line(struct report *report, enum report_mark mark,
						       const char *format, ...);

/* Something is wrong. code: its name for programs, which stays; advice: what to do next. */
__attribute__((format(printf, 4, 5))) void report_problem(struct report *report, const char *code,
							  const char *advice, const char *format,
							  ...);

/* Ends it with a line that sums up. */
void report_end(struct report *report);

/* The findings. */
struct procpool_value report_findings(struct report *report);
