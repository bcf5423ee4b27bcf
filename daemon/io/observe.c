/* SPDX-License-Identifier: MIT */
#include "io/observe.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/string_list.h"
#include "io/rights.h"
#include "io/server.h"
#include "proto/reply.h"

static void write_key_string(struct procpool_writer *w, const char *key, const char *text)
{
	procpool_write_string(w, key);
	if (text)
		procpool_write_string(w, text);
	else
		procpool_write_nil(w);
}

static void write_key_uint(struct procpool_writer *w, const char *key, uint64_t n)
{
	procpool_write_string(w, key);
	procpool_write_uint(w, n);
}

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A moment of the monotonic clock as a Unix time in seconds. */
static void write_key_time(struct procpool_writer *w, const char *key, uint64_t at_us)
{
	double passed = seconds_of(CLOCK_MONOTONIC) - (double)at_us / 1e6;
	procpool_write_string(w, key);
	procpool_write_double(w, seconds_of(CLOCK_REALTIME) - passed);
}

void observe_pools(const struct server *server, const struct session *session,
		   struct procpool_writer *w)
{
	const struct pool *pool;
	size_t place = procpool_write_open_array(w);
	uint32_t count = 0;
	TAILQ_FOREACH (pool, &server->core.pools, in_core) {
		const struct outcome *failure =
			pool->failure.value.size > 0 ? &pool->failure : &pool->refusal;
		if (!pool_rights(pool, session))
			continue;
		procpool_write_map(w, 18);
		write_key_string(w, "name", pool->spec->name);
		write_key_uint(w, "workers", pool->ready_count);
		write_key_uint(w, "waiting", pool->waiting);
		write_key_uint(w, "running", pool->running);
		write_key_uint(w, "target", pool->target);
		write_key_uint(w, "min", pool->min);
		write_key_uint(w, "max", pool->max);
		write_key_string(w, "state", pool_state_name(pool));
		procpool_write_string(w, "error");
		if (failure->value.size > 0)
			procpool_write_value(w, span_value(failure->value));
		else
			procpool_write_nil(w);
		write_key_string(w, "runtime", pool_spec_runtime_name(pool->code));
		procpool_write_string(w, "modules");
		procpool_write_array(w, string_list_count(pool->code->modules));
		for (char *const *module = pool->code->modules; *module; module++)
			procpool_write_string(w, *module);
		write_key_uint(w, "restarts", pool->restarts);
		write_key_uint(w, "generation", pool->generation);
		procpool_write_string(w, "stale");
		procpool_write_bool(w, pool_is_stale(pool));
		write_key_uint(w, "uid", pool->code->uid);
		procpool_write_string(w, "pickle");
		procpool_write_bool(w, pool->spec->pickle && pool->code->pickle);
		procpool_write_string(w, "session");
		if (pool->owner)
			procpool_write_uint(w, pool->owner->id);
		else
			procpool_write_nil(w);
		procpool_write_string(w, "rights");
		rights_write(w, pool_rights(pool, session));
		count++;
	}
	procpool_write_count(w, place, count);
}

static void write_worker(struct worker *worker, struct procpool_writer *w)
{
	const struct chunk *chunk = worker_current(worker);
	procpool_write_map(w, 9);
	procpool_write_string(w, "pid");
	if (worker->pid != 0)
		procpool_write_int(w, worker->pid);
	else
		procpool_write_nil(w);
	write_key_string(w, "pool", worker->pool->spec->name);
	write_key_string(w, "state", worker_state_name(worker->state));
	write_key_uint(w, "worker", worker->number);
	procpool_write_string(w, "job");
	if (chunk)
		procpool_write_uint(w, chunk->job->id);
	else
		procpool_write_nil(w);
	write_key_string(w, "function", chunk ? chunk->job->function->name : NULL);
	write_key_time(w, "since", worker->since_us);
	write_key_uint(w, "tasks", worker->tasks);
	write_key_uint(w, "generation", worker->runtime->generation);
}

void observe_workers(const struct server *server, const struct session *session,
		     struct procpool_writer *w)
{
	const struct pool *pool;
	struct worker *worker;
	size_t place = procpool_write_open_array(w);
	uint32_t count = 0;
	TAILQ_FOREACH (pool, &server->core.pools, in_core) {
		if (!(pool_rights(pool, session) & ACCESS_OBSERVE))
			continue;
		TAILQ_FOREACH (worker, &pool->workers, in_pool) {
			write_worker(worker, w);
			count++;
		}
	}
	procpool_write_count(w, place, count);
}

static int by_name(const void *a, const void *b)
{
	const struct function *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

void observe_functions(const struct server *server, const struct session *session,
		       const struct pool *only, struct procpool_writer *w)
{
	const struct pool *pool;
	size_t total = 0, count = 0;
	TAILQ_FOREACH (pool, &server->core.pools, in_core)
		total += HASH_COUNT(pool->functions.by_name);
	const struct function **functions = calloc(total + 1, sizeof(const struct function *));
	if (!functions) {
		procpool_write_array(w, 0);
		return;
	}
	TAILQ_FOREACH (pool, &server->core.pools, in_core)
		if (only ? pool == only : pool_rights(pool, session) != 0)
			for (const struct function *f = pool->functions.by_name; f; f = f->hh.next)
				functions[count++] = f;
	qsort(functions, count, sizeof(const struct function *), by_name);
	procpool_write_array(w, count);
	for (size_t i = 0; i < count; i++) {
		procpool_write_map(w, 3);
		write_key_string(w, "name", functions[i]->name);
		write_key_string(w, "pool", functions[i]->pool->spec->name);
		write_key_string(w, "doc", functions[i]->doc);
	}
	free(functions);
}

static void write_histogram(struct procpool_writer *w, const char *key, const struct histogram *h)
{
	procpool_write_string(w, key);
	procpool_write_map(w, 4);
	procpool_write_string(w, "le");
	procpool_write_array(w, HISTOGRAM_BUCKETS);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		procpool_write_double(w, (double)(UINT64_C(1) << i) / 1e6);
	procpool_write_string(w, "counts");
	procpool_write_array(w, HISTOGRAM_BUCKETS + 1);
	for (int i = 0; i <= HISTOGRAM_BUCKETS; i++)
		procpool_write_uint(w, h->counts[i]);
	write_key_uint(w, "count", h->count);
	procpool_write_string(w, "sum");
	procpool_write_double(w, (double)h->sum_us / 1e6);
}

void observe_stats(const struct server *server, struct procpool_writer *w)
{
	const struct core *core = &server->core;
	const struct core_stats *stats = &core->stats;
	uint64_t ended =
		stats->ended[JOB_DONE] + stats->ended[JOB_FAILED] + stats->ended[JOB_CANCELLED];
	procpool_write_map(w, 8);
	procpool_write_string(w, "uptime");
	procpool_write_double(w, (double)(server->now_us - server->started_us) / 1e6);
	write_key_uint(w, "sessions", core->session_count);
	write_key_uint(w, "notifications", server->notifications);
	write_key_uint(w, "lost", stats->lost);
	procpool_write_string(w, "jobs");
	procpool_write_map(w, 7);
	write_key_uint(w, "accepted", stats->accepted);
	write_key_uint(w, "done", stats->ended[JOB_DONE]);
	write_key_uint(w, "failed", stats->ended[JOB_FAILED]);
	write_key_uint(w, "cancelled", stats->ended[JOB_CANCELLED]);
	write_key_uint(w, "waiting", stats->accepted - ended - core->running_jobs);
	write_key_uint(w, "running", core->running_jobs);
	write_key_uint(w, "retained", core->kept_count);
	procpool_write_string(w, "tasks");
	procpool_write_map(w, 2);
	write_key_uint(w, "begun", stats->tasks_begun);
	write_key_uint(w, "finished", stats->tasks_finished);
	write_histogram(w, "waiting_seconds", &stats->waiting);
	write_histogram(w, "running_seconds", &stats->running);
}

/* A worker that runs some of the job. */
static pid_t worker_of(const struct job *job)
{
	struct worker *worker;
	if (job->assigned == 0)
		return 0;
	TAILQ_FOREACH (worker, &job->function->pool->workers, in_pool) {
		const struct chunk *chunk = worker_current(worker);
		if (chunk && chunk->job == job)
			return worker->pid;
	}
	return 0;
}

/* The job that called it, if the session may know of that; or 0. */
static uint64_t visible_parent(struct core *core, const struct session *session,
			       const struct job *job)
{
	uint64_t parent = nesting_parent(job);
	if (parent == 0 || session->user == job->session->user)
		return parent;
	const struct job *calling = job_table_find(&core->jobs, parent);
	return calling && (session_job_rights(session, calling) & ACCESS_OBSERVE) ? parent : 0;
}

/* What a task told of its progress, for those who may know results. */
static void write_progress(struct procpool_writer *w, const struct job *job, bool all)
{
	procpool_write_string(w, "progress");
	if (all && job->extra && job->extra->progress)
		procpool_write_value(w, span_value(span_of_blob(job->extra->progress)));
	else
		procpool_write_nil(w);
}

/* The same: what functions said, and what their processes wrote, may be anything. */
static void write_error(struct procpool_writer *w, const struct job *job, bool all)
{
	procpool_write_string(w, "error");
	if (all)
		procpool_write_value(w, span_value(job->outcome.value));
	else
		error_begin(w, job->outcome.code,
			    "its user and administrators of the pool are told more", 0);
}

void observe_job(struct core *core, const struct session *session, const struct job *job,
		 struct procpool_writer *w)
{
	pid_t pid = worker_of(job);
	bool all = session_job_rights(session, job) & ACCESS_ADMINISTER;
	bool failed = job_ended(job) && job->outcome.code != ERR_NONE;
	uint64_t parent = visible_parent(core, session, job);
	procpool_write_map(w, 15 + failed + (parent != 0));
	write_key_uint(w, "job", job->id);
	write_key_string(w, "pool", job->function->pool->spec->name);
	write_key_string(w, "function", job->function->name);
	write_key_string(w, "kind", job->map ? "map" : "apply");
	write_key_string(w, "state", job_state_name(job->state));
	write_key_uint(w, "uid", job->session->user->uid);
	write_key_string(w, "client", all ? job->session->client : NULL);
	write_key_time(w, "since", job->since_us);
	write_key_time(w, "submitted", job->submitted_us);
	write_key_uint(w, "attempt", job_attempt(job));
	procpool_write_string(w, "worker");
	if (pid != 0)
		procpool_write_int(w, pid);
	else
		procpool_write_nil(w);
	write_key_uint(w, "tasks", job->whole.count);
	write_key_uint(w, "finished", job->finished);
	write_progress(w, job, all);
	procpool_write_string(w, "detached");
	procpool_write_bool(w, job->detached);
	if (parent != 0)
		write_key_uint(w, "parent", parent);
	if (failed)
		write_error(w, job, all);
}

static bool matches(const struct job *job, const struct observe_jobs_filter *filter)
{
	const char *state = job_state_name(job->state), *pool = job->function->pool->spec->name;
	if (filter->state && (strlen(state) != filter->state_size ||
			      memcmp(state, filter->state, filter->state_size) != 0))
		return false;
	return !filter->pool || (strlen(pool) == filter->pool_size &&
				 memcmp(pool, filter->pool, filter->pool_size) == 0);
}

void observe_jobs(struct server *server, const struct session *session,
		  const struct observe_jobs_filter *filter, struct procpool_writer *w)
{
	size_t place = procpool_write_open_array(w);
	uint64_t id = filter->after;
	uint32_t count = 0;
	struct job *job;
	while (count < filter->limit && (job = job_table_next(&server->core.jobs, id, &id))) {
		if (!(session_job_rights(session, job) & ACCESS_OBSERVE) ||
		    (job_ended(job) && !job->kept) || !matches(job, filter))
			continue;
		observe_job(&server->core, session, job, w);
		count++;
	}
	procpool_write_count(w, place, count);
}
