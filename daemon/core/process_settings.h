/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a pool are like beyond the program that they run: as its configuration
 * says, or the session that opened it. Plain data; all zero is as the daemon itself is.
 *
 * io/process.c gives them to the processes that the daemon starts, a spawner or each worker of a
 * runtime that does not fork; what a spawner forks inherits them. What a process must not do
 * without (no new privileges, its place before the OOM killer) is no setting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROCESS_LIMITS_MAX 16 /* as many as there are resources */
#define PROCESS_CPUS_MAX   1024

struct process_limit {
	int resource;   /* RLIMIT_CORE, … */
	uint64_t value; /* UINT64_MAX: none. Soft and hard, but RLIMIT_CPU's hard one is a second
			 * later, so that SIGXCPU tells what has happened */
};

struct process_settings {
	char *cwd;          /* absolute; NULL: the daemon's */
	char **environment; /* "NAME=value"s to add or replace, NULL-terminated; may be NULL */
	bool has_umask;
	unsigned umask;
	int nice; /* added to the daemon's */
	struct process_limit limits[PROCESS_LIMITS_MAX];
	unsigned limit_count;
	uint64_t cpus[PROCESS_CPUS_MAX / 64]; /* processor n is bit n % 64 of word n / 64; all
						 zero: the daemon's */
};
