/* SPDX-License-Identifier: MIT */
#include "core/job.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/results.h"
#include "proto/frame.h"

/* A range that was handed out and taken back. */
struct returned {
	struct range range;
	STAILQ_ENTRY(returned) next;
};

struct map {
	struct range rest; /* never handed out */
	STAILQ_HEAD(, returned) returned;
	uint32_t returned_tasks;
	uint32_t chunksize; /* asked for; 0: none */
	struct results results;
};

#define NO JOB_STATE_COUNT
static const enum job_state next_states[JOB_STATE_COUNT][JOB_EVENT_COUNT] = {
	/*                 ASSIGN       TAKE_BACK    SUCCEED   FAIL        CANCEL */
	[JOB_WAITING] = {JOB_RUNNING, NO, JOB_DONE, JOB_FAILED, JOB_CANCELLED},
	[JOB_RUNNING] = {JOB_RUNNING, JOB_WAITING, JOB_DONE, JOB_FAILED, JOB_CANCELLED},
	[JOB_DONE] = {NO, NO, NO, NO, NO},
	[JOB_FAILED] = {NO, NO, NO, NO, NO},
	[JOB_CANCELLED] = {NO, NO, NO, NO, NO},
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
		STAILQ_INIT(&map->returned);
		results_init(&map->results);
	}
	return map;
}

static void map_drop_tasks(struct map *map)
{
	struct returned *returned;
	while ((returned = STAILQ_FIRST(&map->returned))) {
		STAILQ_REMOVE_HEAD(&map->returned, next);
		free(returned);
	}
	map->returned_tasks = 0;
	map->rest.count = 0;
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
	free(job->extra);
	if (job->map) {
		map_drop_tasks(job->map);
		results_fini(&job->map->results);
		free(job->map);
	}
	if (job_ended(job))
		outcome_fini(&job->outcome);
	blob_unref(job->request);
	free(job);
}

struct job_extra *job_need_extra(struct job *job)
{
	if (!job->extra)
		job->extra = calloc(1, sizeof(*job->extra));
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

uint32_t job_tasks_left(const struct job *job)
{
	if (job->map)
		return job->map->rest.count + job->map->returned_tasks;
	return job->state == JOB_WAITING ? 1 : 0;
}

bool job_has_tasks(const struct job *job)
{
	return job_tasks_left(job) > 0;
}

/* Cuts the first elements off a range. */
static struct range range_cut(struct range *range, uint32_t count_max, size_t size_max)
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

struct range job_take(struct job *job, uint32_t count_max, size_t size_max)
{
	assert(job_has_tasks(job) && count_max > 0);
	if (!job->map)
		return job->whole;
	struct returned *returned = STAILQ_FIRST(&job->map->returned);
	if (!returned)
		return range_cut(&job->map->rest, count_max, size_max);

	struct range cut = range_cut(&returned->range, count_max, size_max);
	job->map->returned_tasks -= cut.count;
	if (returned->range.count == 0) {
		STAILQ_REMOVE_HEAD(&job->map->returned, next);
		free(returned);
	}
	return cut;
}

int job_give_back(struct job *job, struct range *range, uint32_t begun)
{
	assert(begun < range->count);
	if (!job->map) {
		range->count = 0;
		return 0;
	}
	struct returned *returned = malloc(sizeof(*returned));
	if (!returned)
		return -ENOMEM;
	returned->range = *range;
	struct range kept = {range->first, 0, range->data, 0};
	if (begun > 0)
		kept = range_cut(&returned->range, begun, SIZE_MAX);
	*range = kept;
	job->map->returned_tasks += returned->range.count;
	STAILQ_INSERT_HEAD(&job->map->returned, returned, next);
	return 0;
}

void job_drop_tasks(struct job *job)
{
	if (job->map)
		map_drop_tasks(job->map);
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
