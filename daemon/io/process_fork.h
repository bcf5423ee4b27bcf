/* SPDX-License-Identifier: MIT */
/*
 * Processes that are children of the daemon and run as its user: process.h where there is no
 * launcher, and nobody else's to call.
 */
#pragma once

struct process;
struct process_exit;
struct process_spec;

/* status: the write end of the pipe for a struct child_failure. 0 or a negative errno. */
int process_fork(struct process *process, const struct process_spec *spec, char *const *environment,
		 int status);

/* As process_signal() and process_reap(). */
int process_fork_signal(struct process *process, int signal);
int process_fork_reap(struct process *process, struct process_exit *ret);

/* Kills and reaps it, if that was not done. */
void process_fork_end(struct process *process);
