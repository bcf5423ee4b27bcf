/* SPDX-License-Identifier: MIT */
/*
 * How tasks and jobs end: what workers answer, what is lost with them, and what then becomes of the
 * job. core_end_job() is the only way out of waiting and running, so that each job has one outcome.
 */
#include <errno.h>

#include "core/core.h"
#include "core/expiry.h"
#include "core/policy.h"
#include "core/publish.h"
#include "core/results.h"
#include "core/retry.h"
#include "core/slow.h"
#include "core/stop.h"
#include "proto/frame.h"

/* Bytes that a message needs around a job's value. */
#define ENVELOPE_BYTES 512

void core_free_job(struct core *core, struct job *job)
{
	struct session *session = job->session;
	core_release_function(core, job->function);
	struct subscription *subscription;
	while (job->extra && (subscription = LIST_FIRST(&job->extra->subscriptions)))
		core_drop_subscription(core, subscription);
	job_table_remove(&core->jobs, job->id);
	job_destroy(job);
	core_session_unref(core, session);
}

/* ---- the end of a job ---- */

/* Returns whether there was anything. */
static bool recall_from(struct core *core, struct worker *worker, struct job *job, bool drop,
			uint64_t now_us)
{
	uint32_t end = worker->next_seq;
	bool any = false;
	for (uint32_t seq = worker->oldest_seq; seq != end && worker->pending > 0; seq++) {
		struct chunk *chunk = &worker->chunks[seq % PAGE_SLOTS];
		if (!chunk->pending || chunk->seq != seq || chunk->job != job)
			continue;
		any = true;
		/* It stays dropped where taking back another ended the job. */
		chunk->dropped |= drop;
		/* Of one that has gone, core_worker_lost() knows what to take back. */
		if (worker->state != WORKER_LOST)
			core_take_back(core, worker, chunk, now_us);
	}
	return any;
}

unsigned core_recall(struct core *core, struct job *job, bool drop, uint64_t now_us)
{
	struct worker *worker;
	unsigned running = 0;
	if (drop)
		job_drop_tasks(job);
	if (job->assigned == 0)
		return 0;
	TAILQ_FOREACH (worker, &job->function->pool->workers, in_pool) {
		bool any = recall_from(core, worker, job, drop, now_us);
		if (drop && any && stop_unwanted(worker, job, now_us))
			running++;
	}
	return running;
}

static void leave_session(struct job *job)
{
	struct session *session = job->session;
	TAILQ_REMOVE(job->detached ? &session->detached_jobs : &session->jobs, job, in_session);
	if (!job->async)
		request_table_remove(&session->requests, job);
	account_release(&session->account, RESOURCE_JOBS, 1);
	account_release(&session->account, RESOURCE_QUEUED_BYTES,
			job->request->size + retry_charged_bytes(job) +
				names_job_bytes(job->function));
}

static void tell_submitter(struct core *core, struct job *job)
{
	struct session *session = job->session;
	if (!session->peer)
		return;
	if (job->async)
		publish_result_to(core, job, session);
	else
		core_reply(core, session, job->msgid, &job->outcome);
}

static void tell_waiters(struct core *core, struct job *job)
{
	struct wait *wait;
	while (job->extra && (wait = LIST_FIRST(&job->extra->waits))) {
		core_answer_wait(core, wait, &job->outcome);
		core_drop_wait(core, wait);
	}
}

static void note_end(struct core *core, const struct job *job, enum error_code code)
{
	struct action *action = core_add_action(core, ACTION_NOTE_END);
	/* One without a connection may go before this is executed. */
	action->session = job->session->peer ? job->session : NULL;
	action->function = job->function;
	action->job_id = job->id;
	action->uid = job->session->user->uid;
	action->count = job->whole.count;
	action->how = job->state == JOB_FAILED ? error_name(code) : job_state_name(job->state);
	action->waited_us = job->waited_us;
	action->ran_us = job->ran_us;
}

unsigned core_end_job(struct core *core, struct job *job, enum job_event event,
		      struct outcome outcome, uint64_t now_us)
{
	uint32_t left = job_tasks_left(job);
	job->function->pool->waiting -= left;
	job->function->pool->jobs_under_way--;
	if (job->state == JOB_RUNNING)
		core->running_jobs--;
	job_step(job, event, now_us);
	core->stats.ended[job->state]++;
	if (core->notes_ends)
		note_end(core, job, outcome.code);
	if (job->queued)
		fair_queue_remove(job->flow, job);
	expiry_clear(core, job);
	retry_clear(core, job);
	job_drop_progress(job);
	if (job->extra && job->extra->nesting)
		nesting_unblock(&job->extra->nesting->call);
	unsigned running = core_recall(core, job, true, now_us);
	leave_session(job);
	core_mark_dirty(core, job->function->pool);

	job->outcome = outcome;
	if (outcome.code != ERR_NONE)
		job->outcome = error_with_int(outcome, "job", (int64_t)job->id);
	tell_submitter(core, job);
	tell_waiters(core, job);
	publish_result(core, job, job->async ? job->session : NULL);
	publish_job(core, job);

	if (job->async && !job->outcome.value.blob)
		job->outcome.value = span_hold(job->outcome.value);
	bool kept = job->async && job->outcome.value.size > 0 && core_keep_job(core, job, now_us);
	if (!kept && job->assigned == 0)
		core_free_job(core, job);
	return running;
}

/* ---- the end of tasks ---- */

static void succeed_map(struct core *core, struct job *job, uint64_t now_us)
{
	struct outcome outcome = {0};
	if (job->stream) {
		struct procpool_writer w;
		procpool_writer_init(&w);
		procpool_write_uint(&w, job->whole.count);
		struct blob *blob = w.error ? NULL : blob_copy(w.data, w.size);
		outcome.value = blob ? span_of_blob(blob) : (struct span){0};
		procpool_writer_fini(&w);
	} else {
		outcome.value = job_assemble(job);
	}
	if (outcome.value.size > 0) {
		core_end_job(core, job, JOB_SUCCEED, outcome, now_us);
		return;
	}
	core_end_job(core, job, JOB_FAIL,
		     error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory for the result"),
		     now_us);
}

void core_finish_map_if_done(struct core *core, struct job *job, uint64_t now_us)
{
	if (!job_ended(job) && job->finished == job->whole.count)
		succeed_map(core, job, now_us);
}

static void push_items(struct core *core, struct job *job, uint32_t first, uint32_t count,
		       struct span pairs)
{
	struct blob *array = blob_create(5 + pairs.size);
	if (!array)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, count);
	memcpy(array->data, w.data, w.size);
	memcpy(array->data + w.size, pairs.data, pairs.size);
	array->size = w.size + pairs.size;
	procpool_writer_fini(&w);
	struct action *action = core_add_action(core, ACTION_PUSH_ITEMS);
	action->session = job->session;
	action->job_id = job->id;
	action->first = first;
	action->outcome.value = span_of_blob(array);
}

/* They go on as they came. */
static int push_values(struct core *core, struct job *job, uint32_t first, uint32_t count,
		       struct span values)
{
	struct span held = span_hold(values);
	if (held.size == 0)
		return -ENOMEM;
	struct action *action = core_add_action(core, ACTION_PUSH_VALUES);
	action->session = job->session;
	action->job_id = job->id;
	action->first = first;
	action->count = count;
	action->outcome.value = held;
	return 0;
}

/* Values or pairs of a map's tasks, recorded or passed on. */
static int add_map_values(struct core *core, struct job *job, uint32_t first, uint32_t count,
			  struct span values)
{
	if (!job->stream)
		return job_add_values(job, first, count, values);
	if (job->values)
		return job->session->peer ? push_values(core, job, first, count, values) : 0;
	struct blob *pairs = results_pairs(count, values);
	if (!pairs)
		return -ENOMEM;
	if (job->session->peer)
		push_items(core, job, first, count, span_of_blob(pairs));
	blob_unref(pairs);
	return 0;
}

static int add_map_error(struct core *core, struct job *job, uint32_t index,
			 struct procpool_value error)
{
	if (!job->stream)
		return job_add_error(job, index, error);
	struct blob *pair = results_error_pair(error);
	if (!pair)
		return -ENOMEM;
	if (job->session->peer)
		push_items(core, job, index, 1, span_of_blob(pair));
	blob_unref(pair);
	return 0;
}

static void fail_without_memory(struct core *core, struct job *job, uint64_t now_us)
{
	core_end_job(core, job, JOB_FAIL,
		     error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory for a result"),
		     now_us);
}

/* After results of a map were recorded: those of one that can never be sent are not collected any
 * further. False: that has ended it. */
static bool check_result_size(struct core *core, struct job *job, uint64_t now_us)
{
	unsigned long long message_bytes = core->limits.message_bytes;
	if (job_result_size(job) <= message_bytes - ENVELOPE_BYTES)
		return true;
	core_end_job(core, job, JOB_FAIL,
		     error_outcome(ERR_TOO_LARGE,
				   "the map's result is larger than message_bytes (%llu): "
				   "use stream, or several maps",
				   message_bytes),
		     now_us);
	return false;
}

static void finish_tasks(struct core *core, struct job *job, uint32_t first, uint32_t count,
			 struct span values, uint64_t now_us)
{
	job->finished += count;
	if (!job->map) {
		blob_ref(values.blob);
		core_end_job(core, job, JOB_SUCCEED, (struct outcome){ERR_NONE, values}, now_us);
		return;
	}
	if (add_map_values(core, job, first, count, values) < 0)
		fail_without_memory(core, job, now_us);
	else if (check_result_size(core, job, now_us))
		core_finish_map_if_done(core, job, now_us);
}

void core_fail_tasks(struct core *core, struct job *job, uint32_t first, uint32_t count,
		     const struct outcome *error, uint64_t now_us)
{
	job->finished += count;
	for (uint32_t i = 0; i < count; i++) {
		struct outcome copy = {error->code, span_hold(error->value)};
		if (job->map)
			copy = error_with_int(copy, "index", (int64_t)first + i);
		if (!job->collect) {
			core_end_job(core, job, JOB_FAIL, copy, now_us);
			return;
		}
		int r = add_map_error(core, job, first + i, span_value(copy.value));
		outcome_fini(&copy);
		if (r < 0) {
			fail_without_memory(core, job, now_us);
			return;
		}
		if (!check_result_size(core, job, now_us))
			return;
	}
	core_finish_map_if_done(core, job, now_us);
}

/* Tasks that ran, or began to. */
struct attempt {
	struct job *job;
	struct range range;
	uint32_t number;
};

static struct attempt attempt_of(struct chunk *chunk, uint32_t first, uint32_t count)
{
	struct range range = {.first = chunk->range.first + first, .count = count};
	if (retry_is_allowed(chunk->job, chunk->attempt) && !chunk->dropped)
		range = worker_find_tasks(chunk, first, count);
	return (struct attempt){chunk->job, range, chunk->attempt};
}

/* They are over and failed: they run again, or that was it. */
static void fail_attempt(struct core *core, const struct attempt *attempt,
			 const struct outcome *error, uint64_t now_us)
{
	struct job *job = attempt->job;
	const struct range *range = &attempt->range;
	if (retry_tasks(core, job, *range, attempt->number, error->code, now_us))
		return;
	if (attempt->number == 1) {
		core_fail_tasks(core, job, range->first, range->count, error, now_us);
		return;
	}
	struct outcome last = {error->code, span_hold(error->value)};
	last = error_with_int(last, "attempts", attempt->number);
	core_fail_tasks(core, job, range->first, range->count, &last, now_us);
	outcome_fini(&last);
}

/* A worker that has nothing left to answer can be given work. */
static void settle_worker(struct worker *worker, uint64_t now_us)
{
	if (worker->pending > 0)
		return;
	if (worker->state == WORKER_STOPPING)
		pool_worker_done(worker, now_us);
	if (worker->state != WORKER_BUSY)
		return;
	worker_step(worker, WORKER_DRAIN, now_us);
	TAILQ_INSERT_HEAD(&worker->pool->idle, worker, in_idle);
	core_mark_dirty(worker->pool->core, worker->pool);
}

uint32_t core_take_back(struct core *core, struct worker *worker, struct chunk *chunk,
			uint64_t now_us)
{
	struct pool *pool = worker->pool;
	struct job *job = chunk->job;
	uint32_t begun = worker_revoke(worker, chunk), count = chunk->range.count;
	uint32_t unanswered = begun - chunk->answered;
	if (begun == count)
		return unanswered;

	struct range lost = chunk->range, rest = chunk->range;
	bool kept = !chunk->dropped && job_give_back(job, &rest, begun, chunk->attempt) == 0;
	/* What its session was charged for it, too. */
	fair_queue_charge(job->flow, -(int64_t)worker_cut(worker, chunk, begun));
	pool->running -= count - begun;
	core->stats.tasks_begun -= count - begun;
	if (chunk->attempt == 1) /* as it was counted when it was sent (scheduler.c) */
		histogram_remove(&core->stats.waiting, chunk->sent_us - job->submitted_us,
				 count - begun);
	if (unanswered == 0) {
		worker_forget(worker, chunk);
		settle_worker(worker, now_us);
	}
	if (kept) {
		pool->waiting += count - begun;
		if (!job->map) {
			job_step(job, JOB_TAKE_BACK, now_us);
			core->running_jobs--;
		}
		if (!job->queued)
			fair_queue_push_front(job->flow, job);
		expiry_recheck(core, job, now_us);
	} else if (!chunk->dropped) {
		struct outcome error =
			error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		core_fail_tasks(core, job, lost.first + begun, count - begun, &error, now_us);
		outcome_fini(&error);
	}
	return unanswered;
}

/* ---- what workers answer ---- */

/* Counts an answer, which ended so; true: it is for a job that still wants it. */
static bool take_answer(struct core *core, struct worker *worker, struct chunk *chunk,
			uint32_t count, uint64_t us, enum error_code code, uint64_t now_us)
{
	struct job *job = chunk->job;
	/* The worker's word for it, but no more than can be. */
	if (us > now_us - chunk->sent_us)
		us = now_us - chunk->sent_us;
	if (slow_is(worker->pool, us))
		slow_ended(worker, chunk, count, us, code);
	worker->progress_us = now_us;
	worker->pool->running -= count;
	core->stats.tasks_finished += count;
	histogram_add(&core->stats.running, us / count, count);
	function_measure(job->function, us, count);
	job->ran_us += us;
	fair_queue_charge(job->flow,
			  (int64_t)us - (int64_t)(chunk->estimate_us * count / chunk->range.count));
	return !chunk->dropped;
}

/* The answered part of a chunk is done with. Frees a job that only waited for this. */
static void end_answer(struct core *core, struct worker *worker, struct chunk *chunk,
		       uint32_t count, uint64_t now_us)
{
	struct job *job = chunk->job;
	worker_answer(worker, chunk, count);
	if (worker->stop.reason != STOP_NONE && worker->stop.seq == chunk->seq &&
	    worker->stop.index < chunk->answered)
		stop_end(worker, now_us);
	if (worker->tasks >= worker->tasks_max)
		policy_check_worker(worker, now_us);
	if (job->assigned == 0 && job_ended(job) && !job->kept)
		core_free_job(core, job);
	settle_worker(worker, now_us);
	core_mark_dirty(core, worker->pool);
}

/* The answer to the element that was to stop: `said` is its error, size 0 a value, which is
 * dropped.
 */
static void take_stopped(struct core *core, struct worker *worker, struct chunk *chunk, uint64_t us,
			 struct procpool_value said, uint64_t now_us)
{
	if (!take_answer(core, worker, chunk, 1, us, ERR_TIMEOUT, now_us)) {
		end_answer(core, worker, chunk, 1, now_us);
		return;
	}
	struct attempt attempt = attempt_of(chunk, chunk->answered, 1);
	struct outcome error = stop_error(worker, said, now_us);
	end_answer(core, worker, chunk, 1, now_us);
	fail_attempt(core, &attempt, &error, now_us);
	outcome_fini(&error);
}

/* Cuts the first `count` values off. */
static struct span values_cut(struct span *values, uint32_t count)
{
	uint32_t n = count;
	struct span cut = *values;
	cut.size = frame_values_size(values->data, values->data + values->size, SIZE_MAX, &n);
	values->data += cut.size;
	values->size -= cut.size;
	return cut;
}

/* Values of which one is that of the element that was to stop. */
static void take_values_around(struct core *core, struct worker *worker, struct chunk *chunk,
			       uint32_t count, uint64_t us, struct span values, uint64_t now_us)
{
	uint32_t seq = chunk->seq, first = chunk->answered;
	uint32_t before = worker->stop.index - first, after = count - before - 1;
	uint64_t each_us = us / count;
	if (before > 0)
		core_worker_values(core, worker, seq, first, before, before * each_us,
				   values_cut(&values, before), now_us);
	values_cut(&values, 1);
	take_stopped(core, worker, chunk, us - (count - 1) * each_us, (struct procpool_value){0},
		     now_us);
	if (after > 0)
		core_worker_values(core, worker, seq, first + before + 1, after, after * each_us,
				   values, now_us);
}

bool core_worker_values(struct core *core, struct worker *worker, uint32_t seq, uint32_t first,
			uint32_t count, uint64_t us, struct span values, uint64_t now_us)
{
	struct chunk *chunk = worker_match(worker, seq, first, count);
	const struct stop *stop = &worker->stop;
	if (!chunk)
		return false;
	if (stop->reason != STOP_NONE && stop->seq == seq && stop->index - first < count) {
		take_values_around(core, worker, chunk, count, us, values, now_us);
		return true;
	}
	bool wanted = take_answer(core, worker, chunk, count, us, ERR_NONE, now_us);
	struct job *job = chunk->job;
	uint32_t first_task = chunk->range.first + first;
	end_answer(core, worker, chunk, count, now_us);
	if (wanted)
		finish_tasks(core, job, first_task, count, values, now_us);
	return true;
}

bool core_worker_error(struct core *core, struct worker *worker, uint32_t seq, uint32_t index,
		       uint64_t us, struct procpool_value error, uint64_t now_us)
{
	struct chunk *chunk = worker_match(worker, seq, index, 1);
	if (!chunk)
		return false;
	if (worker_stops(worker, (struct element){chunk, index})) {
		take_stopped(core, worker, chunk, us, error, now_us);
		return true;
	}
	struct outcome outcome = error_from_worker(error);
	bool wanted = take_answer(core, worker, chunk, 1, us, outcome.code, now_us);
	struct attempt attempt = attempt_of(chunk, index, 1);
	end_answer(core, worker, chunk, 1, now_us);
	if (wanted)
		fail_attempt(core, &attempt, &outcome, now_us);
	outcome_fini(&outcome);
	return true;
}

void core_recall_worker(struct core *core, struct worker *worker, uint64_t now_us)
{
	/* From the newest on, so that it keeps its order; taking back may move oldest_seq up to
	 * next_seq. */
	uint32_t oldest = worker->oldest_seq;
	for (uint32_t seq = worker->next_seq; seq != oldest; seq--) {
		struct chunk *chunk = &worker->chunks[(seq - 1) % PAGE_SLOTS];
		if (chunk->pending && !chunk->dropped)
			core_take_back(core, worker, chunk, now_us);
	}
}

/* What has begun of a chunk ends with its worker: as lost, but for the element that was to stop. */
static void lose_chunk(struct core *core, struct worker *worker, struct chunk *chunk,
		       const struct outcome *error, uint64_t now_us)
{
	struct job *job = chunk->job;
	struct procpool_value tail = procpool_value_get(span_value(error->value), "stderr");
	uint32_t end = chunk->range.count;
	worker->pool->running -= end - chunk->answered;
	core->stats.tasks_finished += end - chunk->answered;
	/* The chunk keeps the job there until it is forgotten; it is dropped when the job ends. */
	while (!chunk->dropped && chunk->answered < end) {
		struct element next = {chunk, chunk->answered};
		uint32_t count = 1;
		bool stops = worker_stops(worker, next);
		while (!stops && chunk->answered + count < end &&
		       !worker_stops(worker, (struct element){chunk, chunk->answered + count}))
			count++;
		struct attempt attempt = attempt_of(chunk, chunk->answered, count);
		chunk->answered += count;
		if (!stops) {
			fail_attempt(core, &attempt, error, now_us);
			continue;
		}
		struct outcome stopped = stop_error(worker, (struct procpool_value){0}, now_us);
		stopped = error_with_value(stopped, "stderr", tail);
		fail_attempt(core, &attempt, &stopped, now_us);
		outcome_fini(&stopped);
	}
	worker_forget(worker, chunk);
	if (job->assigned == 0 && job_ended(job) && !job->kept)
		core_free_job(core, job);
}

void core_worker_lost(struct core *core, struct worker *worker, const struct outcome *error,
		      uint64_t now_us)
{
	struct chunk *chunk;
	/* What has not begun goes back first. */
	if (worker_revoke_all(worker))
		core_recall_worker(core, worker, now_us);
	while ((chunk = worker_current(worker)))
		lose_chunk(core, worker, chunk, error, now_us);
	core_mark_dirty(core, worker->pool);
}

void core_fail_waiting(struct core *core, struct pool *pool, const struct outcome *error,
		       uint64_t now_us)
{
	uint64_t id = 0;
	struct job *job;
	while (pool->waiting > 0 && (job = job_table_next(&core->jobs, id, &id))) {
		if (job->function->pool != pool || job_ended(job) || job_tasks_left(job) == 0)
			continue;
		struct outcome copy = {error->code, span_hold(error->value)};
		core_end_job(core, job, JOB_FAIL, copy, now_us);
	}
}
