/* SPDX-License-Identifier: MIT */
#include "core/worker_end.h"

#include <signal.h>
#include <string.h>

#include "core/pool.h"
#include "core/worker.h"

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

struct outcome worker_end_lost(const struct worker_end *end, const struct worker *worker)
{
	/* Whatever else may have ended it first is told as that. */
	bool killed = worker->out_of_memory && end->signal == SIGKILL;
	uint64_t used = killed ? worker->rss_bytes : end->memory_bytes;
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
