/* SPDX-License-Identifier: MIT */
#include "core/stop.h"

#include "core/core.h"

/* Between what was seen to have ended and its answer lies hardly a millisecond: how often that is
 * looked for, and after how long beyond the timeout it will not come. */
#define ANSWER_LOOK_US UINT64_C(1000)
#define ANSWER_US      UINT64_C(1000000)

static void set_watch(struct worker *worker, uint64_t at_us)
{
	timer_heap_set(&worker->pool->core->timers, &worker->watch, at_us);
}

void stop_watch(struct worker *worker, uint64_t timeout_us, uint64_t now_us)
{
	if (worker->watch.place == 0 || worker->watch.at_us > now_us + timeout_us)
		set_watch(worker, now_us + timeout_us);
}

/* ---- stopping ---- */

/* Whether the element can be asked, and no other can be hit by it. */
static bool can_be_asked(const struct worker *worker, struct element element)
{
	const struct runtime_abilities *can = &worker->runtime->abilities;
	if (worker->pool->spec->stop_us == 0)
		return false;
	if (worker->page)
		return can->stops || can->stop_signal != 0;
	/* By a signal that names no element: nothing may follow before its answer. */
	return !can->forks && can->stop_signal != 0 &&
	       element.index + 1 == element.chunk->range.count;
}

static void kill(struct worker *worker, uint64_t now_us)
{
	worker->kill_reason = "a task that it ran did not stop";
	pool_kill_worker(worker, now_us);
}

static void take_back_waiting(struct worker *worker, uint64_t now_us)
{
	core_recall_worker(worker->pool->core, worker, now_us);
	core_mark_dirty(worker->pool->core, worker->pool);
}

/* What is behind the element was taken back. */
static void begin(struct worker *worker, struct element element, struct stop stop, uint64_t now_us)
{
	stop.seq = element.chunk->seq;
	stop.index = element.index;
	worker->stop = stop;
	if (!stop.asked) {
		kill(worker, now_us);
		return;
	}
	worker_step(worker, WORKER_HALT, now_us);
	if (worker->page)
		page_ask_to_stop(worker->page, page_element(stop.seq, stop.index));
	core_add_action(worker->pool->core, ACTION_STOP_TASK)->worker = worker;
	set_watch(worker, now_us + worker->pool->spec->stop_us);
}

void stop_end(struct worker *worker, uint64_t now_us)
{
	bool asked = worker->stop.asked;
	worker->stop = (struct stop){0};
	if (!asked)
		return;
	if (worker->page)
		page_stopped(worker->page);
	timer_heap_clear(&worker->pool->core->timers, &worker->watch);
	worker_step(worker, WORKER_RESUME, now_us);
	/* Nothing is, of an honest worker. */
	if (worker->pending > 0)
		set_watch(worker, now_us);
}

bool stop_unwanted(struct worker *worker, const struct job *job, uint64_t now_us)
{
	struct element newest = worker_newest(worker);
	if (!newest.chunk || newest.chunk->job != job)
		return false;
	if (worker->killed || worker->state == WORKER_LOST || worker->stop.reason != STOP_NONE)
		return true;
	take_back_waiting(worker, now_us);
	/* By now something else may run there. */
	newest = worker_newest(worker);
	if (!newest.chunk || newest.chunk->job != job || worker->stop.reason != STOP_NONE)
		return false;
	struct stop stop = {STOP_UNWANTED, .asked = can_be_asked(worker, newest)};
	begin(worker, newest, stop, now_us);
	return true;
}

/* ---- timeouts ---- */

/* When the oldest element began that is not answered. */
static uint64_t began_us(struct worker *worker, struct element oldest, uint64_t now_us)
{
	uint64_t seen = page_element(oldest.chunk->seq, oldest.index);
	if (worker->seen != seen) {
		worker->seen = seen;
		worker->seen_us = now_us;
	}
	uint64_t sent_us = oldest.chunk->sent_us;
	uint64_t began = worker->progress_us > sent_us ? worker->progress_us : sent_us;
	uint64_t told = worker->page ? atomic_load(&worker->page->began) : 0;
	if (told > began)
		began = told;
	return began < worker->seen_us ? began : worker->seen_us;
}

/* The oldest element is past its timeout. False: it is not what runs, and is to be answered. */
static bool time_out(struct worker *worker, struct element oldest, uint64_t timeout_us,
		     uint64_t now_us)
{
	struct stop stop = {STOP_TIMEOUT, .began_us = began_us(worker, oldest, now_us)};
	if (element_is(oldest, worker_newest(worker))) {
		take_back_waiting(worker, now_us);
		/* Which may have ended jobs, and by now something else may run. */
		if (worker->stop.reason != STOP_NONE)
			return true;
		if (!element_is(oldest, worker_newest(worker)))
			return false;
		stop.asked = can_be_asked(worker, oldest);
	} else if (now_us < worker->seen_us + timeout_us + ANSWER_US) {
		return false;
	}
	begin(worker, oldest, stop, now_us);
	return true;
}

/* When something at the worker that has not begun can first be past its timeout. */
static uint64_t next_due(const struct worker *worker, uint64_t now_us)
{
	uint64_t least_us = 0;
	for (uint32_t seq = worker->oldest_seq; seq != worker->next_seq; seq++) {
		const struct chunk *chunk = &worker->chunks[seq % PAGE_SLOTS];
		uint64_t timeout_us =
			chunk->pending && !chunk->dropped ? job_timeout_us(chunk->job) : 0;
		if (timeout_us > 0 && (least_us == 0 || timeout_us < least_us))
			least_us = timeout_us;
	}
	return least_us > 0 ? now_us + least_us : TIME_NEVER;
}

static void look(struct worker *worker, uint64_t now_us)
{
	struct element oldest = worker_oldest(worker);
	uint64_t at_us = next_due(worker, now_us);
	uint64_t timeout_us =
		oldest.chunk && !oldest.chunk->dropped ? job_timeout_us(oldest.chunk->job) : 0;
	if (timeout_us > 0) {
		uint64_t due_us = began_us(worker, oldest, now_us) + timeout_us;
		if (due_us <= now_us) {
			if (time_out(worker, oldest, timeout_us, now_us))
				return;
			due_us = now_us + ANSWER_LOOK_US;
		}
		at_us = due_us < at_us ? due_us : at_us;
	}
	if (at_us != TIME_NEVER)
		set_watch(worker, at_us);
}

void stop_due(struct worker *worker, uint64_t now_us)
{
	if (worker->killed)
		return;
	if (worker->stop.reason != STOP_NONE)
		kill(worker, now_us);
	else
		look(worker, now_us);
}

/* ---- what is told ---- */

static const char *how_it_ended(const struct worker *worker)
{
	if (worker->killed && worker->stop.asked)
		return "; it did not stop when it was asked to, and its worker was killed";
	if (worker->killed)
		return "; its worker was killed";
	return worker->state == WORKER_LOST ? "; it was asked to stop, and its worker died"
					    : "; it ended when it was asked to";
}

struct outcome stop_error(const struct worker *worker, struct procpool_value said, uint64_t now_us)
{
	struct error_builder b;
	const struct stop *stop = &worker->stop;
	const struct job *job = worker->chunks[stop->seq % PAGE_SLOTS].job;
	double timeout = (double)job_timeout_us(job) / 1e6;
	double ran = (double)(now_us - stop->began_us) / 1e6;
	error_builder_begin(&b, ERR_TIMEOUT, "%s ran for %.3g s, its timeout was %g s%s",
			    job->function->name, ran, timeout, how_it_ended(worker));
	error_builder_add_said(&b, said);
	procpool_write_double(error_builder_add(&b, "timeout"), timeout);
	procpool_write_double(error_builder_add(&b, "ran"), ran);
	if (worker->killed || worker->state == WORKER_LOST)
		error_builder_add_int(&b, "pid", worker->pid);
	return error_builder_end(&b);
}
