/* SPDX-License-Identifier: MIT */
/*
 * A worker: its lifecycle, and the task messages that were sent to it and not answered in full.
 *
 * The state changes only in worker_step(), by a table of state and event. Messages are numbered one
 * after the other and answered in order; each covers a range of one job's tasks, a chunk. Of a
 * worker with a page, what has not begun can be taken back at any time. Everything that a worker
 * says is checked against the chunks; a contradiction is reported, and the caller ends the worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "core/job.h"
#include "core/timer_heap.h"
#include "proto/page.h"

struct channel;
struct pool;
struct runtime;

enum worker_state {
	WORKER_STARTING, /* being forked or loading */
	WORKER_IDLE,
	WORKER_BUSY,
	WORKER_HALTING,  /* what it runs is asked to stop; nothing more is assigned until it has */
	WORKER_STOPPING, /* told to end, or killed; its exit is awaited */
	WORKER_LOST,     /* it has exited */
	WORKER_STATE_COUNT,
};

enum worker_event {
	WORKER_READY,
	WORKER_ASSIGN, /* it was sent a chunk */
	WORKER_DRAIN,  /* all that it was sent is answered or taken back */
	WORKER_HALT,   /* what it runs was asked to stop */
	WORKER_RESUME, /* that has ended */
	WORKER_STOP,
	WORKER_EXIT,
	WORKER_EVENT_COUNT,
};

/* One task message under way. */
struct chunk {
	struct job *job;    /* referred to by job->assigned */
	struct range range; /* what the worker is to answer; the tail is cut off when taken back */
	uint32_t answered;  /* tasks of the range */
	uint32_t seq;
	uint32_t attempt;    /* of its tasks, from 1 */
	struct range behind; /* what of the range lies behind the last task looked for */
	bool pending;        /* sent, and not all answered */
	bool dropped;        /* its job has ended: answers are ignored */
	double estimate_us;  /* what it was thought to take */
	uint64_t sent_us;
};

/* A task of a chunk. */
struct element {
	struct chunk *chunk; /* NULL: none */
	uint32_t index;      /* in the chunk */
};

enum stop_reason {
	STOP_NONE,
	STOP_TIMEOUT,
	STOP_UNWANTED, /* its job has ended */
};

/* The element that is to stop (core/stop.h). */
struct stop {
	enum stop_reason reason;
	bool asked; /* false: its worker is killed without */
	uint32_t seq, index;
	uint64_t began_us;
};

struct worker {
	struct pool *pool;
	struct runtime *runtime; /* that it was started from */
	struct channel *channel; /* its socket, for whoever executes actions; NULL: none */
	unsigned number;         /* in its pool, from 1 */
	pid_t pid;               /* 0: not known yet */
	enum worker_state state;
	bool was_ready;
	bool unforked;           /* its spawner was asked for it, and has not told of it */
	bool killed;             /* its end was ordered, not asked for */
	bool ordered;            /* that, by an administrator */
	bool retired;            /* another has taken its place */
	const char *kill_reason; /* why, for people; static; or NULL */
	uint64_t since_us;       /* entered its state */
	uint64_t ready_us;       /* was ready */
	struct page *page;       /* NULL: it has none */
	struct timer deadline;   /* by when it has to be ready, or gone */

	struct stop stop;
	struct timer watch; /* of what runs: when it may be over its time, or has to have stopped */
	uint64_t seen;    /* page_element() of what was seen to run and is not answered; 0: none */
	uint64_t seen_us; /* when first */
	uint64_t slow;    /* page_element() of the last that was noted to be slow; 0: none was */
	double told;      /* of its progress, lately (progress.c) */
	uint64_t told_us;

	struct chunk *chunks; /* PAGE_SLOTS of them: that of message seq is at seq % PAGE_SLOTS */
	uint32_t oldest_seq;  /* first that may be pending */
	uint32_t next_seq;
	unsigned pending;     /* chunks pending */
	double backlog_us;    /* their estimates together */
	uint64_t progress_us; /* when it last answered, or was given work while idle */
	uint64_t tasks;       /* ended in it */

	bool confined;            /* the system enforces its limit of memory */
	bool out_of_memory;       /* it is killed for want of it */
	uint64_t rss_bytes;       /* its resident memory when it was last looked at */
	uint64_t tasks_looked_at; /* tasks then */
	uint64_t tasks_max;       /* then it is due; UINT64_MAX: never */
	uint64_t rss_max_bytes;   /* likewise */
	bool due;                 /* to be replaced (policy.h) */

	TAILQ_ENTRY(worker) in_pool;
	TAILQ_ENTRY(worker) in_idle; /* while WORKER_IDLE */
};

TAILQ_HEAD(worker_list, worker);

/* WORKER_STARTING; NULL without memory. */
struct worker *worker_create(struct pool *pool, unsigned number, uint64_t now_us);
/* Must have no chunk pending. Frees no page. */
void worker_destroy(struct worker *worker);

/* The state that an event leads to; WORKER_STATE_COUNT where it may not happen. */
enum worker_state worker_next_state(enum worker_state state, enum worker_event event);

/* Takes the event; asserts that it may happen. */
void worker_step(struct worker *worker, enum worker_event event, uint64_t now_us);

const char *worker_state_name(enum worker_state state);

/* Whether it has said ready and is not to end. */
static inline bool worker_serves(const struct worker *worker)
{
	return worker->state == WORKER_IDLE || worker->state == WORKER_BUSY ||
	       worker->state == WORKER_HALTING;
}

/* Whether it can be sent another chunk. */
bool worker_has_room(const struct worker *worker);

/* Enters a chunk as the next message and offers it in the page. Borrowed until it is answered. */
struct chunk *worker_push(struct worker *worker, struct job *job, struct range range,
			  uint32_t attempt, double estimate_us, uint64_t now_us);

/* The oldest chunk that is pending, or NULL: the one that runs. */
struct chunk *worker_current(struct worker *worker);

/*
 * The chunk that it is at, by its page: answers may come later than what follows has begun. The
 * oldest that is pending where nothing says more; NULL if there is none.
 */
struct chunk *worker_at(struct worker *worker);

/* Whether it has not begun all that it was sent. Of a worker with a page. */
bool worker_has_waiting(struct worker *worker);

/* Whether a task of it runs: one has begun and is not answered. Without a page: whenever something
 * is pending. */
bool worker_runs(struct worker *worker);

/*
 * The oldest element that has begun and is not answered; and the newest, which is the one that
 * runs: those before it have ended, and their answers are on their way. Without a page, or where it
 * makes no sense, all of a chunk counts as begun, and the oldest is the one that runs.
 */
struct element worker_oldest(struct worker *worker);
struct element worker_newest(struct worker *worker);

/* How many of a chunk's tasks have begun, by the page: those may since be more. */
uint32_t worker_begun(const struct worker *worker, const struct chunk *chunk);

/* When the newest element began, at the earliest. */
static inline uint64_t worker_began_us(const struct worker *worker, struct element newest)
{
	uint64_t sent_us = newest.chunk->sent_us;
	return worker->progress_us > sent_us ? worker->progress_us : sent_us;
}

static inline bool element_is(struct element a, struct element b)
{
	return a.chunk == b.chunk && a.index == b.index;
}

/* Whether the worker's stop is of this element. */
bool worker_stops(const struct worker *worker, struct element element);

/*
 * The chunk that an answer for `count` tasks of message seq, beginning with its task `first`,
 * belongs to; NULL where no such answer is due.
 */
struct chunk *worker_match(struct worker *worker, uint32_t seq, uint32_t first, uint32_t count);

/* Counts `count` answers to a chunk; it is no longer pending when they are all there. */
void worker_answer(struct worker *worker, struct chunk *chunk, uint32_t count);

/*
 * How many tasks of the chunk have begun, the rest never will: takes back by the page. Without a
 * page, or where the page makes no sense: all.
 */
uint32_t worker_revoke(struct worker *worker, struct chunk *chunk);

/*
 * Takes back whatever has not begun of all that is pending, of a worker that has gone. False: the
 * words in its page do not make sense together, or there is none: all counts as begun.
 */
bool worker_revoke_all(struct worker *worker);

/*
 * Where tasks of a chunk lie, from its task `first` on. Going through a chunk costs the same
 * however many of its tasks are asked for, so they must be asked for in order.
 */
struct range worker_find_tasks(struct chunk *chunk, uint32_t first, uint32_t count);

/* Cuts a chunk off behind its first `count` tasks, and its estimate with it; returns what was cut
 * off the estimate. */
double worker_cut(struct worker *worker, struct chunk *chunk, uint32_t count);

/* The chunk is no longer pending, whatever is unanswered. */
void worker_forget(struct worker *worker, struct chunk *chunk);
