/* SPDX-License-Identifier: MIT */
/*
 * Stopping what runs: a task that is past its timeout, or whose job has ended.
 *
 * A worker runs one task, so it has one stop at most. What it was sent behind that task is taken
 * back first, and nothing more is assigned until the task has ended, so that whatever follows harms
 * no other. Where the runtime can be asked, the task is, and has the pool's stop time to end, which
 * keeps the worker; then, or where it cannot be asked, the worker is killed. The outcome of a task
 * that is past its timeout is `timeout`, however it ends from then on.
 *
 * A timeout counts from the task's own beginning, not from when it was sent. The worker tells when
 * that was (page.h), and is believed within what the daemon knows itself: not before the last
 * answer, and not after the daemon first saw the task running. So one that lies gains one timeout.
 *
 * The timer of a worker is set when it gets a chunk with a timeout, and looks at what runs when
 * that can first be over its time: elements of a chunk, begun without a word, cost nothing. It is
 * not cleared with the last answer, which would cost each call; it finds nothing, once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"
#include "core/worker.h"

/* The worker was given a chunk whose tasks have this timeout. */
void stop_watch(struct worker *worker, uint64_t timeout_us, uint64_t now_us);

/* The timer of what runs is due. */
void stop_due(struct worker *worker, uint64_t now_us);

/* The job has ended, and what has not begun of it was taken back: if the worker runs some of it,
 * that stops. Returns whether it does. */
bool stop_unwanted(struct worker *worker, const struct job *job, uint64_t now_us);

/* The element that was to stop has been answered. */
void stop_end(struct worker *worker, uint64_t now_us);

/* The error of the element that was to stop, while the worker's stop is there; `said` is the error
 * that it answered with (size 0: none). Held. */
struct outcome stop_error(const struct worker *worker, struct procpool_value said, uint64_t now_us);
