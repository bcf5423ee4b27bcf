/* SPDX-License-Identifier: MIT */
/*
 * A world for the core to live in: plays io with plain memory and a clock that only tests move.
 *
 * It executes actions, plays spawners and workers, and records what sessions are told. A fake
 * worker keeps the task messages it was sent; it claims and answers them on command, by the page
 * where it has one, exactly as WORKER.md asks of an honest worker. The items of all tasks are
 * integers, and a task's value is its item.
 *
 * By default processes start and end as soon as they are told to; a test that sets `manual` tells
 * what happens to them itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/core.h"
#include "core/health.h"

/* A task message that a fake worker was sent. */
struct fake_message {
	uint32_t seq;
	uint32_t count;
	uint32_t attempt;
	uint32_t claimed;
	uint32_t answered;
	bool taken; /* the rest was taken back */
	bool timed; /* its tasks have a timeout: each beginning is noted in the page */
	uint64_t job_id;
	uint32_t first;
	uint64_t *items;
	TAILQ_ENTRY(fake_message) next;
};

struct fake_worker {
	struct worker *worker;
	struct page *page; /* plain memory, or NULL */
	bool told_to_stop, told_to_die;
	struct health_report report; /* what an inspection finds; by default that it waits for a
					processor */
	bool inspected;
	unsigned halts; /* how often what it runs was asked to stop */
	TAILQ_HEAD(, fake_message) messages;
	TAILQ_ENTRY(fake_worker) next;
};

struct fake_runtime {
	struct pool *pool;
	struct runtime *runtime; /* NULL: it is not started, or has ended */
	struct runtime_abilities abilities;
	bool present; /* started, and not a worker */
	bool told_to_stop, told_to_die;
	const char *const *functions; /* NULL-terminated */
	TAILQ_ENTRY(fake_runtime) next;
};

/* A connection: what a session's peer points to. */
struct fake_peer {
	struct session *session;
	bool blocked; /* its output is full */
	TAILQ_ENTRY(fake_peer) next;
};

/* Something that a session was told. */
struct record {
	enum action_type type;
	struct session *session;
	uint32_t msgid;
	uint32_t first;
	uint64_t job_id;
	enum error_code code;
	uint8_t *data; /* owned: the value or error; of bare values an array of them */
	size_t size;
};

struct world {
	struct core core;
	uint64_t now_us;
	bool manual;
	bool settling;
	uint32_t last_msgid;
	unsigned updates_done;

	TAILQ_HEAD(, fake_runtime) runtimes;
	TAILQ_HEAD(, fake_worker) workers;
	TAILQ_HEAD(, fake_peer) peers;
	struct record *records;
	size_t record_count;

	/* Told of each task begun, of those about to be answered, and of each record; or NULL. */
	void (*on_begin)(struct world *world, struct fake_message *message, uint32_t index);
	void (*on_answer)(struct world *world, struct fake_message *message, uint32_t count,
			  bool failed);
	void (*on_record)(struct world *world, const struct record *record);
	/* Of what is only to be logged; or NULL. */
	void (*on_note)(struct world *world, const struct action *action);
	void *data;
};

/* limits NULL: the defaults. */
struct world *world_create(const struct limits *limits);
/* Closes all sessions, stops the core and lets every process end; core_fini() checks the rest. */
void world_destroy(struct world *world);

/* How a pool's runtime is. */
enum fake_kind {
	FAKE_EXEC,      /* does not fork, has no page */
	FAKE_EXEC_PAGE, /* does not fork */
	FAKE_FORK,      /* a spawner, workers without a page */
	FAKE_FORK_PAGE,
};
struct pool *world_add_pool(struct world *world, const char *name, unsigned workers,
			    enum fake_kind kind, const char *const *functions);
/* One of that spec, taken over. Everybody may call where it does not say who may. */
struct pool *world_add_pool_of(struct world *world, struct pool_spec *spec, enum fake_kind kind,
			       const char *const *functions);

/* Plays the runtime of a pool that was just added to the core. */
struct fake_runtime *world_play(struct world *world, struct pool *pool, enum fake_kind kind,
				const char *const *functions);

/* A pool that the session opens, with the next msgid; it must be allowed. Borrowed from the core:
 * goes when the pool does. */
struct pool *world_open_pool(struct world *world, struct session *session, unsigned workers,
			     enum fake_kind kind, const char *const *functions);

/* A session of this user; it must be allowed. */
struct session *world_open(struct world *world, uid_t uid);
void world_close(struct world *world, struct session *session);
/* Its output is full: none of its tasks may begin; or no longer. */
void world_block(struct world *world, struct session *session, bool blocked);

/* What world_submit() is to submit: items first_item, first_item + 1, … */
struct call {
	const char *function;
	const char *pool;
	uint64_t first_item;
	uint32_t count; /* of a map */
	uint32_t chunksize;
	uint64_t timeout_us;
	uint32_t padding; /* bytes of a second argument, unless it is a map */
	uint32_t carried; /* bytes of a named argument */
	int8_t priority;
	uint32_t retries;
	uint64_t parent; /* id; 0: none */
	bool expires;
	uint64_t expires_us;
	bool map, async, collect, stream, values, detach;
	bool shared; /* the message comes in a blob, not as borrowed bytes */
};
/* Submits with the next msgid. The job's id, or 0 and its error in *ret_code (may be NULL). */
uint64_t world_submit(struct world *world, struct session *session, struct call call,
		      enum error_code *ret_code);
/* Likewise, with the whole error, held. */
uint64_t world_try(struct world *world, struct session *session, struct call call,
		   struct outcome *ret_error);

/* A job that must be there, found as its owner's session finds it. */
struct job *world_job(struct world *world, struct session *session, uint64_t id);
/* Waits with the next msgid, which is returned. */
uint32_t world_wait(struct world *world, struct session *session, uint64_t id, uint64_t until_us);

/* Recycles the pool with the next msgid, which is returned. */
uint32_t world_recycle(struct world *world, struct session *session, struct pool *pool);

/* Makes the configured pools what these specs say (taken over), with the next msgid, which is
 * returned; session NULL: nobody asked. Those that are added are of this kind. */
uint32_t world_update(struct world *world, struct session *session, struct pool_spec **specs,
		      size_t count, enum fake_kind kind, const char *const *functions);

/* Executes what the core wants until it wants nothing more. */
void world_settle(struct world *world);
/* Lets time pass, stopping at each timer on the way. */
void world_advance(struct world *world, uint64_t us);
/* Answers what was begun, then begins and answers all there is to do, 10 us a task. */
void world_work(struct world *world);

/* The fake of a worker; by place in the order in which they were started. */
struct fake_worker *world_worker(struct world *world, unsigned place);

/* Begins the next task that was not taken back: claims it. False: there is none. */
bool fake_begin(struct world *world, struct fake_worker *fake);
/* Tasks of the oldest message with any that were begun and not answered. */
uint32_t fake_begun(struct fake_worker *fake);
/* Whether the task that runs finds in the page that it is to stop. */
bool fake_is_to_stop(struct fake_worker *fake);
/* Answers the oldest `count` of these with their values; us is for all together. */
void fake_answer(struct world *world, struct fake_worker *fake, uint32_t count, uint64_t us);
/* Answers the oldest of these with function-failed. */
void fake_fail(struct world *world, struct fake_worker *fake, uint64_t us);
/* It is gone: by a signal, or (0) with exit status 1. */
void fake_die(struct world *world, struct fake_worker *fake, int signal);
/* Its spawner tells of a worker that it was asked for. */
void fake_forked(struct world *world, struct fake_worker *fake);
/* A worker that was started (or asked for) becomes ready, or fails to: with what it said, or
 * silently. */
void fake_ready(struct world *world, struct fake_worker *fake);
void fake_not_ready(struct world *world, struct fake_worker *fake, const char *said,
		    bool transient);

/* The first runtime of the pool, which others that serve at the same time are copies of; and the
 * pool's successor, which must be there. */
struct fake_runtime *world_runtime(struct world *world, struct pool *pool);
struct fake_runtime *world_successor(struct pool *pool);

/* The runtime's first process says hello and, if it forks, has loaded; or it is gone. */
void fake_hello(struct world *world, struct fake_runtime *runtime);
void fake_loaded(struct world *world, struct fake_runtime *runtime);
void fake_exit(struct world *world, struct fake_runtime *runtime, const char *said,
	       enum runtime_end how);

/* The reply to a msgid, NULL while there is none; asserts that there is one at most. */
const struct record *world_reply(struct world *world, uint32_t msgid);
/* How often the session was pushed this of the job (0: any). */
unsigned world_count(struct world *world, enum action_type type, struct session *session,
		     uint64_t job_id);
/* The last such push, or NULL. */
const struct record *world_push(struct world *world, enum action_type type, struct session *session,
				uint64_t job_id);
struct procpool_value record_value(const struct record *record);
/* A float likewise. */
double record_double(const struct record *record, const char *key);
/* An integer under a key of an error map; fails the test if there is none. */
int64_t record_int(const struct record *record, const char *key);

/* Checks the core's counters against what can be counted, and that no worker idles while something
 * could be run. Aborts where they differ. */
void world_check(struct world *world);
