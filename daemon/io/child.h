/* SPDX-License-Identifier: MIT */
/*
 * What a child of the daemon does to itself between fork and exec, besides its descriptors and
 * signals (process.c): its settings, and what every runtime gets.
 *
 * It can gain no privileges, whatever it executes, and the kernel kills it before the daemon where
 * memory runs out. Only what is safe after fork is called here.
 */
#pragma once

#include <stdbool.h>

#include "core/process_settings.h"

enum child_step {
	CHILD_PREPARE,
	CHILD_NICE,
	CHILD_AFFINITY,
	CHILD_CWD,
	CHILD_LIMIT,
	CHILD_EXEC,
};

/* Why it cannot become its program: what it leaves in its status pipe. */
struct child_failure {
	int error; /* a negative errno; 0: none */
	enum child_step step;
	int resource; /* of CHILD_LIMIT: RLIMIT_CORE, … */
};

/* 0, or a negative errno and which step it was. settings may be NULL: all as the daemon. */
int child_apply(const struct process_settings *settings, struct child_failure *ret_failure);

/* Whether the system refused what the pool's settings ask for. */
bool child_was_refused(const struct child_failure *failure);

/* The failure for people, with the program's name and working directory: to be freed; NULL without
 * memory. */
char *child_explain(const struct child_failure *failure, const char *program, const char *cwd);
