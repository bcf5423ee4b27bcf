/* SPDX-License-Identifier: MIT */
/* The lines of the log that tell how workers, tasks and jobs have ended, each in one sentence. */
#pragma once

#include "core/worker_end.h"

struct action;
struct channel;
struct outcome;
struct server;

/* A worker has ended, and the core is about to be told. Nothing is logged where that was wanted and
 * nothing is lost. */
void report_worker_end(const struct channel *channel, const struct worker_end *end);

/* A runtime's first process that is no worker has ended, and not because it was told to: with this
 * error, and its workers with it. */
void report_runtime_end(const struct channel *channel, const struct outcome *error);

/* ACTION_NOTE_SLOW, ACTION_NOTE_END */
void report_slow_task(const struct server *server, const struct action *action);
void report_job_end(const struct action *action);
