/* SPDX-License-Identifier: MIT */
/*
 * What functions tell of their progress, at a pace that neither the daemon nor who watches is
 * flooded by: so many at once, and then so many a second. Of what comes faster the newest is kept,
 * and told with the next that comes late enough, or when the function has returned.
 */
#pragma once

#include <stdint.h>

#include "procpool/value.h"

#define PROGRESS_AT_ONCE    20
#define PROGRESS_PER_SECOND 20

struct flusher;
struct procpool_call;

struct progress {
	struct flusher *flusher;
	double allowed;              /* how many may be told now, as of last_ns */
	uint64_t last_ns;            /* 0: never */
	struct procpool_writer kept; /* empty: nothing is */
};

void progress_init(struct progress *progress, struct flusher *flusher);
void progress_fini(struct progress *progress);

/* The function has returned: what was kept is told, if it may be. The flusher's lock is held. */
void progress_end(struct procpool_call *call);
