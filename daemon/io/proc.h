/* SPDX-License-Identifier: MIT */
/*
 * What the system says of a worker's process (proc_pid_stat(5)).
 *
 * Pids of forked workers are their spawner's word for it, and where it lives in a namespace of its
 * own, they are others' here. So only a process that leads a session is looked at, as every worker
 * must.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct proc_status {
	char state; /* 'R', 'S', 'T', …: of its threads the one that is nearest to running; 'R'
		       where there are too many to be looked at */
	uint64_t rss_bytes; /* about: the kernel counts in batches */
};

/* 0 or a negative errno: -ESRCH where there is no such process, or it does not lead a session. */
int proc_read(pid_t pid, struct proc_status *ret);

/* The process that has started it, or has it now; 0: not known. */
pid_t proc_parent(pid_t pid);
