/* SPDX-License-Identifier: MIT */
/* What a forked worker does to become a process of its own (WORKER.md, "fork"). */
#pragma once

#include <sys/types.h>

#include "proto/page.h"

/*
 * Leads a session of its own, dies with its parent, has default signals, and no descriptors but 0
 * to 2 and the channel, which becomes WORKER_FD. Maps the page, where there is one (page_fd is not
 * -1). 0 or negative errno. `parent` is the pid of the process that forked.
 */
int process_become_worker(pid_t parent, int channel_fd, int page_fd, struct page **ret_page);

/* The number of threads of this process; 1 where /proc does not tell. */
unsigned process_threads(void);
