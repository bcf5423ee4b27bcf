/* SPDX-License-Identifier: MIT */
/*
 * Where procpool_log() of <procpool/module.h> goes: one per process, because a module calls it
 * without any context and from any thread.
 */
#pragma once

#include "runtime/flusher.h"

/* From now on lines go to this worker's channel. Before, they are dropped. */
void log_attach(struct flusher *flusher);
