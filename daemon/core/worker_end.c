/* SPDX-License-Identifier: MIT */
#include "core/worker_end.h"

#include <signal.h>
#include <string.h>

#include "core/pool.h"
#include "core/retry.h"

#define MIB (1024. * 1024.)

static struct outcome out_of_memory(const struct worker *worker, uint64_t used)
{
	struct error_builder b;
	uint64_t limit = worker->runtime->spec->memory_bytes;
	error_builder_begin(&b, ERR_OUT_OF_MEMORY,
			    "worker %ld was killed: it used %.1f MiB of memory, and may use "
			    "%.1f MiB",
			    (long)worker->pid, (double)used / MIB, (double)limit / MIB);
	error_builder_add_int(&b, "pid", worker->pid);
	error_builder_add_int(&b, "limit", (int64_t)limit);
	error_builder_add_int(&b, "rss", (int64_t)used);
	return error_builder_end(&b);
}

static struct outcome lost(const struct worker_end *end, const struct worker *worker)
{
	struct error_builder b;
	const char *reason = end->reason ? end->reason : worker->kill_reason;
	const char *colon = reason ? ": " : "";
	if (!reason)
		reason = "";
	if (end->signal)
		error_builder_begin(&b, ERR_WORKER_LOST,
				    "worker %ld was ended by signal %d (%s)%s%s", (long)worker->pid,
				    end->signal, strsignal(end->signal), colon, reason);
	else
		error_builder_begin(&b, ERR_WORKER_LOST, "worker %ld exited with status %d%s%s",
				    (long)worker->pid, end->exit_status, colon, reason);
	error_builder_add_int(&b, end->signal ? "signal" : "exit_status",
			      end->signal ? end->signal : end->exit_status);
	error_builder_add_int(&b, "pid", worker->pid);
	return error_builder_end(&b);
}

uint64_t worker_end_used_bytes(const struct worker_end *end, const struct worker *worker)
{
	/* Whatever else may have ended it first is told as that. */
	bool killed = worker->out_of_memory && end->signal == SIGKILL;
	return killed ? worker->rss_bytes : end->memory_bytes;
}

struct outcome worker_end_lost(const struct worker_end *end, const struct worker *worker)
{
	uint64_t used = worker_end_used_bytes(end, worker);
	struct outcome error = used > 0 ? out_of_memory(worker, used) : lost(end, worker);
	return error_with_string(error, "stderr", end->stderr_tail);
}

struct outcome worker_end_failed_start(const struct worker_end *end, const struct worker *worker)
{
	const char *name = worker->pool->spec->name;
	const char *reason = end->reason ? end->reason : "it said nothing";
	const char *when = worker->was_ready ? "as soon as it was ready, like others before it"
					     : "before it was ready";
	struct outcome error;
	if (end->signal)
		error = error_outcome(ERR_INITIALIZER_FAILED,
				      "pool %s: a worker was ended by signal %d (%s) %s: %s", name,
				      end->signal, strsignal(end->signal), when, reason);
	else
		error = error_outcome(ERR_INITIALIZER_FAILED,
				      "pool %s: a worker exited with status %d %s: %s", name,
				      end->exit_status, when, reason);
	return error_with_string(error, "stderr", end->stderr_tail);
}

static void count_lost(const struct worker *worker, struct worker_loss *loss)
{
	for (uint32_t seq = worker->oldest_seq; seq != worker->next_seq; seq++) {
		const struct chunk *chunk = &worker->chunks[seq % PAGE_SLOTS];
		if (!chunk->pending || chunk->dropped)
			continue;
		uint32_t tasks = worker_begun(worker, chunk) - chunk->answered;
		if (retry_is_allowed(chunk->job, chunk->attempt))
			loss->again += tasks;
		else
			loss->lost += tasks;
	}
}

struct worker_loss worker_end_loss(struct worker *worker, uint64_t now_us)
{
	struct element newest = worker_newest(worker);
	const struct chunk *chunk = newest.chunk;
	struct worker_loss loss = {0};
	count_lost(worker, &loss);
	if (!chunk)
		return loss;
	uint64_t began_us = worker_began_us(worker, newest);
	loss.job = chunk->job;
	loss.task = chunk->range.first + newest.index;
	loss.attempt = chunk->attempt;
	if (worker_stops(worker, newest))
		loss.stopping = worker->stop.reason;
	if (loss.stopping == STOP_TIMEOUT)
		began_us = worker->stop.began_us;
	loss.ran_us = now_us - began_us;
	return loss;
}
