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
#include <stddef.h>
#include <stdint.h>

#define PROCESS_LIMITS_MAX 16 /* as many as there are resources */
#define PROCESS_CPUS_MAX   1024

#define PROCESS_VARIABLES_MAX 1000

struct process_limit {
	int resource;        /* RLIMIT_CORE, … */
	uint64_t soft, hard; /* UINT64_MAX: none */
};

struct process_settings {
	char *cwd;          /* owned, absolute; NULL: the daemon's */
	bool env_clear;     /* the environment is only what follows */
	char **environment; /* owned: "NAME=value" adds or replaces, "NAME" removes; NULL: none */
	bool has_umask;
	unsigned umask;
	int nice; /* added to the daemon's */
	struct process_limit limits[PROCESS_LIMITS_MAX];
	unsigned limit_count;
	uint64_t cpus[PROCESS_CPUS_MAX / 64]; /* processor n is bit n % 64 of word n / 64; all
						 zero: the daemon's */
};

/* All zero is a fine beginning. */
void process_settings_fini(struct process_settings *settings);

/* Whether processes are the same with either. */
bool process_settings_equal(const struct process_settings *a, const struct process_settings *b);

/* Replaces the directory by a copy of this. 0 or -ENOMEM. */
int process_settings_set_cwd(struct process_settings *settings, const char *cwd, size_t size);

/*
 * Sets a variable, or removes it (value NULL); -EEXIST where that was said of it already, -E2BIG
 * where there are PROCESS_VARIABLES_MAX. Neither name nor value may have a NUL, nor the name a '='.
 */
int process_settings_set_variable(struct process_settings *settings, const char *name,
				  size_t name_size, const char *value, size_t value_size);

/*
 * Sets a limit, also one that was set before. Where both of RLIMIT_CPU are the same, the hard one
 * comes a second later, so that SIGXCPU tells what has happened.
 */
void process_settings_set_limit(struct process_settings *settings, int resource, uint64_t soft,
				uint64_t hard);

/* The resource (RLIMIT_CPU, …) of the name that prlimit(1) and limits.conf(5) have for it ("cpu");
 * -1: there is none. */
int process_settings_find_limit(const char *name, size_t size);

/* Processor 0 to PROCESS_CPUS_MAX - 1 is one of those that may be used. */
void process_settings_add_cpu(struct process_settings *settings, unsigned cpu);
/* How many these are; 0: as many as the daemon's. */
unsigned process_settings_cpus(const struct process_settings *settings);
