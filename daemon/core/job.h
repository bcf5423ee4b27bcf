/* SPDX-License-Identifier: MIT */
/*
 * A job: what a client submitted and what has become of it. An apply is a job of one task, a map of
 * n.
 *
 * The state changes only in job_step(), by a table of state and event; the last three states are
 * final and entered once. A job also knows which of its tasks still have to be handed to a worker
 * (ranges of items, cut from the request's own bytes) and collects their results in any order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/outcome.h"
#include "core/span.h"
#include "core/timer_heap.h"

struct flow;
struct function;
struct nesting;
struct session;
struct subscription;
struct user;
struct wait;

enum job_state {
	JOB_WAITING, /* no task has been handed to a worker */
	JOB_RUNNING,
	JOB_DONE,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATE_COUNT,
};

enum job_event {
	JOB_ASSIGN,    /* a worker was given some of it */
	JOB_TAKE_BACK, /* all that was assigned was taken back before it began */
	JOB_RETRY,     /* an apply: its task failed, and is to run again after a pause */
	JOB_SUCCEED,
	JOB_FAIL,
	JOB_CANCEL,
	JOB_EVENT_COUNT,
};

/* Consecutive tasks and the bytes of their items, which lie in the job's request. */
struct range {
	uint32_t first;
	uint32_t count;
	const uint8_t *data;
	size_t size;
};

/* Cuts the first elements off a range: at most count_max (1 or more), of together about size_max
 * bytes, but at least one. */
struct range range_cut(struct range *range, uint32_t count_max, size_t size_max);

/* Tasks that were handed out and wait again: they were taken back before they began, or failed and
 * are to be retried. */
struct returned {
	struct range range;
	uint32_t attempt;   /* that their next run will be, from 1 */
	struct job *job;    /* while in a pause before that */
	struct timer pause; /* its end */
	TAILQ_ENTRY(returned) in_job;
};

TAILQ_HEAD(returned_list, returned);
LIST_HEAD(wait_list, wait);
LIST_HEAD(subscription_list, subscription);

/* What a kept job counts beyond its value. */
#define JOB_KEPT_BYTES 400

/* What only maps have. */
struct map;

/* What few jobs have: allocated when the first of it is needed (job_need_extra). */
struct job_extra {
	struct blob *progress;        /* what a task of it told last, while it runs; or NULL */
	uint64_t timeout_us;          /* that a task of it may run; 0: any time */
	struct procpool_value kwargs; /* lie in the request; size 0: none */
	struct procpool_value pickle; /* likewise */
	struct wait_list waits;
	struct subscription_list subscriptions;
	struct job *job;
	struct nesting *nesting; /* owned; NULL: neither has a parent nor calls others */
	bool expires;
	bool expiry_deferred;        /* to the end of a turn, once */
	uint64_t expires_us;         /* from its acceptance on */
	struct timer expiry;         /* when what has not begun fails; or more of it */
	uint32_t retries;            /* how often a task that failed may run again */
	uint32_t attempt;            /* the highest that a worker was given; 0: none */
	uint32_t next_attempt;       /* of an apply; 0: the first */
	uint32_t retry_count;        /* struct returned that exist for retries */
	uint32_t retries_charged;    /* and as many as the session was charged for */
	uint32_t paused_tasks;       /* failed, and not to be handed out yet */
	struct returned_list paused; /* those */
};

/*
 * A hundred thousand of these may wait, so their size matters: what only few jobs need belongs into
 * struct job_extra, what only maps need into struct map.
 */
struct job {
	uint64_t id;
	enum job_state state : 8;
	bool star;           /* items are argument lists; always so for an apply */
	bool collect;        /* errors do not end the map */
	bool stream;         /* results are pushed as they come and not kept */
	bool values;         /* then: those that are no errors as bare values, not as pairs */
	bool async;          /* answered with the id, then a push; kept when finished */
	bool detached;       /* survives its session */
	bool queued;         /* in its flow's queue */
	bool kept;           /* finished, and kept to be fetched */
	int8_t priority;     /* TASK_PRIORITY_MIN to _MAX */
	bool newest_request; /* for its request table, like the links below */
	unsigned assigned;   /* chunks at workers; each refers to this job */
	uint32_t msgid;      /* of the request, if not async */
	uint32_t finished;   /* tasks that have ended */

	struct session *session;
	struct function *function;
	struct flow *flow;
	struct map *map;         /* NULL: an apply */
	struct job_extra *extra; /* NULL: has nothing of it */

	struct blob *request; /* holds items, kwargs and pickle; NULL once kept */
	struct range whole;   /* all tasks */
	union {
		struct outcome outcome; /* once it has ended */
		struct {                /* until then, if it answers a request */
			struct job *older_request;
			struct job *next_request;
		};
	};

	uint64_t submitted_us; /* monotonic */
	uint64_t since_us;     /* entered its state */
	uint64_t ran_us;       /* sum over its tasks */
	uint64_t waited_us;    /* until it first ran */

	TAILQ_ENTRY(job) in_session; /* its jobs; its kept ones once ended */
	TAILQ_ENTRY(job) in_queue;   /* the flow's; its user's kept ones once ended */
};

TAILQ_HEAD(job_list, job);

/*
 * A job over `whole` (apply: one task whose item is the array of arguments), which lies in
 * `request`. Shares or copies the request. NULL without memory.
 */
struct job *job_create(bool is_map, struct span request, struct range whole);
void job_destroy(struct job *job);

/* What it has, made if it has none yet. NULL without memory. */
struct job_extra *job_need_extra(struct job *job);

/* Named arguments; size 0: none. */
static inline struct procpool_value job_kwargs(const struct job *job)
{
	return job->extra ? job->extra->kwargs : (struct procpool_value){0};
}

/* What its runtime is told of pickles: true, or the bytes of one; size 0: nothing. */
static inline struct procpool_value job_pickle(const struct job *job)
{
	return job->extra ? job->extra->pickle : (struct procpool_value){0};
}

/* Nobody asks any more how far it has come. */
void job_drop_progress(struct job *job);

/* How long a task of it may run; 0: any time. */
static inline uint64_t job_timeout_us(const struct job *job)
{
	return job->extra ? job->extra->timeout_us : 0;
}

/* The state that an event leads to; JOB_STATE_COUNT where it may not happen. */
enum job_state job_next_state(enum job_state state, enum job_event event);

/* Takes the event; asserts that it may happen. */
void job_step(struct job *job, enum job_event event, uint64_t now_us);

const char *job_state_name(enum job_state state);
bool job_ended(const struct job *job);

/* The chunk size its caller asked for; 0: none. Asserts a map. */
void job_set_chunksize(struct job *job, uint32_t chunksize);
uint32_t job_chunksize(const struct job *job);

/* Whether some of its tasks can be handed out. */
bool job_has_tasks(const struct job *job);

/* How many tasks are to be handed out, those in a pause included. */
uint32_t job_tasks_left(const struct job *job);

/* How many tasks have never been handed out, or were taken back before they had begun once. */
uint32_t job_tasks_unbegun(const struct job *job);

/* Takes up to count_max tasks of together about size_max bytes (at least one), in order, all to be
 * run in the same attempt. */
struct range job_take(struct job *job, uint32_t count_max, size_t size_max, uint32_t *ret_attempt);

/* The tail of a range, from its task `begun` on, becomes available again; *range keeps the rest.
 * 0, or -ENOMEM, and then nothing has changed. */
int job_give_back(struct job *job, struct range *range, uint32_t begun, uint32_t attempt);

/* Tasks that failed wait for their next attempt, and are not available before job_resume(). Of a
 * job with extra->retries. NULL without memory. */
struct returned *job_pause(struct job *job, struct range range, uint32_t attempt);
void job_resume(struct returned *returned);

/* The first of those that job_tasks_unbegun() counts, of which there must be one. */
uint32_t job_first_unbegun(const struct job *job);

/* A map: all that job_tasks_unbegun() counts will not be handed out any more, but is to fail, and
 * is returned by job_take_expired(), up to count_max at a time (count 0: no more). */
void job_expire(struct job *job);
struct range job_take_expired(struct job *job, uint32_t count_max);

/* The highest attempt of a task that has been handed out, 1 or more. */
uint32_t job_attempt(const struct job *job);

/* No further task will be taken from it. */
void job_drop_tasks(struct job *job);

/*
 * Records the values of tasks first, first+1, … (well-formed, `count` of them in a row).
 * With collect, they become pairs. 0, or -ENOMEM.
 */
int job_add_values(struct job *job, uint32_t first, uint32_t count, struct span values);

/* With collect: records that task `index` failed. 0, or -ENOMEM. */
int job_add_error(struct job *job, uint32_t index, struct procpool_value error);

/* The values as the whole result, once all tasks have finished. A held span; size 0 without memory.
 */
struct span job_assemble(struct job *job);

/* Bytes that job_assemble() would make. */
uint64_t job_result_size(const struct job *job);
