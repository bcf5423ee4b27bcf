/* SPDX-License-Identifier: MIT */
/* What a forked worker does to become a process of its own (WORKER.md, "fork"). */
#pragma once

#include <sys/types.h>

#include "proto/page.h"

/* What came with the message; -1 where something did not. */
struct process_fds {
	int channel, page, output, error;
};

/*
 * Leads a session of its own, dies with its parent, has default signals, and no descriptors but 0
 * to 2 and the channel, which becomes WORKER_FD. Output and error are the parent's where none came.
 * Maps the page, where there is one. 0 or negative errno. `parent` is the pid of the process that
 * forked.
 */
int process_become_worker(pid_t parent, const struct process_fds *fds, struct page **ret_page);

/* Maps the page of that descriptor, for the rest of the process. 0 or negative errno. */
int process_map_page(int fd, struct page **ret);

/* The number of threads of this process; 1 where /proc does not tell. */
unsigned process_threads(void);
