/* SPDX-License-Identifier: MIT */
#include "core/retry.h"

#include <assert.h>

#include "core/core.h"
#include "core/publish.h"

/* What a pause costs: its struct, and its place among the timers. */
#define PAUSE_BYTES (sizeof(struct returned) + 24)

bool retry_is_allowed(const struct job *job, uint32_t attempt)
{
	return job->extra && attempt <= job->extra->retries;
}

/* Errors that another attempt may not have. */
static bool is_worth_it(enum error_code code)
{
	return code == ERR_FUNCTION_FAILED || code == ERR_TIMEOUT || code == ERR_WORKER_LOST ||
	       code == ERR_OUT_OF_MEMORY;
}

static uint64_t pause_us(uint32_t attempt)
{
	unsigned doublings = attempt - 1 < 16 ? attempt - 1 : 16;
	uint64_t us = RETRY_PAUSE_US << doublings;
	return us < RETRY_PAUSE_MAX_US ? us : RETRY_PAUSE_MAX_US;
}

uint64_t retry_charged_bytes(const struct job *job)
{
	return job->extra ? job->extra->retries_charged * (uint64_t)PAUSE_BYTES : 0;
}

/* Room for one pause more, of as many as the job ever had at a time. */
static bool charge_pause(struct job *job)
{
	struct job_extra *extra = job->extra;
	if (extra->retry_count < extra->retries_charged)
		return true;
	if (account_charge(&job->session->account, RESOURCE_QUEUED_BYTES, PAUSE_BYTES))
		return false;
	extra->retries_charged++;
	return true;
}

static bool begin_pause(struct core *core, struct job *job, struct range range, uint32_t attempt,
			uint64_t until_us)
{
	struct returned *returned = charge_pause(job) ? job_pause(job, range, attempt) : NULL;
	if (!returned)
		return false;
	returned->pause.kind = TIMER_RETRY;
	/* Without memory for the timer, there is none for a pause. */
	if (timer_heap_set(&core->timers, &returned->pause, until_us) < 0)
		retry_resume(core, returned);
	return true;
}

bool retry_tasks(struct core *core, struct job *job, struct range range, uint32_t attempt,
		 enum error_code code, uint64_t now_us)
{
	if (!retry_is_allowed(job, attempt) || !is_worth_it(code) || core->stopping)
		return false;
	if (!begin_pause(core, job, range, attempt + 1, now_us + pause_us(attempt)))
		return false;
	job->function->pool->waiting += range.count;
	if (!job->map) {
		job_step(job, JOB_RETRY, now_us);
		core->running_jobs--;
		publish_job(core, job);
	}
	return true;
}

void retry_resume(struct core *core, struct returned *returned)
{
	struct job *job = returned->job;
	job_resume(returned);
	if (!job->queued)
		fair_queue_push_front(job->flow, job);
	core_mark_dirty(core, job->function->pool);
}

void retry_clear(struct core *core, struct job *job)
{
	struct returned *returned;
	if (!job->extra)
		return;
	TAILQ_FOREACH (returned, &job->extra->paused, in_job)
		timer_heap_clear(&core->timers, &returned->pause);
}
