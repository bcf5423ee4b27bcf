/* SPDX-License-Identifier: MIT */
/*
 * The daemon's mind: jobs, queues, scheduling, the lives of workers, sessions, limits.
 *
 * Pure: no descriptors, no clock, no loop. What happened is told by function calls with the time;
 * what is to be done comes back as actions, which the caller executes in order before it tells the
 * next thing that happened. So all of it is tested without a process or a socket.
 *
 * Who tells what: io/requests.c the calls of clients, io/runtime_messages.c what runtimes say,
 * io/server.c time and the turn of the loop (core_schedule).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/account.h"
#include "core/grants.h"
#include "core/histogram.h"
#include "core/job_table.h"
#include "core/names.h"
#include "core/outcome.h"
#include "core/pool.h"
#include "core/session.h"
#include "core/timer_heap.h"
#include "core/update.h"
#include "proto/limit_table.h"

enum action_type {
	ACTION_REPLY,         /* session, msgid, outcome */
	ACTION_PUSH_RESULT,   /* session, job_id, function, outcome, waited_us, ran_us */
	ACTION_PUSH_ITEMS,    /* session, job_id, first, outcome.value: an array of pairs */
	ACTION_PUSH_VALUES,   /* session, job_id, first, count, outcome.value: values in a row */
	ACTION_PUSH_EVENT,    /* session, outcome.value: a map */
	ACTION_START_RUNTIME, /* runtime */
	ACTION_STOP_RUNTIME,  /* runtime: end of file */
	ACTION_KILL_RUNTIME,  /* runtime */
	ACTION_START_WORKER,  /* worker: ask its spawner, or exec */
	ACTION_STOP_WORKER,   /* worker: end of file */
	ACTION_KILL_WORKER,   /* worker */
	ACTION_SEND_TASK,     /* worker, chunk */
	ACTION_CHECK_WORKER,  /* worker: tell health_judge() of it */
	ACTION_NOTE_SLOW, /* worker, function, job_id, uid, ran_us, how; first, count: of a map */
	ACTION_NOTE_END,  /* function, job_id, session (or NULL), uid, count, how, waited_us, ran_us
			   */
	ACTION_STOP_TASK, /* worker: tell it to look at its page; the signal it wants */
	ACTION_UPDATED,   /* outcome: of an update (update.h), when all pools have settled */
};

/* Pointers are valid until the next thing is told to the core. */
struct action {
	enum action_type type;
	uint32_t msgid;
	uint32_t first;
	uint32_t count;
	uint64_t job_id;
	struct session *session;
	struct runtime *runtime;
	struct worker *worker;
	struct chunk *chunk;
	struct function *function;
	struct outcome outcome; /* holds a reference where value.blob is set: action_fini() */
	uint64_t waited_us;
	uint64_t ran_us;
	uid_t uid;       /* whose job it is */
	const char *how; /* static: "done", "cancelled", "running", or the code of an error */
};

struct core_stats {
	uint64_t accepted;
	uint64_t ended[JOB_STATE_COUNT]; /* by final state */
	uint64_t tasks_begun, tasks_finished;
	uint64_t lost;            /* pushes dropped */
	struct histogram waiting; /* until a task was handed to a worker */
	struct histogram running;
};

struct core {
	struct limits limits;
	struct account_limit user_limits[RESOURCE_COUNT];
	struct account_limit session_limits[RESOURCE_COUNT];
	struct account_limit root_limits[RESOURCE_COUNT];
	struct account root;
	uid_t own_uid;
	struct grants grants;
	unsigned grant; /* the number of the daemon's own lists */

	struct user *users; /* hash by uid */
	struct job_table jobs;
	uint64_t running_jobs; /* of those under way, in JOB_RUNNING */
	TAILQ_HEAD(, pool) pools;
	STAILQ_HEAD(, pool) dirty;
	uint64_t marks; /* how often one became dirty: whether anything may have changed */
	STAILQ_HEAD(, pool) ended; /* to be freed at the next turn, but for what kept jobs need */
	struct timer_heap timers;
	uint64_t last_session_id;
	unsigned session_count;        /* with a connection */
	LIST_HEAD(, session) sessions; /* those */
	TAILQ_HEAD(, session) closing; /* without one, and with jobs to be cancelled */
	struct timer close_timer;
	LIST_HEAD(, session) callers; /* that keep a worker while they wait (nesting.h) */
	bool workers_left;            /* since it was last looked for a deadlock */
	struct timer health_timer;
	struct names names;

	struct update_list updates; /* that wait for pools to settle */
	unsigned updating_count;    /* of these pools */
	bool updating;              /* while one is being made */

	struct subscription_list subscriptions; /* to everything */
	unsigned subscription_count;
	uint64_t last_mark;
	unsigned kept_count;
	uint64_t random;          /* state of random.h */
	uint64_t forgotten_bytes; /* of jobs that were kept, ever */

	bool notes_ends; /* each end of a job is an action, to be logged */
	bool stopping;
	struct timer grace_timer;
	bool grace_over;

	struct action *actions; /* [action_next, action_count) are to be executed */
	size_t action_next, action_count, action_capacity;
	struct core_stats stats;
};

/* first_job_id: 1 to JOB_ID_MAX, random. seed: of what else is left to chance. 0 or -ENOMEM. */
int core_init(struct core *core, const struct limits *limits, uid_t own_uid, uint64_t first_job_id,
	      uint64_t seed);
/* After core_stop() and the end of all sessions and processes. */
void core_fini(struct core *core);

/* Other limits, in force at once. What is beyond them already stays. */
void core_set_limits(struct core *core, const struct limits *limits);

/* The next thing to do; false if there is none. To be ended with action_fini(). */
bool core_next_action(struct core *core, struct action *ret);
void action_fini(struct action *action);

/* Adds a pool, with a reference to the spec, and starts it. One of the same name may still wind up.
 * NULL without memory. */
struct pool *core_add_pool(struct core *core, struct pool_spec *spec, uint64_t now_us);
/* The pool of that name if the session has a right in it, or NULL: for it there is none. */
struct pool *core_find_pool(struct core *core, const struct session *session, const char *name,
			    size_t name_size);
/* Likewise, if it has one of these rights there; or NULL and *ret_error: no-such-pool, or denied
 * where it may know of it. */
struct pool *core_need_pool(struct core *core, const struct session *session, struct slice name,
			    unsigned rights, struct outcome *ret_error);

/*
 * The lists of who may do what without any pool, and of who may connect while there is none; at
 * first nobody but root and the daemon's own user. Those of pools are given with their specs, and
 * changed by pool_set_access(). Both are in force at once, also for who is connected: subscribers
 * are pushed only what they may still see, waits end as denied or no-such-job where they may not be
 * answered any more. 0, or -ENOMEM: nothing has changed.
 */
int core_set_access(struct core *core, const struct access *access);

/* Hands out waiting tasks: once a turn of the loop, after everything that happened in it was told.
 */
void core_schedule(struct core *core, uint64_t now_us);

/* When core_timers() is next due, or TIME_NEVER. */
uint64_t core_next_timer(const struct core *core);
void core_timers(struct core *core, uint64_t now_us);

/*
 * Begins to end: nothing is accepted, waiting jobs fail as shutting-down, running ones may finish
 * until grace_us are over. Workers and runtimes are stopped when nothing runs. Again: only to
 * shorten that time.
 */
void core_stop(struct core *core, uint64_t grace_us, uint64_t now_us);
/* Whether all processes have ended. */
bool core_stopped(const struct core *core);

/* ---- sessions ---- */

/* Whether whoever that is has some right: all others are to be refused. */
bool core_admits(const struct core *core, const struct identity *identity);

/* Takes the identity over, which is empty then in any case. NULL: *ret_limit names the limit that
 * forbids it (or is NULL without memory). */
struct session *core_session_open(struct core *core, struct identity *identity, struct peer *peer,
				  const char **ret_limit);

/* The connection is gone: its jobs are cancelled unless detached. The session is freed, now or with
 * its last job. */
void core_session_close(struct core *core, struct session *session, uint64_t now_us);

/* Whether none of the session's tasks are to begin, because it does not read. */
void core_session_block(struct core *core, struct session *session, bool blocked);

/* ---- what clients ask for. Errors come in *ret_error, a held outcome. ---- */

struct submission {
	bool is_map;
	bool async; /* answered with the job's id by the caller, later a push; else a reply to msgid
		     */
	uint32_t msgid;
	const char *function;
	size_t function_size;
	const char *pool; /* NULL: any */
	size_t pool_size;
	struct span message;          /* what args, kwargs and pickle lie in */
	struct procpool_value args;   /* an array: arguments, or items */
	struct procpool_value kwargs; /* size 0: none */
	struct procpool_value pickle; /* true, or bytes; size 0: none */
	uint32_t chunksize;           /* 0: none */
	uint64_t timeout_us;          /* 0: none */
	bool star, collect, stream, values, detach;
	int8_t priority;
	uint32_t retries;
	bool expires;
	uint64_t expires_us;
	uint64_t parent; /* id of a job; 0: none */
};

/* Accepts a job: returns its id, or 0 and *ret_error. May end it at once (an empty map). */
uint64_t core_submit(struct core *core, struct session *session,
		     const struct submission *submission, uint64_t now_us,
		     struct outcome *ret_error);

/*
 * The job if the session has that right to it (session_job_rights()), or NULL and *ret_error:
 * no-such-job, or denied where it may know of it. ACCESS_OBSERVE: to know of it; ACCESS_ADMINISTER:
 * its result, and to end it.
 */
struct job *core_find_job(struct core *core, const struct session *session, uint64_t id,
			  enum access_right right, struct outcome *ret_error);

/* The newest request of the session with that msgid that is under way, or NULL and *ret_error. */
struct job *core_find_request(struct session *session, uint32_t msgid, struct outcome *ret_error);

/* Replies to msgid when the job has ended, or as not-ready at until_us (TIME_NEVER; now or before:
 * at once). False: *ret_error. */
bool core_wait(struct core *core, struct session *session, uint32_t msgid, struct job *job,
	       uint64_t until_us, uint64_t now_us, struct outcome *ret_error);

/* What a cancel did. */
struct cancellation {
	uint64_t job_id;
	bool cancelled;
	enum job_state state;
	uint32_t begun;
	unsigned running; /* tasks that ran and are being stopped */
};
struct cancellation core_cancel(struct core *core, struct job *job, uint64_t now_us);

/* Subscribes to a job, a pool, or (both NULL) everything; pushes the result of a job that has
 * ended. Twice is once. False: *ret_error. */
bool core_subscribe(struct core *core, struct session *session, struct job *job, struct pool *pool,
		    struct outcome *ret_error);
/* Whether there was such a subscription. */
bool core_unsubscribe(struct core *core, struct session *session, struct job *job,
		      struct pool *pool);

/* Replies to msgid with {pool, generation} when fresh code serves, or why it does not. False:
 * *ret_error. */
bool core_recycle(struct core *core, struct session *session, uint32_t msgid, struct pool *pool,
		  uint64_t now_us, struct outcome *ret_error);

/*
 * Pools of sessions' own. Who may open one is the caller's to decide.
 *
 * _open   takes a reference to the spec and gives it its name. Replies to msgid when its first
 * worker is ready, or when it is gone again because it could not be opened.
 * _close, _terminate   begin to end it (pool_life.h).
 * _join   replies to msgid when it has ended, or as not-ready at until_us.
 *
 * These take the pool's name: one that the session opened and that has gone is closed and joined,
 * too. False: *ret_error.
 */
bool core_open_pool(struct core *core, struct session *session, uint32_t msgid,
		    struct pool_spec *spec, uint64_t now_us, struct outcome *ret_error);
bool core_close_pool(struct core *core, struct session *session, struct slice name, uint64_t now_us,
		     struct outcome *ret_error);
bool core_terminate_pool(struct core *core, struct session *session, struct slice name,
			 uint64_t now_us, struct outcome *ret_error);
bool core_join_pool(struct core *core, struct session *session, uint32_t msgid, struct slice name,
		    uint64_t until_us, uint64_t now_us, struct outcome *ret_error);

/* ---- what workers answer. False: nonsense, end the worker. ---- */

/* Values of `count` tasks of message seq from task `first` on, one after the other; took us
 * together. */
bool core_worker_values(struct core *core, struct worker *worker, uint32_t seq, uint32_t first,
			uint32_t count, uint64_t us, struct span values, uint64_t now_us);
bool core_worker_error(struct core *core, struct worker *worker, uint32_t seq, uint32_t index,
		       uint64_t us, struct procpool_value error, uint64_t now_us);

/* A task told of its progress. Ignored where it is not what runs. */
void core_worker_progress(struct core *core, struct worker *worker, uint32_t seq, uint32_t index,
			  struct procpool_value value, uint64_t now_us);

/* ---- between the parts of core ---- */

/* Appends an action to be filled in; never NULL. */
struct action *core_add_action(struct core *core, enum action_type type);

/* The pool of that name, or NULL. Of several that which is open, or was last. */
struct pool *core_pool_named(struct core *core, struct slice name);

/* The pool has something for core_schedule() to look at. */
void core_mark_dirty(struct core *core, struct pool *pool);

/* The job has ended so (outcome taken over): all who wait are told, what is at workers is taken
 * back or dropped, and stopped where it runs, and it is kept or freed. Returns how many of its
 * tasks run and are being stopped. */
unsigned core_end_job(struct core *core, struct job *job, enum job_event event,
		      struct outcome outcome, uint64_t now_us);

/* Tasks [first, first+count) of the job failed alike (error borrowed). Ends the job where that is
 * its end. */
void core_fail_tasks(struct core *core, struct job *job, uint32_t first, uint32_t count,
		     const struct outcome *error, uint64_t now_us);

/* The worker has gone; what it had begun fails, the rest waits again. */
void core_worker_lost(struct core *core, struct worker *worker, const struct outcome *error,
		      uint64_t now_us);

/*
 * Takes back what of a chunk has not begun: it waits again, before its session's other jobs, or is
 * dropped with a job that has ended. The chunk is no longer pending if that leaves nothing
 * unanswered. Returns how many tasks have begun and are not answered.
 */
uint32_t core_take_back(struct core *core, struct worker *worker, struct chunk *chunk,
			uint64_t now_us);

/* Takes back all that the worker has not begun. */
void core_recall_worker(struct core *core, struct worker *worker, uint64_t now_us);

/* Every waiting job of the pool fails so (error borrowed). */
void core_fail_waiting(struct core *core, struct pool *pool, const struct outcome *error,
		       uint64_t now_us);

/* Takes back what of the job workers have not begun (core_take_back); drop: it has ended, what runs
 * is not listened to and stops. Returns how many tasks that are. */
unsigned core_recall(struct core *core, struct job *job, bool drop, uint64_t now_us);

/* Ends a map whose tasks have all finished, as when it has none. */
void core_finish_map_if_done(struct core *core, struct job *job, uint64_t now_us);

/* Cancels more of the jobs of sessions that are closing. */
void core_close_sessions(struct core *core, uint64_t now_us);

/* One job less refers to the function. */
void core_release_function(struct core *core, struct function *function);

/* A job that has ended, and that no worker has anything of, is gone with its struct. */
void core_free_job(struct core *core, struct job *job);
/* Keeps a job that has ended. False: there is no room for it. */
bool core_keep_job(struct core *core, struct job *job, uint64_t now_us);
/* A kept job is not kept any longer. */
void core_forget_job(struct core *core, struct job *job);
/* Forgets what a user's kept jobs have exceeded their time. */
void core_expire_kept(struct core *core, struct user *user, uint64_t now_us);

/* Replies with an outcome (borrowed). */
void core_reply(struct core *core, struct session *session, uint32_t msgid,
		const struct outcome *outcome);

/* Answers with the outcome (borrowed), if its session still may know it. */
void core_answer_wait(struct core *core, struct wait *wait, const struct outcome *outcome);
void core_drop_wait(struct core *core, struct wait *wait);
/* A wait whose time is over. */
void core_wait_over(struct core *core, struct wait *wait);
void core_drop_subscription(struct core *core, struct subscription *subscription);
void core_session_unref(struct core *core, struct session *session);
