/* SPDX-License-Identifier: MIT */
/*
 * What a process does to itself before it becomes a runtime, besides its user, descriptors and
 * signals (process_fork.c, launcher.c): its settings, and what every runtime gets.
 *
 * It can gain no privileges, whatever it executes, and the kernel kills it before the daemon where
 * memory runs out. Only what is safe after fork is called here.
 */
#pragma once

#include <stdbool.h>

#include <sys/resource.h>

#include "core/process_settings.h"
#include "launcher.h"

/*
 * Executes argv[0], which is searched in PATH unless it has a slash. Returns only if that fails, or
 * something before it. settings may be NULL: all as it is. descriptors: soft limit of them; 0: as
 * it is.
 */
struct child_failure child_become(const struct process_settings *settings, rlim_t descriptors,
				  char *const *argv, char *const *environment);

/* Whether it is one: what was read from a status pipe may have been written by a worker. */
bool child_is_failure(const struct child_failure *failure);

/* Whether the system refused what the pool's settings ask for. */
bool child_was_refused(const struct child_failure *failure);

/* The failure for people, with the program's name and working directory: to be freed; NULL without
 * memory. */
char *child_explain(const struct child_failure *failure, const char *program, const char *cwd);
