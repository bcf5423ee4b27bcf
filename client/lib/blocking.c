/* SPDX-License-Identifier: MIT */
/*
 * The functions that wait for their answer: each makes a call whose callback fills the caller's
 * outcome, and dispatches until it has been called.
 */
#include "connection.h"
#include "outcome.h"

/* A call that is being waited for. It is always waited out: the callback points to this. */
struct wait {
	struct procpool_outcome *out; /* the caller's, or NULL */
	enum procpool_code code;
	uint64_t integer; /* the value, where it is one */
	bool done;
};

/* Into the caller's outcome: a large value with the buffer that it lies in. */
static enum procpool_code hand_over(struct procpool *pp, const struct procpool_outcome *outcome,
				    struct procpool_outcome *out)
{
	if (!link_trade(&pp->link, outcome->value, &out->memory, &out->capacity))
		return procpool_outcome_copy(out, outcome);
	outcome_clear(out);
	out->value = outcome->value;
	return PROCPOOL_OK;
}

static void on_answer(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct wait *wait = data;
	wait->done = true;
	wait->code = outcome->code;
	procpool_value_uint(outcome->value, &wait->integer);
	if (wait->out && hand_over(pp, outcome, wait->out) != PROCPOOL_OK)
		wait->code = PROCPOOL_ERR_NO_MEMORY;
}

/* Waits for the call that was made with on_answer and wait, if queued is PROCPOOL_OK. */
static enum procpool_code await(struct procpool *pp, struct wait *wait, enum procpool_code queued)
{
	if (queued != PROCPOOL_OK)
		return outcome_fail(wait->out, queued, 0, NULL);
	enum procpool_code code = dispatch_until(pp, &wait->done, -1);
	return code == PROCPOOL_OK ? wait->code : outcome_fail(wait->out, code, 0, NULL);
}

enum procpool_code procpool_apply(struct procpool *pp, const char *func, struct procpool_value args,
				  const struct procpool_options *options,
				  struct procpool_outcome *out)
{
	struct wait wait = {.out = out};
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK)
		code = procpool_apply_async(pp, func, args, options, on_answer, &wait, NULL);
	return await(pp, &wait, code);
}

enum procpool_code procpool_map(struct procpool *pp, const char *func, struct procpool_value items,
				const struct procpool_options *options,
				struct procpool_outcome *out)
{
	struct wait wait = {.out = out};
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK)
		code = procpool_map_async(pp, func, items, options, on_answer, &wait, NULL);
	return await(pp, &wait, code);
}

static enum procpool_code job(struct procpool *pp, const char *method, const char *func,
			      struct procpool_value args, const struct procpool_options *options,
			      uint64_t *ret_job, struct procpool_outcome *out)
{
	struct wait wait = {.out = out};
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK)
		code = submit_job(pp, method, func, args, options, on_answer, &wait);
	code = await(pp, &wait, code);
	if (code == PROCPOOL_OK)
		*ret_job = wait.integer;
	return code;
}

enum procpool_code procpool_submit(struct procpool *pp, const char *func,
				   struct procpool_value args,
				   const struct procpool_options *options, uint64_t *ret_job,
				   struct procpool_outcome *out)
{
	return job(pp, "apply_async", func, args, options, ret_job, out);
}

enum procpool_code procpool_submit_map(struct procpool *pp, const char *func,
				       struct procpool_value items,
				       const struct procpool_options *options, uint64_t *ret_job,
				       struct procpool_outcome *out)
{
	return job(pp, "map_async", func, items, options, ret_job, out);
}

enum procpool_code procpool_request(struct procpool *pp, const char *method,
				    struct procpool_value params, struct procpool_outcome *out)
{
	struct wait wait = {.out = out};
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK)
		code = procpool_request_async(pp, method, params, on_answer, &wait, NULL);
	return await(pp, &wait, code);
}

enum procpool_code request_written(struct procpool *pp, const char *method,
				   struct procpool_writer *params, struct procpool_outcome *out)
{
	struct procpool_value value = procpool_writer_value(params);
	enum procpool_code code = value.size > 0
					  ? procpool_request(pp, method, value, out)
					  : outcome_fail(out, PROCPOOL_ERR_NO_MEMORY, 0, NULL);
	procpool_writer_fini(params);
	return code;
}

enum procpool_code procpool_wait(struct procpool *pp, uint64_t job_id, double seconds,
				 struct procpool_outcome *out)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, seconds >= 0 ? 2 : 1);
	procpool_write_uint(&params, job_id);
	if (seconds >= 0)
		procpool_write_double(&params, seconds);
	return request_written(pp, "wait", &params, out);
}

static enum procpool_code request_job(struct procpool *pp, const char *method, uint64_t job_id,
				      struct procpool_outcome *out)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_uint(&params, job_id);
	return request_written(pp, method, &params, out);
}

enum procpool_code procpool_fetch(struct procpool *pp, uint64_t job_id,
				  struct procpool_outcome *out)
{
	return request_job(pp, "result", job_id, out);
}

enum procpool_code procpool_cancel(struct procpool *pp, uint64_t job_id,
				   struct procpool_outcome *out)
{
	return request_job(pp, "cancel", job_id, out);
}

/* subscribe and unsubscribe: {job}, {pool} or {}. */
static enum procpool_code request_what(struct procpool *pp, const char *method, uint64_t job_id,
				       const char *pool, struct procpool_outcome *out)
{
	struct procpool_writer params;
	if (job_id != 0 && pool)
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_map(&params, job_id != 0 || pool ? 1 : 0);
	if (job_id != 0) {
		procpool_write_string(&params, "job");
		procpool_write_uint(&params, job_id);
	} else if (pool) {
		procpool_write_string(&params, "pool");
		procpool_write_string(&params, pool);
	}
	return request_written(pp, method, &params, out);
}

enum procpool_code procpool_subscribe(struct procpool *pp, uint64_t job_id, const char *pool,
				      struct procpool_outcome *out)
{
	return request_what(pp, "subscribe", job_id, pool, out);
}

enum procpool_code procpool_unsubscribe(struct procpool *pp, uint64_t job_id, const char *pool,
					struct procpool_outcome *out)
{
	return request_what(pp, "unsubscribe", job_id, pool, out);
}
