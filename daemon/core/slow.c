/* SPDX-License-Identifier: MIT */
#include "core/slow.h"

#include "core/core.h"

static void note(struct worker *worker, const struct chunk *chunk, uint32_t index, uint32_t count,
		 uint64_t us, const char *how)
{
	const struct job *job = chunk->job;
	struct action *action = core_add_action(worker->pool->core, ACTION_NOTE_SLOW);
	action->worker = worker;
	action->function = job->function;
	action->job_id = job->id;
	action->first = chunk->range.first + index;
	action->count = job->map ? count : 0;
	action->uid = job->session->user->uid;
	action->ran_us = us;
	action->how = how;
}

void slow_ended(struct worker *worker, const struct chunk *chunk, uint32_t count, uint64_t us,
		enum error_code code)
{
	const char *how = code == ERR_NONE ? job_state_name(JOB_DONE) : error_name(code);
	/* Then nobody waits for it, however it ended. */
	if (chunk->dropped)
		how = job_state_name(chunk->job->state);
	note(worker, chunk, chunk->answered, count, us, how);
}

void slow_look(struct worker *worker, uint64_t now_us)
{
	if (worker->pool->spec->slow_us == 0)
		return;
	struct element newest = worker_newest(worker);
	if (!newest.chunk)
		return;
	uint64_t element = page_element(newest.chunk->seq, newest.index);
	uint64_t us = now_us - worker_began_us(worker, newest);
	if (!slow_is(worker->pool, us) || worker->slow == element)
		return;
	worker->slow = element;
	note(worker, newest.chunk, newest.index, 1, us, job_state_name(JOB_RUNNING));
}
