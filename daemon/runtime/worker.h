/* SPDX-License-Identifier: MIT */
/*
 * The worker: runs task messages one after the other until its channel ends.
 */
#pragma once

#include "proto/page.h"
#include "runtime/registry.h"
#include "runtime/settings.h"

/*
 * Runs initializers, says ready, then serves the channel. page is NULL where the daemon shares
 * none. The registry is either loaded or empty; the modules of an empty one are loaded first.
 * Returns the process's exit status.
 */
int worker_run(const struct settings *settings, struct registry *registry, int fd,
	       struct page *page);
