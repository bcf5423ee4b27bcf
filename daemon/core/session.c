/* SPDX-License-Identifier: MIT */
#include "core/session.h"

#include <assert.h>
#include <stdlib.h>

#include "core/container.h"
#include "core/core.h"
#include "core/publish.h"

/* Jobs cancelled in one turn when their session ends: about a millisecond's worth. */
#define CANCELS_PER_TURN 1000

/* ---- users ---- */

static struct user *user_ref(struct core *core, uid_t uid)
{
	struct user *user;
	HASH_FIND(hh, core->users, &uid, sizeof(uid), user);
	if (!user) {
		user = calloc(1, sizeof(*user));
		if (!user)
			return NULL;
		user->uid = uid;
		user->retention_timer.kind = TIMER_RETENTION;
		TAILQ_INIT(&user->kept);
		account_init(&user->account, &core->root, core->user_limits);
		HASH_ADD(hh, core->users, uid, sizeof(user->uid), user);
	}
	user->refs++;
	return user;
}

static void user_unref(struct core *core, struct user *user)
{
	if (--user->refs > 0)
		return;
	assert(TAILQ_EMPTY(&user->kept));
	timer_heap_clear(&core->timers, &user->retention_timer);
	flows_destroy(&user->flows);
	account_fini(&user->account);
	HASH_DELETE(hh, core->users, user);
	free(user);
}

/* ---- sessions ---- */

static bool sees_all(const struct core *core, uid_t uid)
{
	return uid == 0 || uid == core->own_uid;
}

bool core_admits(const struct core *core, const struct identity *identity)
{
	return sees_all(core, identity->uid) || grants_any(core, identity) != 0;
}

struct session *core_session_open(struct core *core, struct identity *identity, struct peer *peer,
				  const char **ret_limit)
{
	uid_t uid = identity->uid;
	struct granted granted;
	*ret_limit = NULL;
	if (granted_init(&granted, core, identity) < 0)
		return NULL;
	struct session *session = calloc(1, sizeof(*session));
	struct user *user = session ? user_ref(core, uid) : NULL;
	if (!user) {
		granted_fini(&granted);
		free(session);
		return NULL;
	}
	account_init(&session->account, &user->account, core->session_limits);
	*ret_limit = account_charge(&session->account, RESOURCE_CONNECTIONS, 1);
	if (*ret_limit) {
		granted_fini(&granted);
		user_unref(core, user);
		free(session);
		return NULL;
	}
	session->granted = granted;
	session->id = ++core->last_session_id;
	session->peer = peer;
	session->user = user;
	session->refs = 1;
	session->sees_all = sees_all(core, uid);
	TAILQ_INIT(&session->jobs);
	TAILQ_INIT(&session->detached_jobs);
	TAILQ_INIT(&session->kept);
	request_table_init(&session->requests);
	LIST_INIT(&session->pools);
	LIST_INIT(&session->waits);
	LIST_INIT(&session->caller.blocking);
	LIST_INIT(&session->pool_waits);
	LIST_INIT(&session->subscriptions);
	LIST_INSERT_HEAD(&core->sessions, session, in_core);
	core->session_count++;
	return session;
}

void core_session_unref(struct core *core, struct session *session)
{
	if (--session->refs > 0)
		return;
	assert(!session->peer && LIST_EMPTY(&session->pools) && TAILQ_EMPTY(&session->jobs) &&
	       TAILQ_EMPTY(&session->detached_jobs) && TAILQ_EMPTY(&session->kept));
	request_table_fini(&session->requests);
	flows_destroy(&session->flows);
	account_fini(&session->account);
	user_unref(core, session->user);
	free(session->client);
	free(session);
}

static struct outcome session_ended(void)
{
	return error_outcome(ERR_CANCELLED, "the session that submitted it has ended");
}

void core_session_block(struct core *core, struct session *session, bool blocked)
{
	session->blocked = blocked;
	flows_park(session->flows, blocked);
	if (!blocked)
		for (struct flow *flow = session->flows; flow; flow = flow->next_of_owner)
			core_mark_dirty(core, container_of(flow->queue, struct pool, queue));
}

/* Cancels some of the jobs of a session that is closing; it goes with the last. */
static void cancel_some(struct core *core, struct session *session, uint64_t now_us)
{
	struct job *job;
	for (int i = 0; i < CANCELS_PER_TURN && (job = TAILQ_FIRST(&session->jobs)); i++)
		core_end_job(core, job, JOB_CANCEL, session_ended(), now_us);
	if (!TAILQ_EMPTY(&session->jobs))
		return;
	TAILQ_REMOVE(&core->closing, session, in_closing);
	/* For its detached jobs. */
	core_session_block(core, session, false);
	core_session_unref(core, session);
}

/* The rest follows in later turns, so that a session with many jobs delays nobody by its end. */
static void watch_closing(struct core *core, uint64_t now_us)
{
	if (!TAILQ_EMPTY(&core->closing))
		timer_heap_set(&core->timers, &core->close_timer, now_us + 1);
}

void core_close_sessions(struct core *core, uint64_t now_us)
{
	struct session *session = TAILQ_FIRST(&core->closing);
	if (session)
		cancel_some(core, session, now_us);
	watch_closing(core, now_us);
}

void core_session_close(struct core *core, struct session *session, uint64_t now_us)
{
	session->peer = NULL;
	LIST_REMOVE(session, in_core);
	granted_fini(&session->granted);
	core->session_count--;
	account_release(&session->account, RESOURCE_CONNECTIONS, 1);
	struct wait *wait;
	while ((wait = LIST_FIRST(&session->waits)))
		core_drop_wait(core, wait);
	while (!LIST_EMPTY(&session->pool_waits))
		pool_wait_drop(LIST_FIRST(&session->pool_waits));
	update_forget_session(core, session);
	nesting_close(session);
	struct subscription *subscription;
	while ((subscription = LIST_FIRST(&session->subscriptions)))
		core_drop_subscription(core, subscription);
	struct pool *pool;
	LIST_FOREACH (pool, &session->pools, of_owner)
		pool_terminate(pool, now_us);
	/* None of its jobs begins while they are cancelled. */
	core_session_block(core, session, true);
	TAILQ_INSERT_TAIL(&core->closing, session, in_closing);
	cancel_some(core, session, now_us);
	watch_closing(core, now_us);
}

/* ---- finding jobs ---- */

unsigned session_daemon_rights(const struct core *core, const struct session *session)
{
	return session->sees_all ? ACCESS_ALL : granted_rights(&session->granted, core->grant);
}

unsigned session_job_rights(const struct session *session, const struct job *job)
{
	if (session->user == job->session->user)
		return ACCESS_ALL;
	return pool_rights(job->function->pool, session) & (ACCESS_OBSERVE | ACCESS_ADMINISTER);
}

/* Why the session may not do that with the job, NULL where it is as if there were none. */
static struct outcome no_job(uint64_t id, const struct job *job)
{
	if (job)
		return error_denied_job(id, job->function->pool->spec->name);
	return error_outcome(ERR_NO_SUCH_JOB,
			     "there is no job %llu, or it has ended and is no longer kept",
			     (unsigned long long)id);
}

struct job *core_find_job(struct core *core, const struct session *session, uint64_t id,
			  enum access_right right, struct outcome *ret_error)
{
	struct job *job = job_table_find(&core->jobs, id);
	/* An ended job that is only waited for by a worker has no result any more. */
	if (job && job_ended(job) && !job->kept)
		job = NULL;
	unsigned rights = job ? session_job_rights(session, job) : 0;
	if (rights & right)
		return job;
	*ret_error = no_job(id, rights ? job : NULL);
	return NULL;
}

struct job *core_find_request(struct session *session, uint32_t msgid, struct outcome *ret_error)
{
	struct job *job = request_table_find(&session->requests, msgid);
	if (!job)
		*ret_error = error_outcome(ERR_NO_SUCH_JOB,
					   "no apply or map with msgid %lu is under way here",
					   (unsigned long)msgid);
	return job;
}

/* ---- waiting ---- */

static struct outcome not_ready(const struct job *job)
{
	struct error_builder b;
	error_builder_begin(&b, ERR_NOT_READY, "job %llu is %s", (unsigned long long)job->id,
			    job_state_name(job->state));
	error_builder_add_string(&b, "state", job_state_name(job->state));
	error_builder_add_int(&b, "job", (int64_t)job->id);
	return error_builder_end(&b);
}

void core_reply(struct core *core, struct session *session, uint32_t msgid,
		const struct outcome *outcome)
{
	struct action *action = core_add_action(core, ACTION_REPLY);
	action->session = session;
	action->msgid = msgid;
	action->outcome = *outcome;
	blob_ref(outcome->value.blob);
}

bool core_wait(struct core *core, struct session *session, uint32_t msgid, struct job *job,
	       uint64_t until_us, uint64_t now_us, struct outcome *ret_error)
{
	if (job_ended(job)) {
		core_reply(core, session, msgid, &job->outcome);
		return true;
	}
	if (until_us <= now_us) {
		*ret_error = not_ready(job);
		return false;
	}
	const char *limit = account_charge(&session->account, RESOURCE_WAITS, 1);
	if (limit) {
		*ret_error = error_over_limit(limit);
		return false;
	}
	struct job_extra *extra = job_need_extra(job);
	struct wait *wait = extra ? calloc(1, sizeof(*wait)) : NULL;
	if (!wait) {
		account_release(&session->account, RESOURCE_WAITS, 1);
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return false;
	}
	wait->session = session;
	wait->job = job;
	wait->msgid = msgid;
	wait->timer.kind = TIMER_WAIT;
	LIST_INSERT_HEAD(&session->waits, wait, of_session);
	LIST_INSERT_HEAD(&extra->waits, wait, of_job);
	if (until_us != TIME_NEVER) {
		timer_heap_set(&core->timers, &wait->timer, until_us);
	} else if (nesting_parent(job) != 0 && job->session == session &&
		   !nesting_block(core, &wait->blocking, session, job, now_us, ret_error)) {
		core_drop_wait(core, wait);
		return false;
	}
	return true;
}

void core_answer_wait(struct core *core, struct wait *wait, const struct outcome *outcome)
{
	const struct job *job = wait->job;
	unsigned rights = session_job_rights(wait->session, job);
	if (rights & ACCESS_ADMINISTER) {
		core_reply(core, wait->session, wait->msgid, outcome);
		return;
	}
	struct outcome error = no_job(job->id, rights ? job : NULL);
	core_reply(core, wait->session, wait->msgid, &error);
	outcome_fini(&error);
}

void core_drop_wait(struct core *core, struct wait *wait)
{
	timer_heap_clear(&core->timers, &wait->timer);
	nesting_unblock(&wait->blocking);
	LIST_REMOVE(wait, of_session);
	LIST_REMOVE(wait, of_job);
	account_release(&wait->session->account, RESOURCE_WAITS, 1);
	free(wait);
}

void core_wait_over(struct core *core, struct wait *wait)
{
	struct outcome error = not_ready(wait->job);
	core_answer_wait(core, wait, &error);
	outcome_fini(&error);
	core_drop_wait(core, wait);
}

/* ---- cancelling ---- */

struct cancellation core_cancel(struct core *core, struct job *job, uint64_t now_us)
{
	struct cancellation done = {.job_id = job->id, .state = job->state};
	if (job_ended(job)) {
		done.begun = job->finished;
		return done;
	}
	core_recall(core, job, false, now_us);
	/* Without memory to queue again what was taken back, that has ended it. */
	if (job_table_find(&core->jobs, done.job_id) != job || job_ended(job)) {
		done.state = JOB_FAILED;
		return done;
	}
	done.begun = job->whole.count - job_tasks_unbegun(job);
	done.cancelled = true;
	done.state = JOB_CANCELLED;
	done.running = core_end_job(core, job, JOB_CANCEL,
				    error_outcome(ERR_CANCELLED, "the job was cancelled"), now_us);
	return done;
}

/* ---- subscribing ---- */

static struct subscription *find_subscription(struct session *session, struct job *job,
					      struct pool *pool)
{
	struct subscription *subscription;
	LIST_FOREACH (subscription, &session->subscriptions, of_session)
		if (subscription->job == job && subscription->pool == pool)
			return subscription;
	return NULL;
}

static bool add_subscription(struct core *core, struct session *session, struct job *job,
			     struct pool *pool, struct outcome *ret_error)
{
	const char *limit = account_charge(&session->account, RESOURCE_SUBSCRIPTIONS, 1);
	if (limit) {
		*ret_error = error_over_limit(limit);
		return false;
	}
	struct job_extra *extra = job ? job_need_extra(job) : NULL;
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	if (!subscription || (job && !extra)) {
		free(subscription);
		account_release(&session->account, RESOURCE_SUBSCRIPTIONS, 1);
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return false;
	}
	subscription->session = session;
	subscription->job = job;
	subscription->pool = pool;
	struct subscription_list *target = job    ? &extra->subscriptions
					   : pool ? &pool->subscriptions
						  : &core->subscriptions;
	LIST_INSERT_HEAD(&session->subscriptions, subscription, of_session);
	LIST_INSERT_HEAD(target, subscription, of_target);
	core->subscription_count++;
	return true;
}

bool core_subscribe(struct core *core, struct session *session, struct job *job, struct pool *pool,
		    struct outcome *ret_error)
{
	if (!find_subscription(session, job, pool) &&
	    !add_subscription(core, session, job, pool, ret_error))
		return false;
	if (!job || !job_ended(job))
		return true;
	if (session_job_rights(session, job) & ACCESS_ADMINISTER)
		publish_result_to(core, job, session);
	else
		publish_job_to(core, job, session);
	return true;
}

bool core_unsubscribe(struct core *core, struct session *session, struct job *job,
		      struct pool *pool)
{
	struct subscription *subscription = find_subscription(session, job, pool);
	if (subscription)
		core_drop_subscription(core, subscription);
	return subscription;
}

void core_drop_subscription(struct core *core, struct subscription *subscription)
{
	LIST_REMOVE(subscription, of_session);
	LIST_REMOVE(subscription, of_target);
	account_release(&subscription->session->account, RESOURCE_SUBSCRIPTIONS, 1);
	core->subscription_count--;
	free(subscription);
}
