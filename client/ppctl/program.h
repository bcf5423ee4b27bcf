/* SPDX-License-Identifier: MIT */
/* Asking another program: what it prints, within a deadline. */
#pragma once

#include <stdbool.h>

struct text;

enum program_status {
	PROGRAM_DONE,    /* it exited with 0 */
	PROGRAM_FAILED,  /* with something else, or by a signal */
	PROGRAM_MISSING, /* it could not be started */
	PROGRAM_LATE,    /* it was not done in time, and was killed */
};

/*
 * Runs argv[0], found in $PATH, with its standard input and error at /dev/null, and appends what it
 * prints, at most some KiB. Never takes much longer than timeout_ms.
 */
enum program_status program_run(char *const argv[], int timeout_ms, struct text *out);
