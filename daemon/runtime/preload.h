/* SPDX-License-Identifier: MIT */
/*
 * Loading the modules before the fork, and what is done where that leaves threads, which a fork
 * would not copy: the spawner replaces itself by a fresh one that has no module loaded, and its
 * workers load after the fork. What the fresh one has to know, the start message and the functions,
 * is handed over in a memfd, so that the daemon sees nothing of it but a warning.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/registry.h"
#include "runtime/settings.h"

enum preload_status {
	PRELOAD_DONE = 0,
	PRELOAD_THREADS = 1, /* *ret_module started threads */
};

/* Loads what the settings name. PRELOAD_*; or -1: registry->error says why. */
int preload(struct registry *registry, const struct settings *settings,
	    struct procpool_value *ret_module);

/* Executes this program again with `--resume`. Returns only to fail: negative errno. */
int preload_restart(const struct settings *settings, struct procpool_value ready);

/* What preload_restart() handed over; the caller owns both (procpool_writer_fini()). fd is closed.
 */
int preload_resume(int fd, struct procpool_writer *ret_start, struct procpool_writer *ret_ready);
