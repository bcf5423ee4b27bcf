/* SPDX-License-Identifier: MIT */
#include "core/worker.h"

#include <assert.h>
#include <stdlib.h>

#define NO WORKER_STATE_COUNT
static const enum worker_state next_states[WORKER_STATE_COUNT][WORKER_EVENT_COUNT] = {
	/*                   READY ASSIGN DRAIN HALT RESUME STOP EXIT */
	[WORKER_STARTING] = {WORKER_IDLE, NO, NO, NO, NO, WORKER_STOPPING, WORKER_LOST},
	[WORKER_IDLE] = {NO, WORKER_BUSY, NO, NO, NO, WORKER_STOPPING, WORKER_LOST},
	[WORKER_BUSY] = {NO, WORKER_BUSY, WORKER_IDLE, WORKER_HALTING, NO, WORKER_STOPPING,
			 WORKER_LOST},
	[WORKER_HALTING] = {NO, NO, NO, NO, WORKER_BUSY, WORKER_STOPPING, WORKER_LOST},
	[WORKER_STOPPING] = {NO, NO, WORKER_STOPPING, WORKER_STOPPING, WORKER_STOPPING,
			     WORKER_STOPPING, WORKER_LOST},
	[WORKER_LOST] = {NO, NO, NO, NO, NO, NO, NO},
};
#undef NO

enum worker_state worker_next_state(enum worker_state state, enum worker_event event)
{
	return next_states[state][event];
}

void worker_step(struct worker *worker, enum worker_event event, uint64_t now_us)
{
	enum worker_state next = worker_next_state(worker->state, event);
	assert(next != WORKER_STATE_COUNT);
	if (next != worker->state)
		worker->since_us = now_us;
	worker->state = next;
}

const char *worker_state_name(enum worker_state state)
{
	static const char *const names[] = {
		[WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",
		[WORKER_BUSY] = "busy",         [WORKER_HALTING] = "halting",
		[WORKER_STOPPING] = "stopping", [WORKER_LOST] = "lost",
	};
	return names[state];
}

struct worker *worker_create(struct pool *pool, unsigned number, uint64_t now_us)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	worker->chunks = calloc(PAGE_SLOTS, sizeof(*worker->chunks));
	if (!worker->chunks) {
		free(worker);
		return NULL;
	}
	worker->pool = pool;
	worker->number = number;
	worker->since_us = now_us;
	worker->deadline.kind = TIMER_WORKER;
	worker->watch.kind = TIMER_WATCH;
	worker->oldest_seq = worker->next_seq = 1;
	return worker;
}

void worker_destroy(struct worker *worker)
{
	if (!worker)
		return;
	assert(worker->pending == 0 && worker->deadline.place == 0 && worker->watch.place == 0);
	free(worker->chunks);
	free(worker);
}

static struct chunk *chunk_at(const struct worker *worker, uint32_t seq)
{
	return &worker->chunks[seq % PAGE_SLOTS];
}

bool worker_has_room(const struct worker *worker)
{
	if (worker->state == WORKER_IDLE)
		return true;
	/* What was not begun cannot be told without a page, so nothing is sent ahead. */
	if (worker->state != WORKER_BUSY || !worker->page)
		return false;
	return worker->next_seq - worker->oldest_seq < PAGE_SLOTS;
}

struct chunk *worker_push(struct worker *worker, struct job *job, struct range range,
			  uint32_t attempt, double estimate_us, uint64_t now_us)
{
	assert(worker_has_room(worker));
	uint32_t seq = worker->next_seq++;
	struct chunk *chunk = chunk_at(worker, seq);
	assert(!chunk->pending);
	*chunk = (struct chunk){.job = job,
				.range = range,
				.seq = seq,
				.attempt = attempt,
				.behind = range,
				.pending = true,
				.estimate_us = estimate_us,
				.sent_us = now_us};
	job->assigned++;
	worker->pending++;
	worker->backlog_us += estimate_us;
	if (worker->page)
		page_offer(worker->page, seq);
	return chunk;
}

struct chunk *worker_current(struct worker *worker)
{
	return worker->pending > 0 ? chunk_at(worker, worker->oldest_seq) : NULL;
}

struct chunk *worker_at(struct worker *worker)
{
	struct chunk *at = worker_current(worker);
	if (!at || !worker->page)
		return at;
	for (uint32_t seq = at->seq + 1; seq != worker->next_seq; seq++) {
		struct chunk *chunk = chunk_at(worker, seq);
		uint64_t word = atomic_load(page_slot(worker->page, seq));
		if (!chunk->pending)
			continue;
		if (word >> 32 != seq || (word & PAGE_BEGUN_MAX) == 0)
			break;
		at = chunk;
	}
	return at;
}

bool worker_has_waiting(struct worker *worker)
{
	if (worker->pending == 0 || !worker->page)
		return false;
	/* They begin in order, so the newest tells. */
	struct chunk *chunk = chunk_at(worker, worker->next_seq - 1);
	uint64_t word = atomic_load(page_slot(worker->page, chunk->seq));
	return chunk->pending && (word & PAGE_BEGUN_MAX) < chunk->range.count;
}

bool worker_runs(struct worker *worker)
{
	struct chunk *chunk = worker_current(worker);
	if (!chunk || !worker->page)
		return chunk;
	uint64_t word = atomic_load(page_slot(worker->page, chunk->seq));
	return word >> 32 == chunk->seq && (word & PAGE_BEGUN_MAX) > chunk->answered;
}

uint32_t worker_begun(const struct worker *worker, const struct chunk *chunk)
{
	if (!worker->page)
		return chunk->range.count;
	uint64_t word = atomic_load(page_slot(worker->page, chunk->seq));
	uint32_t begun = word & PAGE_BEGUN_MAX;
	if (word >> 32 != chunk->seq || begun > chunk->range.count || begun < chunk->answered)
		return chunk->range.count;
	return begun;
}

struct element worker_oldest(struct worker *worker)
{
	struct chunk *chunk = worker_current(worker);
	if (!chunk || worker_begun(worker, chunk) == chunk->answered)
		return (struct element){0};
	return (struct element){chunk, chunk->answered};
}

struct element worker_newest(struct worker *worker)
{
	if (!worker->page)
		return worker_oldest(worker);
	for (uint32_t seq = worker->next_seq; seq != worker->oldest_seq; seq--) {
		struct chunk *chunk = chunk_at(worker, seq - 1);
		uint32_t begun = chunk->pending ? worker_begun(worker, chunk) : 0;
		if (begun > 0 && begun > chunk->answered)
			return (struct element){chunk, begun - 1};
	}
	return (struct element){0};
}

bool worker_stops(const struct worker *worker, struct element element)
{
	const struct stop *stop = &worker->stop;
	return stop->reason != STOP_NONE && stop->seq == element.chunk->seq &&
	       stop->index == element.index;
}

struct chunk *worker_match(struct worker *worker, uint32_t seq, uint32_t first, uint32_t count)
{
	struct chunk *chunk = worker_current(worker);
	if (!chunk || chunk->seq != seq || first != chunk->answered || count == 0 ||
	    count > chunk->range.count - chunk->answered)
		return NULL;
	return chunk;
}

void worker_answer(struct worker *worker, struct chunk *chunk, uint32_t count)
{
	chunk->answered += count;
	worker->tasks += count;
	worker->seen = 0;
	if (chunk->answered == chunk->range.count)
		worker_forget(worker, chunk);
}

uint32_t worker_revoke(struct worker *worker, struct chunk *chunk)
{
	if (!worker->page)
		return chunk->range.count;
	int64_t begun = page_take_back(worker->page, chunk->seq, chunk->range.count);
	if (begun < 0 || (uint32_t)begun < chunk->answered)
		return chunk->range.count;
	return (uint32_t)begun;
}

bool worker_revoke_all(struct worker *worker)
{
	bool later_begun = false;
	if (!worker->page)
		return false;
	/* Messages are run in order: before one that has begun, all are through. From the newest
	 * on, so that one that still lives cannot begin what follows. */
	for (uint32_t seq = worker->next_seq; seq != worker->oldest_seq; seq--) {
		const struct chunk *chunk = chunk_at(worker, seq - 1);
		if (!chunk->pending)
			continue;
		int64_t begun = page_take_back(worker->page, chunk->seq, chunk->range.count);
		if (begun < chunk->answered || (later_begun && begun < chunk->range.count))
			return false;
		later_begun = later_begun || begun > 0;
	}
	return true;
}

struct range worker_find_tasks(struct chunk *chunk, uint32_t first, uint32_t count)
{
	uint32_t task = chunk->range.first + first;
	assert(task >= chunk->behind.first);
	if (task > chunk->behind.first)
		range_cut(&chunk->behind, task - chunk->behind.first, SIZE_MAX);
	return range_cut(&chunk->behind, count, SIZE_MAX);
}

double worker_cut(struct worker *worker, struct chunk *chunk, uint32_t count)
{
	uint32_t off = chunk->range.count - count;
	double off_us = chunk->estimate_us * off / chunk->range.count;
	chunk->range.count = count;
	chunk->estimate_us -= off_us;
	worker->backlog_us -= off_us;
	return off_us;
}

void worker_forget(struct worker *worker, struct chunk *chunk)
{
	assert(chunk->pending && chunk->job->assigned > 0);
	chunk->pending = false;
	chunk->job->assigned--;
	worker->pending--;
	worker->backlog_us = worker->pending > 0 ? worker->backlog_us - chunk->estimate_us : 0;
	while (worker->oldest_seq != worker->next_seq &&
	       !chunk_at(worker, worker->oldest_seq)->pending)
		worker->oldest_seq++;
}
