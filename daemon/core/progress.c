/* SPDX-License-Identifier: MIT */
/* What tasks tell of their progress: kept with the job while it runs, and told to subscribers. */
#include "core/core.h"
#include "core/publish.h"

/* Honest workers tell 20 a second. What comes faster than this is only kept. */
#define AT_ONCE    100
#define PER_SECOND 100

/* Whether subscribers may be told of another one; then it counts. */
static bool take(struct worker *worker, uint64_t now_us)
{
	double passed = (double)(now_us - worker->told_us) / 1e6;
	worker->told -= passed * PER_SECOND;
	if (worker->told < 0)
		worker->told = 0;
	worker->told_us = now_us;
	if (worker->told > AT_ONCE - 1)
		return false;
	worker->told++;
	return true;
}

void core_worker_progress(struct core *core, struct worker *worker, uint32_t seq, uint32_t index,
			  struct procpool_value value, uint64_t now_us)
{
	struct element oldest = worker_oldest(worker);
	struct job *job = oldest.chunk ? oldest.chunk->job : NULL;
	/* All before it was answered by then, so it is the oldest; if not, its own answer was
	 * faster. */
	if (!job || oldest.chunk->seq != seq || oldest.index != index || oldest.chunk->dropped)
		return;
	struct job_extra *extra = job_need_extra(job);
	struct blob *copy = extra ? blob_copy(value.data, value.size) : NULL;
	if (!copy)
		return;
	blob_unref(extra->progress);
	extra->progress = copy;
	if (take(worker, now_us))
		publish_progress(core, job, oldest.chunk->range.first + index, value);
}
