/* SPDX-License-Identifier: MIT */
/*
 * The spawner: the pool's first process. It loads the modules, says which functions there are,
 * forks workers on request and reports how they ended. It runs no task itself, and its end is
 * theirs.
 */
#pragma once

/*
 * Serves the channel WORKER_FD until it ends. resume_fd is -1, or what preload_restart() handed
 * over. Returns the process's exit status, in the spawner and in each worker that it forked.
 */
int spawner_run(int resume_fd);
