/* SPDX-License-Identifier: MIT */
/*
 * The status line of map on a terminal: drawn on stderr, erased before anything else is written to
 * a terminal and at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool enabled;
	bool beside_output; /* standard output is a terminal too */
	bool shown;
	int64_t started_ms;
	int64_t next_ms; /* when to draw again */
};

/* Disabled where stderr is no terminal or `wanted` is false. */
void progress_init(struct progress *progress, bool wanted);
/* Draws if it is time. */
void progress_update(struct progress *progress, uint64_t done, uint64_t failed, uint64_t running);
void progress_erase(struct progress *progress);
/* Before something is written to standard output. */
void progress_before_output(struct progress *progress);
/* Milliseconds until it wants to draw, -1: never. */
int progress_timeout_ms(const struct progress *progress);
