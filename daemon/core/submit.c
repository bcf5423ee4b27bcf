/* SPDX-License-Identifier: MIT */
/*
 * From a call to a job: finding the function, charging the accounts, entering the queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/expiry.h"
#include "core/publish.h"
#include "proto/problem.h"

#define SUGGESTIONS_MAX 3

/* ---- finding the function ---- */

struct suggestions {
	const struct function *functions[SUGGESTIONS_MAX];
	unsigned distances[SUGGESTIONS_MAX];
	unsigned count;
};

static void suggest(struct suggestions *s, const struct function *function, unsigned distance)
{
	unsigned i = s->count < SUGGESTIONS_MAX ? s->count++ : SUGGESTIONS_MAX;
	if (i == SUGGESTIONS_MAX && distance >= s->distances[--i])
		return;
	while (i > 0 && s->distances[i - 1] > distance) {
		s->functions[i] = s->functions[i - 1];
		s->distances[i] = s->distances[i - 1];
		i--;
	}
	s->functions[i] = function;
	s->distances[i] = distance;
}

/* The part after the module's name. */
static const char *base_name(const char *name, size_t size, size_t *ret_size)
{
	const char *p = memrchr(name, '.', size), *colon = memrchr(name, ':', size);
	if (colon && (!p || colon > p))
		p = colon;
	p = p ? p + 1 : name;
	*ret_size = size - (size_t)(p - name);
	return p;
}

static bool may_call(const struct pool *pool, const struct session *session)
{
	return pool_rights(pool, session) & ACCESS_CALL;
}

/* Whether the session means this pool where it has named none. */
static bool is_candidate(const struct pool *pool, const struct session *session)
{
	return pool_takes_jobs(pool) && pool_is_searched(pool, session) && may_call(pool, session);
}

/* Similar names: a few wrong letters, or the right function of another module. */
static void find_suggestions(struct core *core, const struct session *session, const char *name,
			     size_t size, struct suggestions *s)
{
	unsigned limit = size < 6 ? 2 : 3;
	size_t base_size, other_size;
	const char *base = base_name(name, size, &base_size);
	struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (!pool_is_searched(pool, session) || !may_call(pool, session))
			continue;
		for (struct function *f = pool->functions.by_name; f; f = f->hh.next) {
			const char *other = base_name(f->name, f->name_size, &other_size);
			unsigned distance = name_distance(name, size, f->name, f->name_size, limit);
			if (function_is_any(f->name, f->name_size))
				continue;
			if (other_size == base_size && memcmp(other, base, base_size) == 0)
				distance = 0;
			if (distance <= limit)
				suggest(s, f, distance);
		}
	}
}

static struct outcome unknown_function(struct core *core, const struct session *session,
				       const struct submission *submission)
{
	struct suggestions s = {0};
	const char *name = submission->function;
	size_t size = submission->function_size;
	find_suggestions(core, session, name, size, &s);
	struct error_builder b;
	struct quote quote = problem_quote((struct slice){name, size});
	struct quote pool = problem_quote((struct slice){submission->pool, submission->pool_size});
	const struct function *near = s.count > 0 ? s.functions[0] : NULL;
	char what[2 * sizeof(quote.text) + 64];
	if (submission->pool)
		snprintf(what, sizeof(what), "pool %s has no function %s", pool.text, quote.text);
	else
		snprintf(what, sizeof(what), "no pool has a function %s", quote.text);
	if (near && near->name_size == size && memcmp(near->name, name, size) == 0)
		error_builder_begin(&b, ERR_UNKNOWN_FUNCTION, "%s, but pool %s has", what,
				    near->pool->spec->name);
	else if (near)
		error_builder_begin(&b, ERR_UNKNOWN_FUNCTION, "%s; did you mean %s?", what,
				    near->name);
	else
		error_builder_begin(&b, ERR_UNKNOWN_FUNCTION,
				    "%s; the method functions lists those there are", what);
	struct procpool_writer *w = error_builder_add(&b, "suggestions");
	procpool_write_array(w, s.count);
	for (unsigned i = 0; i < s.count; i++)
		procpool_write_string(w, s.functions[i]->name);
	return error_builder_end(&b);
}

static struct outcome ambiguous(struct core *core, const struct session *session,
				const struct submission *submission)
{
	struct error_builder b;
	struct pool *pool;
	struct slice name = {submission->function, submission->function_size};
	error_builder_begin(&b, ERR_AMBIGUOUS,
			    "several pools have a function %s: name one with the option pool",
			    problem_quote(name).text);
	struct procpool_writer *w = error_builder_add(&b, "pools");
	size_t place = procpool_write_open_array(w);
	uint32_t count = 0;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (!is_candidate(pool, session) ||
		    !function_table_find(&pool->functions, submission->function,
					 submission->function_size))
			continue;
		procpool_write_string(w, pool->spec->name);
		count++;
	}
	procpool_write_count(w, place, count);
	return error_builder_end(&b);
}

static struct outcome copy_failure(const struct pool *pool)
{
	return (struct outcome){pool->failure.code, span_hold(pool->failure.value)};
}

/* The pool that was named, where there is none of that name. */
static struct outcome no_pool(const struct session *session, struct slice name)
{
	return session_had_pool(session, name) ? error_pool_closed(problem_quote(name).text)
					       : error_no_such_pool(name);
}

static struct outcome denied(const struct pool *pool)
{
	return error_denied_in_pool(pool->spec->name, ACCESS_CALL);
}

/* Of a pool that takes no jobs: for good, or until it is resumed. */
static struct outcome takes_none(const struct pool *pool)
{
	if (!pool->draining)
		return error_pool_closed(pool->spec->name);
	return error_outcome(ERR_POOL_CLOSED,
			     "pool %s is drained by its administrator and takes no jobs until it "
			     "is resumed: try again later",
			     pool->spec->name);
}

/* A pool that may come to have the function: who calls must not be told that there is none. */
static bool is_loading(const struct pool *pool)
{
	return !pool->loaded && pool->failure.value.size == 0;
}

static struct outcome still_loading(const struct pool *pool, const struct submission *submission)
{
	struct slice name = {submission->function, submission->function_size};
	return error_outcome(ERR_NOT_READY,
			     "no pool has a function %s yet, and pool %s is still loading: try "
			     "again in a moment",
			     problem_quote(name).text, pool->spec->name);
}

/* Whether it brings along what is to be called: its function is then a mere name for that. */
static bool has_callable(const struct submission *submission)
{
	return procpool_value_type(submission->pickle) == PROCPOOL_BYTES;
}

/* Whether the pool takes what it has of pickles. */
static bool check_pickle(const struct pool *pool, const struct submission *submission,
			 struct outcome *ret_error)
{
	if (submission->pickle.size == 0 || (pool->spec->pickle && pool->code->pickle))
		return true;
	*ret_error = error_outcome(
		ERR_DENIED,
		"pool %s takes no pickles, which can run any code: pass plain values, or have %s",
		pool->spec->name,
		pool->owner ? "it opened with pickle: true" : "its administrator set pickle = yes");
	return false;
}

static struct function *find_in_pool(struct core *core, const struct session *session,
				     const struct submission *submission, struct outcome *ret_error)
{
	struct slice name = {submission->pool, submission->pool_size};
	struct pool *pool = core_find_pool(core, session, name.data, name.size);
	if (!pool || !may_call(pool, session) || !pool_takes_jobs(pool)) {
		*ret_error = !pool                      ? no_pool(session, name)
			     : !may_call(pool, session) ? denied(pool)
							: takes_none(pool);
		return NULL;
	}
	if (!check_pickle(pool, submission, ret_error))
		return NULL;
	struct function *function = function_table_find(&pool->functions, submission->function,
							submission->function_size);
	if (!function && (pool->functions.any || has_callable(submission)))
		function = names_find(pool, submission->function, submission->function_size);
	if (!function)
		*ret_error = pool->loaded       ? unknown_function(core, session, submission)
			     : is_loading(pool) ? still_loading(pool, submission)
						: copy_failure(pool);
	return function;
}

static struct function *find_function(struct core *core, const struct session *session,
				      const struct submission *submission,
				      struct outcome *ret_error)
{
	if (function_is_any(submission->function, submission->function_size)) {
		*ret_error = unknown_function(core, session, submission);
		return NULL;
	}
	if (submission->pool)
		return find_in_pool(core, session, submission, ret_error);
	struct function *found = NULL;
	struct pool *pool, *unloaded = NULL, *closed = NULL, *forbidden = NULL;
	struct pool *loading = NULL;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (!pool_is_searched(pool, session))
			continue;
		struct function *function = function_table_find(
			&pool->functions, submission->function, submission->function_size);
		if (!may_call(pool, session)) {
			forbidden = function ? pool : forbidden;
			continue;
		}
		if (function && !pool_takes_jobs(pool)) {
			closed = pool;
			continue;
		}
		if (function && found) {
			*ret_error = ambiguous(core, session, submission);
			return NULL;
		}
		if (function)
			found = function;
		if (is_loading(pool) && pool_takes_jobs(pool))
			loading = pool;
		else if (!pool->loaded && pool->failure.value.size > 0)
			unloaded = pool;
	}
	if (!found)
		/* A pool that cannot even load may be the one that was meant. */
		*ret_error = closed      ? takes_none(closed)
			     : forbidden ? denied(forbidden)
			     : loading   ? still_loading(loading, submission)
			     : unloaded  ? copy_failure(unloaded)
					 : unknown_function(core, session, submission);
	return found && check_pickle(found->pool, submission, ret_error) ? found : NULL;
}

/* ---- entering ---- */

static struct outcome busy(const char *limit)
{
	struct error_builder b;
	error_builder_begin(&b, ERR_BUSY,
			    "the limit %s is reached: try again when some jobs have ended", limit);
	error_builder_add_string(&b, "limit", limit);
	return error_builder_end(&b);
}

static bool charge(struct session *session, uint64_t bytes, struct outcome *ret_error)
{
	const char *limit = account_charge(&session->account, RESOURCE_JOBS, 1);
	if (!limit) {
		limit = account_charge(&session->account, RESOURCE_QUEUED_BYTES, bytes);
		if (limit)
			account_release(&session->account, RESOURCE_JOBS, 1);
	}
	if (limit)
		*ret_error = busy(limit);
	return !limit;
}

/* The bytes of args, kwargs and pickle within the message: all that the job needs of it. */
static struct span request_of(const struct submission *submission)
{
	const struct procpool_value options[] = {submission->kwargs, submission->pickle};
	const uint8_t *begin = submission->args.data, *end = begin + submission->args.size;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i].size > 0 && options[i].data + options[i].size > end)
			end = options[i].data + options[i].size;
	return (struct span){submission->message.blob, begin, (size_t)(end - begin)};
}

/* What lies behind the items of the message lies as far behind those of the job. */
static struct procpool_value in_request(const struct job *job, struct procpool_value value,
					const uint8_t *items)
{
	if (value.size > 0)
		value.data = job->whole.data + (value.data - items);
	return value;
}

/* What few jobs have. items: where those of the message lie. */
static bool set_extra(struct job *job, const struct submission *submission, const uint8_t *items)
{
	if (submission->parent != 0 && nesting_set_parent(job, submission->parent) < 0)
		return false;
	if (submission->kwargs.size == 0 && submission->pickle.size == 0 &&
	    submission->retries == 0 && !submission->expires)
		return true;
	struct job_extra *extra = job_need_extra(job);
	if (!extra)
		return false;
	extra->retries = submission->retries;
	extra->expires = submission->expires;
	extra->expires_us = submission->expires_us;
	extra->kwargs = in_request(job, submission->kwargs, items);
	extra->pickle = in_request(job, submission->pickle, items);
	return true;
}

static struct job *make_job(const struct submission *submission)
{
	struct procpool_value args = submission->args;
	struct range whole = {0, 1, args.data, args.size};
	if (submission->is_map) {
		struct procpool_iter it = procpool_iter(args);
		whole.count = (uint32_t)it.remaining;
		whole.data = it.next ? it.next : args.data;
		whole.size = (size_t)(args.data + args.size - whole.data);
	}
	struct job *job = job_create(submission->is_map, request_of(submission), whole);
	if (!job)
		return NULL;
	job->star = submission->star || !submission->is_map;
	job->collect = submission->collect;
	job->stream = submission->stream;
	job->values = submission->values;
	job->async = submission->async;
	job->detached = submission->detach;
	job->priority = submission->priority;
	job->msgid = submission->msgid;
	if (submission->timeout_us > 0) {
		struct job_extra *extra = job_need_extra(job);
		if (!extra) {
			job_destroy(job);
			return NULL;
		}
		extra->timeout_us = submission->timeout_us;
	}
	if (submission->is_map)
		job_set_chunksize(job, submission->chunksize);
	if (!set_extra(job, submission, whole.data)) {
		job_destroy(job);
		return NULL;
	}
	return job;
}

static void enter(struct core *core, struct session *session, struct job *job,
		  struct function *function, uint64_t now_us)
{
	job->session = session;
	job->function = function;
	job->submitted_us = job->since_us = now_us;
	session->refs++;
	TAILQ_INSERT_TAIL(job->detached ? &session->detached_jobs : &session->jobs, job,
			  in_session);
	core->stats.accepted++;
	names_use(core, function);
	function->pool->jobs++;
	function->pool->jobs_under_way++;
	function->pool->waiting += job_tasks_left(job);
	publish_job(core, job);
}

/*
 * Whether the session may be that of a call out of the job: whoever a pool's processes run as takes
 * part in all that they run, and sees it anyway.
 */
static bool may_run(const struct session *session, const struct job *job)
{
	const struct pool_spec *code = job->function->pool->code;
	return job->state == JOB_RUNNING && code->uid == session->user->uid;
}

/* It must be under way. */
static bool find_parent(struct core *core, struct session *session, uint64_t id,
			struct outcome *ret_error)
{
	const struct job *parent = job_table_find(&core->jobs, id);
	if (parent && may_run(session, parent))
		return true;
	parent = core_find_job(core, session, id, ACCESS_ADMINISTER, ret_error);
	if (parent && job_ended(parent))
		*ret_error =
			error_outcome(ERR_NO_SUCH_JOB, "job %llu has ended: a parent is under way",
				      (unsigned long long)id);
	return parent && !job_ended(parent);
}

/* The caller stands still until the job has ended. */
static void wait_for_child(struct core *core, struct session *session, struct job *job,
			   uint64_t now_us)
{
	struct outcome error;
	if (!nesting_block(core, &job->extra->nesting->call, session, job, now_us, &error))
		core_end_job(core, job, JOB_FAIL, error, now_us);
}

/* The last that can fail. Gives the job its id. */
static bool enter_tables(struct core *core, struct session *session, struct job *job,
			 uint64_t now_us)
{
	if (!job->async && request_table_add(&session->requests, job) < 0)
		return false;
	job->id = job_table_add(&core->jobs, job);
	if (job->id != 0 && expiry_start(core, job, now_us) == 0)
		return true;
	if (job->id != 0)
		job_table_remove(&core->jobs, job->id);
	if (!job->async)
		request_table_remove(&session->requests, job);
	return false;
}

uint64_t core_submit(struct core *core, struct session *session,
		     const struct submission *submission, uint64_t now_us,
		     struct outcome *ret_error)
{
	if (core->stopping) {
		*ret_error = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
		return 0;
	}
	struct function *function = find_function(core, session, submission, ret_error);
	if (!function)
		return 0;
	if (submission->parent != 0 && !find_parent(core, session, submission->parent, ret_error))
		return 0;
	struct pool *pool = function->pool;
	if (pool->failure.value.size > 0) {
		*ret_error = copy_failure(pool);
		return 0;
	}
	struct span request = request_of(submission);
	uint64_t bytes =
		(request.blob ? request.blob->size : request.size) + names_job_bytes(function);
	if (!charge(session, bytes, ret_error))
		return 0;
	struct job *job = make_job(submission);
	struct flow *flow = fair_queue_flow(&pool->queue, &session->user->flows, &session->flows);
	if (!job || !flow || !enter_tables(core, session, job, now_us)) {
		account_release(&session->account, RESOURCE_JOBS, 1);
		account_release(&session->account, RESOURCE_QUEUED_BYTES, bytes);
		job_destroy(job);
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return 0;
	}
	uint64_t id = job->id;
	job->flow = flow;
	if (session->blocked)
		/* The flow may be new. */
		flows_park(session->flows, true);
	enter(core, session, job, function, now_us);
	if (job->whole.count == 0) {
		core_finish_map_if_done(core, job, now_us);
	} else {
		fair_queue_push(flow, job);
		core_mark_dirty(core, pool);
		if (submission->parent != 0 && !job->async)
			wait_for_child(core, session, job, now_us);
	}
	return id;
}
