/* SPDX-License-Identifier: MIT */
#include "core/publish.h"

#include <string.h>

#include "core/core.h"

/* Called for each session that an event or result is for. */
typedef void (*deliver_fn)(struct core *core, struct session *session, void *what);

static void push_lost(struct core *core, struct session *session)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "lost");
	procpool_write_string(&w, "lost");
	procpool_write_uint(&w, session->lost);
	struct blob *blob = w.error ? NULL : blob_copy(w.data, w.size);
	procpool_writer_fini(&w);
	if (!blob)
		return;
	session->lost = 0;
	struct action *action = core_add_action(core, ACTION_PUSH_EVENT);
	action->session = session;
	action->outcome.value = span_of_blob(blob);
}

/* What is to be told, to whom, and how. */
struct news {
	const struct job *job; /* NULL: of the pool */
	const struct pool *pool;
	unsigned rights; /* whoever has one of these is told: to the job, or in the pool */
	deliver_fn deliver;
	void *what;
};

static bool may_know(const struct session *session, const struct news *news)
{
	unsigned rights = news->job ? session_job_rights(session, news->job)
				    : pool_rights(news->pool, session);
	return rights & news->rights;
}

static void deliver_to(struct core *core, struct subscription_list *list, const struct news *news)
{
	struct subscription *subscription;
	LIST_FOREACH (subscription, list, of_target) {
		struct session *session = subscription->session;
		if (session->mark == core->last_mark || !session->peer || !may_know(session, news))
			continue;
		session->mark = core->last_mark;
		if (session->lossy) {
			session->lost++;
			core->stats.lost++;
			continue;
		}
		if (session->lost > 0)
			push_lost(core, session);
		news->deliver(core, session, news->what);
	}
}

static struct pool *has_name(const struct pool *pool)
{
	const char *name = pool->spec->name;
	return core_pool_named(pool->core, (struct slice){name, strlen(name)});
}

static void fan_out(struct core *core, struct job *job, struct pool *pool, struct session *except,
		    const struct news *news)
{
	core->last_mark++;
	if (except)
		except->mark = core->last_mark;
	if (job && job->extra)
		deliver_to(core, &job->extra->subscriptions, news);
	deliver_to(core, &pool->subscriptions, news);
	/* While it winds up, another may have its name. */
	struct pool *named = pool->state == POOL_OPEN ? pool : has_name(pool);
	if (named && named != pool)
		deliver_to(core, &named->subscriptions, news);
	deliver_to(core, &core->subscriptions, news);
}

static void deliver_result(struct core *core, struct session *session, void *what)
{
	struct job *job = what;
	struct action *action = core_add_action(core, ACTION_PUSH_RESULT);
	action->session = session;
	action->job_id = job->id;
	action->function = job->function;
	action->waited_us = job->waited_us;
	action->ran_us = job->ran_us;
	action->outcome = job->outcome;
	blob_ref(action->outcome.value.blob);
}

static void deliver_event(struct core *core, struct session *session, void *what)
{
	struct action *action = core_add_action(core, ACTION_PUSH_EVENT);
	action->session = session;
	action->outcome.value = span_of_blob(blob_ref(what));
}

void publish_result_to(struct core *core, struct job *job, struct session *session)
{
	deliver_result(core, session, job);
}

void publish_result(struct core *core, struct job *job, struct session *except)
{
	struct pool *pool = job->function->pool;
	const struct news news = {job, pool, ACCESS_ADMINISTER, deliver_result, job};
	if (core->subscription_count > 0)
		fan_out(core, job, pool, except, &news);
}

/* NULL without memory; finishes the writer. */
static struct blob *take(struct procpool_writer *event)
{
	struct blob *blob = event->error ? NULL : blob_copy(event->data, event->size);
	procpool_writer_fini(event);
	return blob;
}

/* An event map (taken over), of a job or (job NULL) a pool, to those who have one of the rights. */
static void publish_event(struct core *core, struct job *job, struct pool *pool, unsigned rights,
			  struct procpool_writer *event)
{
	struct blob *blob = take(event);
	const struct news news = {job, pool, rights, deliver_event, blob};
	if (blob)
		fan_out(core, job, pool, NULL, &news);
	blob_unref(blob);
}

static void write_job(struct procpool_writer *w, const struct job *job)
{
	procpool_writer_init(w);
	procpool_write_map(w, 5);
	procpool_write_string(w, "event");
	procpool_write_string(w, "job");
	procpool_write_string(w, "job");
	procpool_write_uint(w, job->id);
	procpool_write_string(w, "pool");
	procpool_write_string(w, job->function->pool->spec->name);
	procpool_write_string(w, "function");
	procpool_write_string(w, job->function->name);
	procpool_write_string(w, "state");
	procpool_write_string(w, job_state_name(job->state));
}

void publish_job(struct core *core, struct job *job)
{
	if (core->subscription_count == 0)
		return;
	struct procpool_writer w;
	write_job(&w, job);
	publish_event(core, job, job->function->pool, ACCESS_OBSERVE, &w);
}

void publish_job_to(struct core *core, const struct job *job, struct session *session)
{
	struct procpool_writer w;
	write_job(&w, job);
	struct blob *blob = take(&w);
	if (blob)
		deliver_event(core, session, blob);
	blob_unref(blob);
}

void publish_progress(struct core *core, struct job *job, uint32_t index,
		      struct procpool_value value)
{
	if (core->subscription_count == 0)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, job->map ? 6 : 5);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "progress");
	procpool_write_string(&w, "job");
	procpool_write_uint(&w, job->id);
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, job->function->pool->spec->name);
	procpool_write_string(&w, "function");
	procpool_write_string(&w, job->function->name);
	if (job->map) {
		procpool_write_string(&w, "index");
		procpool_write_uint(&w, index);
	}
	procpool_write_string(&w, "value");
	procpool_write_value(&w, value);
	publish_event(core, job, job->function->pool, ACCESS_ADMINISTER, &w);
}

void publish_pool(struct pool *pool)
{
	struct core *core = pool->core;
	if (core->subscription_count == 0)
		return;
	/* What becomes of one whose name another has would be taken for that one's state. */
	if (pool->state != POOL_OPEN && has_name(pool) != pool)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	const struct outcome *error =
		pool->failure.value.size > 0 ? &pool->failure : &pool->refusal;
	bool failing = error->value.size > 0;
	bool stale = pool_is_stale(pool);
	procpool_write_map(&w, 4U + failing + stale);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, pool->spec->name);
	procpool_write_string(&w, "state");
	procpool_write_string(&w, pool_state_name(pool));
	procpool_write_string(&w, "generation");
	procpool_write_uint(&w, pool->generation);
	if (stale) {
		procpool_write_string(&w, "stale");
		procpool_write_bool(&w, true);
	}
	if (failing) {
		procpool_write_string(&w, "error");
		procpool_write_value(&w, span_value(error->value));
	}
	publish_event(core, NULL, pool, ACCESS_ALL, &w);
}

void publish_worker(struct worker *worker, const struct worker_end *end)
{
	struct core *core = worker->pool->core;
	if (core->subscription_count == 0)
		return;
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, end ? 6 : 5);
	procpool_write_string(&w, "event");
	procpool_write_string(&w, "worker");
	procpool_write_string(&w, "pool");
	procpool_write_string(&w, worker->pool->spec->name);
	procpool_write_string(&w, "pid");
	procpool_write_int(&w, worker->pid);
	procpool_write_string(&w, "worker");
	procpool_write_int(&w, worker->number);
	procpool_write_string(&w, "state");
	procpool_write_string(&w, end ? "exited" : "ready");
	if (end) {
		procpool_write_string(&w, end->signal ? "signal" : "exit_status");
		procpool_write_int(&w, end->signal ? end->signal : end->exit_status);
	}
	publish_event(core, NULL, worker->pool, ACCESS_OBSERVE, &w);
}
