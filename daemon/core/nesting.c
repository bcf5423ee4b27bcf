/* SPDX-License-Identifier: MIT */
#include "core/nesting.h"

#include <errno.h>
#include <stdlib.h>

#include "core/container.h"
#include "core/core.h"
#include "core/policy.h"

/* Of a caller's requests, the newest so many are looked at: of thousands that a function makes at
 * once, the newest are those that wait. */
#define LOOKED_AT_MAX 64

static struct nesting *nesting_of(const struct job *job)
{
	return job->extra ? job->extra->nesting : NULL;
}

static struct nesting *need_nesting(struct job *job)
{
	struct job_extra *extra = job_need_extra(job);
	if (extra && !extra->nesting)
		extra->nesting = calloc(1, sizeof(*extra->nesting));
	return extra ? extra->nesting : NULL;
}

int nesting_set_parent(struct job *job, uint64_t parent)
{
	struct nesting *nesting = need_nesting(job);
	if (!nesting)
		return -ENOMEM;
	nesting->parent = parent;
	return 0;
}

/* ---- who waits ---- */

static struct core *core_of(const struct job *job)
{
	return job->function->pool->core;
}

static void leave_parent(struct core *core, struct session *session)
{
	struct job *parent = job_table_find(&core->jobs, session->caller.parent);
	if (parent && nesting_of(parent))
		nesting_of(parent)->callers--;
}

/* The session waits for a child: it keeps a worker of the child's parent, and no longer one of
 * another, whose calls were left behind when it ended. False: without memory. */
static bool become_caller(struct core *core, struct session *session, uint64_t parent_id)
{
	bool is_caller = !LIST_EMPTY(&session->caller.blocking);
	if (is_caller && session->caller.parent == parent_id)
		return true;
	struct job *parent = job_table_find(&core->jobs, parent_id);
	struct nesting *nesting = parent ? need_nesting(parent) : NULL;
	if (parent && !nesting)
		return false;
	if (is_caller)
		leave_parent(core, session);
	else
		LIST_INSERT_HEAD(&core->callers, session, caller.in_core);
	if (nesting)
		nesting->callers++;
	session->caller.parent = parent_id;
	return true;
}

static void cease_to_be_caller(struct core *core, struct session *session)
{
	leave_parent(core, session);
	LIST_REMOVE(session, caller.in_core);
}

static bool enter(struct core *core, struct blocking *blocking, struct session *session,
		  struct job *job)
{
	if (!become_caller(core, session, nesting_parent(job)))
		return false;
	blocking->caller = session;
	blocking->child = job;
	LIST_INSERT_HEAD(&session->caller.blocking, blocking, of_caller);
	return true;
}

void nesting_unblock(struct blocking *blocking)
{
	struct session *session = blocking->caller;
	if (!session)
		return;
	blocking->caller = NULL;
	LIST_REMOVE(blocking, of_caller);
	if (LIST_EMPTY(&session->caller.blocking))
		cease_to_be_caller(core_of(blocking->child), session);
}

void nesting_close(struct session *session)
{
	struct blocking *blocking;
	while ((blocking = LIST_FIRST(&session->caller.blocking)))
		nesting_unblock(blocking);
}

/* ---- whether it can end ---- */

/* Whether some worker that runs the job is not known to be kept by its calls. */
static bool is_free(const struct job *job)
{
	const struct nesting *nesting = nesting_of(job);
	return !nesting || nesting->callers == 0 || nesting->workers > nesting->stuck;
}

/* Whether the pool will get to what waits without anything else: it has an idle worker, or starts
 * one, or may start one. */
static bool has_room(const struct pool *pool)
{
	return !TAILQ_EMPTY(&pool->idle) || pool->ready_count < pool->target ||
	       pool->target < pool->max;
}

static bool is_live(struct pool *pool)
{
	struct worker *worker;
	if (has_room(pool))
		return true;
	/* What is being stopped ends, or is killed, whatever it waits for. */
	TAILQ_FOREACH (worker, &pool->workers, in_pool)
		if (worker->state == WORKER_HALTING ||
		    (worker->state == WORKER_BUSY && is_free(worker_at(worker)->job)))
			return true;
	return false;
}

/* Whether some worker of the pool is kept by no calls at all. */
static bool has_worker_without_calls(struct pool *pool)
{
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		if (worker->state != WORKER_BUSY)
			continue;
		const struct nesting *nesting = nesting_of(worker_at(worker)->job);
		if (!nesting || nesting->callers == 0)
			return true;
	}
	return false;
}

/* Whether a job that a session has begun to wait for will end, as can be told without the other
 * callers. Then all of them are as before: that session is the first to free its worker. */
static bool surely_goes_on(const struct job *child)
{
	struct pool *pool = child->function->pool;
	return has_room(pool) || (job_tasks_left(child) > 0 && has_worker_without_calls(pool));
}

/* Which workers run what the callers are about, and that nothing is known yet. */
static void count_workers(struct core *core)
{
	struct pool *pool;
	struct worker *worker;
	for (int pass = 0; pass < 2; pass++) {
		TAILQ_FOREACH (pool, &core->pools, in_core) {
			TAILQ_FOREACH (worker, &pool->workers, in_pool) {
				struct chunk *chunk = worker_at(worker);
				struct nesting *nesting = chunk ? nesting_of(chunk->job) : NULL;
				if (nesting)
					nesting->workers = pass == 0 ? 0 : nesting->workers + 1;
			}
		}
	}
}

static struct nesting *parent_of(struct core *core, const struct session *session)
{
	struct job *parent = job_table_find(&core->jobs, session->caller.parent);
	return parent ? nesting_of(parent) : NULL;
}

static void begin_evaluation(struct core *core)
{
	struct session *session;
	LIST_FOREACH (session, &core->callers, caller.in_core) {
		struct nesting *parent = parent_of(core, session);
		struct blocking *blocking = LIST_FIRST(&session->caller.blocking);
		if (parent)
			parent->stuck = parent->callers;
		for (int i = 0; i < LOOKED_AT_MAX && blocking; i++) {
			nesting_of(blocking->child)->workers = 0;
			blocking = LIST_NEXT(blocking, of_caller);
		}
		session->caller.stuck = true;
	}
	count_workers(core);
}

/* Whether a child will end, as far as is known. */
static bool goes_on(const struct job *child)
{
	uint32_t left = job_tasks_left(child);
	bool runs = nesting_of(child)->workers > 0;
	if (runs && is_free(child))
		return true;
	/* What neither waits nor runs is about to end otherwise. */
	return left > 0 ? child->function->pool->live : !runs;
}

/* The first request of the caller that may never end; NULL: all will. */
static struct blocking *find_stuck(struct session *session)
{
	struct blocking *blocking = LIST_FIRST(&session->caller.blocking);
	for (int i = 0; i < LOOKED_AT_MAX && blocking; i++) {
		if (!goes_on(blocking->child))
			return blocking;
		blocking = LIST_NEXT(blocking, of_caller);
	}
	return NULL;
}

/* One round: whoever is found to go on frees its worker for the next. False: nobody was. */
static bool advance(struct core *core)
{
	bool any = false;
	struct pool *pool;
	struct session *session;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		pool->live = is_live(pool);
	LIST_FOREACH (session, &core->callers, caller.in_core) {
		if (!session->caller.stuck || find_stuck(session))
			continue;
		struct nesting *parent = parent_of(core, session);
		session->caller.stuck = false;
		if (parent)
			parent->stuck--;
		any = true;
	}
	return any;
}

/* Finds out for every caller whether it is stuck: all are, who are not shown to go on. */
static void evaluate(struct core *core)
{
	begin_evaluation(core);
	while (advance(core))
		;
}

static struct outcome would_deadlock(const struct pool *pool)
{
	return error_outcome(ERR_WOULD_DEADLOCK,
			     "pool %s: each worker that could run this waits for such a call "
			     "itself: give the pool more workers or extra_workers, or do not wait "
			     "for its functions inside of it",
			     pool->spec->name);
}

bool nesting_block(struct core *core, struct blocking *blocking, struct session *session,
		   struct job *job, uint64_t now_us, struct outcome *ret_error)
{
	struct pool *pool = job->function->pool;
	if (!enter(core, blocking, session, job)) {
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return false;
	}
	/* Looking at all callers takes long where there are many. */
	if (surely_goes_on(job))
		return true;
	evaluate(core);
	if (!session->caller.stuck || policy_add_extra(pool, now_us))
		return true;
	nesting_unblock(blocking);
	*ret_error = would_deadlock(pool);
	return false;
}

/* The request fails: it is a wait, or what was to be waited for. */
static void fail(struct core *core, struct blocking *blocking, uint64_t now_us)
{
	struct job *child = blocking->child;
	struct outcome error = would_deadlock(child->function->pool);
	if (blocking == &nesting_of(child)->call) {
		core_end_job(core, child, JOB_FAIL, error, now_us);
		return;
	}
	struct wait *wait = container_of(blocking, struct wait, blocking);
	core_reply(core, wait->session, wait->msgid, &error);
	outcome_fini(&error);
	core_drop_wait(core, wait);
}

void nesting_check(struct core *core, uint64_t now_us)
{
	struct session *session;
	core->workers_left = false;
	for (;;) {
		evaluate(core);
		LIST_FOREACH (session, &core->callers, caller.in_core)
			if (session->caller.stuck)
				break;
		if (!session)
			return;
		struct blocking *blocking = find_stuck(session);
		if (!policy_add_extra(blocking->child->function->pool, now_us))
			fail(core, blocking, now_us);
	}
}
