/* SPDX-License-Identifier: MIT */
#include "core/job.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/results.h"
#include "proto/frame.h"

struct map {
	struct range rest;             /* never handed out */
	struct returned_list returned; /* available again */
	uint32_t returned_tasks;
	uint32_t returned_begun;      /* of these, those that have failed before */
	struct range expired_rest;    /* what is to fail, of rest */
	struct returned_list expired; /* and of returned */
	uint32_t chunksize;           /* asked for; 0: none */
	struct results results;
};

#define NO JOB_STATE_COUNT
static const enum job_state next_states[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
	/*                 ASSIGN       TAKE_BACK    RETRY     SUCCEED   FAIL        CANCEL */
	[JOB_WAITING] = {JOB_RUNNING, NO, NO, JOB_DONE, JOB_FAILED, JOB_CANCELLED},
	[JOB_RUNNING] = {JOB_RUNNING, JOB_WAITING, JOB_WAITING, JOB_DONE, JOB_FAILED,
			 JOB_CANCELLED},
	[JOB_DONE] = {NO, NO, NO, NO, NO, NO},
	[JOB_FAILED] = {NO, NO, NO, NO, NO, NO},
	[JOB_CANCELLED] = {NO, NO, NO, NO, NO, NO},
};
#undef NO

enum job_state job_next_state(enum job_state state, enum job_event event)
{
	return next_states[state][event];
}

void job_step(struct job *job, enum job_event event, uint64_t now_us)
{
	enum job_state next = job_next_state(job->state, event);
	assert(next != JOB_STATE_COUNT);
	if (next != job->state)
		job->since_us = now_us;
	job->state = next;
}

const char *job_state_name(enum job_state state)
{
	static const char *const names[] = {
		[JOB_WAITING] = "waiting", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
		[JOB_FAILED] = "failed",   [JOB_CANCELLED] = "cancelled",
	};
	return names[state];
}

bool job_ended(const struct job *job)
{
	return job->state >= JOB_DONE;
}

static struct map *map_create(struct range whole)
{
	struct map *map = calloc(1, sizeof(*map));
	if (map) {
		map->rest = whole;
		TAILQ_INIT(&map->returned);
		TAILQ_INIT(&map->expired);
		results_init(&map->results);
	}
	return map;
}

static void drop_returned(struct returned_list *list)
{
	struct returned *returned;
	while ((returned = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, returned, in_job);
		free(returned);
	}
}

struct job *job_create(bool is_map, struct span request, struct range whole)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	struct span held = span_hold(request);
	job->request = held.blob;
	if (is_map)
		job->map = map_create(whole);
	if (!job->request || (is_map && !job->map)) {
		job_destroy(job);
		return NULL;
	}
	/* The copy, if it is one, has the items at the same offset. */
	whole.data = held.data + (whole.data - request.data);
	job->whole = whole;
	if (job->map)
		job->map->rest.data = whole.data;
	return job;
}

void job_destroy(struct job *job)
{
	if (!job)
		return;
	assert(job->assigned == 0);
	if (job->extra)
		assert(LIST_EMPTY(&job->extra->waits) && LIST_EMPTY(&job->extra->subscriptions));
	job_drop_tasks(job);
	job_drop_progress(job);
	if (job->extra)
		free(job->extra->nesting);
	free(job->extra);
	if (job->map) {
		results_fini(&job->map->results);
		free(job->map);
	}
	if (job_ended(job))
		outcome_fini(&job->outcome);
	blob_unref(job->request);
	free(job);
}

void job_drop_progress(struct job *job)
{
	if (!job->extra)
		return;
	blob_unref(job->extra->progress);
	job->extra->progress = NULL;
}

struct job_extra *job_need_extra(struct job *job)
{
	if (!job->extra) {
		job->extra = calloc(1, sizeof(*job->extra));
		if (!job->extra)
			return NULL;
		job->extra->job = job;
		job->extra->expiry.kind = TIMER_EXPIRY;
		TAILQ_INIT(&job->extra->paused);
	}
	return job->extra;
}

void job_set_chunksize(struct job *job, uint32_t chunksize)
{
	job->map->chunksize = chunksize;
}

uint32_t job_chunksize(const struct job *job)
{
	return job->map ? job->map->chunksize : 1;
}

static uint32_t tasks_paused(const struct job *job)
{
	return job->extra ? job->extra->paused_tasks : 0;
}

uint32_t job_tasks_left(const struct job *job)
{
	if (job->map)
		return job->map->rest.count + job->map->returned_tasks + tasks_paused(job);
	return job->state == JOB_WAITING ? 1 : 0;
}

bool job_has_tasks(const struct job *job)
{
	return job_tasks_left(job) > tasks_paused(job);
}

uint32_t job_tasks_unbegun(const struct job *job)
{
	if (job->map)
		return job->map->rest.count + job->map->returned_tasks - job->map->returned_begun;
	return job->state == JOB_WAITING && tasks_paused(job) == 0 &&
	       !(job->extra && job->extra->next_attempt > 1);
}

uint32_t job_attempt(const struct job *job)
{
	return job->extra && job->extra->attempt > 1 ? job->extra->attempt : 1;
}

struct range range_cut(struct range *range, uint32_t count_max, size_t size_max)
{
	uint32_t count = range->count < count_max ? range->count : count_max;
	size_t size = frame_values_size(range->data, range->data + range->size, size_max, &count);
	struct range cut = {range->first, count, range->data, size};
	range->first += count;
	range->count -= count;
	range->data += size;
	range->size -= size;
	return cut;
}

/* It is no longer held for a retry. */
static void free_returned(struct job *job, struct returned *returned)
{
	if (returned->attempt > 1)
		job->extra->retry_count--;
	free(returned);
}

static struct range take_returned(struct job *job, struct returned *returned, uint32_t count_max,
				  size_t size_max)
{
	struct map *map = job->map;
	struct range cut = range_cut(&returned->range, count_max, size_max);
	map->returned_tasks -= cut.count;
	if (returned->attempt > 1)
		map->returned_begun -= cut.count;
	if (returned->range.count == 0) {
		TAILQ_REMOVE(&map->returned, returned, in_job);
		free_returned(job, returned);
	}
	return cut;
}

struct range job_take(struct job *job, uint32_t count_max, size_t size_max, uint32_t *ret_attempt)
{
	struct job_extra *extra = job->extra;
	assert(job_has_tasks(job) && count_max > 0);
	struct returned *returned = job->map ? TAILQ_FIRST(&job->map->returned) : NULL;
	uint32_t attempt = returned ? returned->attempt : 1;
	if (!job->map && extra && extra->next_attempt > 1)
		attempt = extra->next_attempt;
	if (extra && attempt > extra->attempt)
		extra->attempt = attempt;
	*ret_attempt = attempt;
	if (returned)
		return take_returned(job, returned, count_max, size_max);
	return job->map ? range_cut(&job->map->rest, count_max, size_max) : job->whole;
}

static struct returned *make_returned(struct job *job, struct range range, uint32_t attempt)
{
	struct returned *returned = calloc(1, sizeof(*returned));
	if (!returned)
		return NULL;
	returned->range = range;
	returned->attempt = attempt;
	if (attempt > 1)
		job->extra->retry_count++;
	return returned;
}

static void make_available(struct map *map, struct returned *returned)
{
	map->returned_tasks += returned->range.count;
	if (returned->attempt > 1)
		map->returned_begun += returned->range.count;
	TAILQ_INSERT_HEAD(&map->returned, returned, in_job);
}

int job_give_back(struct job *job, struct range *range, uint32_t begun, uint32_t attempt)
{
	assert(begun < range->count);
	if (!job->map) {
		range->count = 0;
		return 0;
	}
	struct returned *returned = make_returned(job, *range, attempt);
	if (!returned)
		return -ENOMEM;
	struct range kept = {range->first, 0, range->data, 0};
	if (begun > 0)
		kept = range_cut(&returned->range, begun, SIZE_MAX);
	*range = kept;
	make_available(job->map, returned);
	return 0;
}

struct returned *job_pause(struct job *job, struct range range, uint32_t attempt)
{
	struct returned *returned = make_returned(job, range, attempt);
	if (!returned)
		return NULL;
	returned->job = job;
	job->extra->paused_tasks += range.count;
	TAILQ_INSERT_TAIL(&job->extra->paused, returned, in_job);
	return returned;
}

void job_resume(struct returned *returned)
{
	struct job *job = returned->job;
	job->extra->paused_tasks -= returned->range.count;
	TAILQ_REMOVE(&job->extra->paused, returned, in_job);
	if (job->map) {
		make_available(job->map, returned);
		return;
	}
	job->extra->next_attempt = returned->attempt;
	free_returned(job, returned);
}

uint32_t job_first_unbegun(const struct job *job)
{
	const struct returned *returned;
	if (!job->map)
		return 0;
	uint32_t first = job->map->rest.count > 0 ? job->map->rest.first : UINT32_MAX;
	TAILQ_FOREACH (returned, &job->map->returned, in_job)
		if (returned->attempt == 1 && returned->range.first < first)
			first = returned->range.first;
	return first;
}

void job_expire(struct job *job)
{
	struct map *map = job->map;
	struct returned *returned, *next;
	for (returned = TAILQ_FIRST(&map->returned); returned; returned = next) {
		next = TAILQ_NEXT(returned, in_job);
		if (returned->attempt > 1)
			continue;
		TAILQ_REMOVE(&map->returned, returned, in_job);
		TAILQ_INSERT_TAIL(&map->expired, returned, in_job);
		map->returned_tasks -= returned->range.count;
	}
	if (map->rest.count > 0)
		map->expired_rest = map->rest;
	map->rest.count = 0;
}

/* Only which tasks they are still matters, not where their items lie. */
static struct range cut_expired(struct range *range, uint32_t count_max)
{
	uint32_t count = range->count < count_max ? range->count : count_max;
	struct range cut = {.first = range->first, .count = count};
	range->first += count;
	range->count -= count;
	return cut;
}

struct range job_take_expired(struct job *job, uint32_t count_max)
{
	struct returned *returned = TAILQ_FIRST(&job->map->expired);
	if (!returned)
		return cut_expired(&job->map->expired_rest, count_max);
	struct range cut = cut_expired(&returned->range, count_max);
	if (returned->range.count == 0) {
		TAILQ_REMOVE(&job->map->expired, returned, in_job);
		free(returned);
	}
	return cut;
}

void job_drop_tasks(struct job *job)
{
	if (job->extra) {
		drop_returned(&job->extra->paused);
		job->extra->paused_tasks = 0;
	}
	if (job->map) {
		drop_returned(&job->map->returned);
		drop_returned(&job->map->expired);
		job->map->expired_rest.count = 0;
		job->map->returned_tasks = job->map->returned_begun = 0;
		job->map->rest.count = 0;
	}
}

int job_add_values(struct job *job, uint32_t first, uint32_t count, struct span values)
{
	if (!job->collect)
		return results_add(&job->map->results, first, count, values);
	struct blob *pairs = results_pairs(count, values);
	if (!pairs)
		return -ENOMEM;
	int r = results_add(&job->map->results, first, count, span_of_blob(pairs));
	blob_unref(pairs);
	return r;
}

int job_add_error(struct job *job, uint32_t index, struct procpool_value error)
{
	struct blob *pair = results_error_pair(error);
	if (!pair)
		return -ENOMEM;
	int r = results_add(&job->map->results, index, 1, span_of_blob(pair));
	blob_unref(pair);
	return r;
}

struct span job_assemble(struct job *job)
{
	struct blob *blob = results_take(&job->map->results, job->whole.count);
	results_fini(&job->map->results);
	return blob ? span_of_blob(blob) : (struct span){0};
}

uint64_t job_result_size(const struct job *job)
{
	return job->map ? job->map->results.size + 5 : 0;
}
