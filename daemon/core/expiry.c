/* SPDX-License-Identifier: MIT */
#include "core/expiry.h"

#include "core/core.h"
#include "core/scheduler.h"

/* Elements of a map that fail in one turn: about a millisecond's worth. */
#define EXPIRED_PER_TURN 1000

int expiry_start(struct core *core, struct job *job, uint64_t now_us)
{
	struct job_extra *extra = job->extra;
	if (!extra || !extra->expires)
		return 0;
	return timer_heap_set(&core->timers, &extra->expiry, now_us + extra->expires_us);
}

void expiry_clear(struct core *core, struct job *job)
{
	if (job->extra)
		timer_heap_clear(&core->timers, &job->extra->expiry);
}

void expiry_recheck(struct core *core, struct job *job, uint64_t now_us)
{
	struct job_extra *extra = job->extra;
	if (extra && extra->expires && extra->expiry.place == 0)
		timer_heap_set(&core->timers, &extra->expiry, now_us);
}

static struct outcome describe(const struct job *job, uint64_t now_us)
{
	struct error_builder b;
	double expires = (double)job->extra->expires_us / 1e6;
	error_builder_begin(&b, ERR_EXPIRED, "it had not begun after %g s", expires);
	procpool_write_double(error_builder_add(&b, "expires"), expires);
	procpool_write_double(error_builder_add(&b, "waited"),
			      (double)(now_us - job->submitted_us) / 1e6);
	return error_builder_end(&b);
}

/* Whether the worker was given the chunk a moment ago while idle, and only has to wake up. */
static bool is_beginning(struct worker *worker, const struct chunk *chunk, uint64_t now_us)
{
	return chunk == worker_current(worker) && !worker_runs(worker) &&
	       now_us - worker->progress_us < SCHEDULER_STALE_US;
}

/* Takes back what was sent ahead, from the newest on, so that it keeps its order. */
static void recall_unbegun(struct core *core, struct job *job, uint64_t now_us)
{
	struct worker *worker;
	TAILQ_FOREACH (worker, &job->function->pool->workers, in_pool) {
		uint32_t oldest = worker->oldest_seq;
		for (uint32_t seq = worker->next_seq; seq != oldest; seq--) {
			struct chunk *chunk = &worker->chunks[(seq - 1) % PAGE_SLOTS];
			if (chunk->pending && !chunk->dropped && chunk->job == job &&
			    chunk->attempt == 1 && !is_beginning(worker, chunk, now_us))
				core_take_back(core, worker, chunk, now_us);
		}
	}
}

/* The job if it is still under way. */
static struct job *find(struct core *core, uint64_t id)
{
	struct job *job = job_table_find(&core->jobs, id);
	return job && !job_ended(job) ? job : NULL;
}

/* Lets elements fail whose job collects errors; a million of them are not done in one turn. */
static void fail_some(struct core *core, struct job *job, uint64_t now_us)
{
	uint64_t id = job->id;
	struct outcome error = describe(job, now_us);
	uint32_t left = EXPIRED_PER_TURN;
	struct range range;
	while (job && (range = job_take_expired(job, left)).count > 0) {
		core_fail_tasks(core, job, range.first, range.count, &error, now_us);
		left -= range.count;
		job = find(core, id);
	}
	outcome_fini(&error);
	if (job && left == 0)
		timer_heap_set(&core->timers, &job->extra->expiry, now_us + 1);
}

static void fail_unbegun(struct core *core, struct job *job, uint64_t now_us)
{
	uint32_t unbegun = job_tasks_unbegun(job);
	if (unbegun > 0 && !job->collect) {
		struct outcome error = describe(job, now_us);
		if (job->map)
			error = error_with_int(error, "index", job_first_unbegun(job));
		core_end_job(core, job, JOB_FAIL, error, now_us);
		return;
	}
	if (unbegun > 0) {
		job_expire(job);
		job->function->pool->waiting -= unbegun;
		if (job->queued && !job_has_tasks(job))
			fair_queue_remove(job->flow, job);
	}
	if (job->map)
		fail_some(core, job, now_us);
}

void expiry_due(struct core *core, struct job *job, uint64_t now_us)
{
	uint64_t id = job->id;
	/* What can begin at the end of this turn does: else nothing with an expiry of 0 could. */
	if (job->function->pool->dirty && !job->extra->expiry_deferred) {
		job->extra->expiry_deferred = true;
		timer_heap_set(&core->timers, &job->extra->expiry, now_us + 1);
		return;
	}
	if (job->assigned > 0)
		recall_unbegun(core, job, now_us);
	job = find(core, id);
	if (!job)
		return;
	/* Set again by what was taken back. */
	expiry_clear(core, job);
	fail_unbegun(core, job, now_us);
}
