/* SPDX-License-Identifier: MIT */
#include "io/report.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "io/about.h"
#include "io/channel.h"
#include "io/server.h"

/* How much of what a worker said last: the rest is in the error that its caller gets. */
#define LAST_WORDS_BYTES 400

struct sentence {
	char text[LOG_LINE_MAX];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct sentence *sentence, const char *format,
						      ...)
{
	size_t room = sizeof(sentence->text) - sentence->size;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(sentence->text + sentence->size, room, format, args);
	va_end(args);
	if (n > 0)
		sentence->size += (size_t)n < room ? (size_t)n : room - 1;
}

static double mebibytes(uint64_t bytes)
{
	return (double)bytes / (1024. * 1024.);
}

/* The end of its standard error, in one line. */
static void add_last_words(struct sentence *sentence, const char *text, size_t size)
{
	while (size > 0 && text[size - 1] == '\n')
		size--;
	if (size == 0)
		return;
	size_t begin = size > LAST_WORDS_BYTES ? size - LAST_WORDS_BYTES : 0;
	while (begin > 0 && begin < size && ((unsigned char)text[begin] & 0xc0) == 0x80)
		begin++;
	add(sentence, "; last on standard error: %s", begin > 0 ? "..." : "");
	while (begin < size) {
		const char *end = memchr(text + begin, '\n', size - begin);
		size_t n = end ? (size_t)(end - text) - begin : size - begin;
		add(sentence, "%.*s%s", (int)n, text + begin, end ? " | " : "");
		begin += n + (end ? 1 : 0);
	}
}

static void add_signal(struct sentence *sentence, int number)
{
	const char *name = sigabbrev_np(number);
	add(sentence, " was ended by signal %d", number);
	if (name)
		add(sentence, " (SIG%s)", name);
}

/* ---- workers ---- */

static const char *reason_of(const struct worker *worker, const struct worker_end *end)
{
	return end->reason ? end->reason : worker->kill_reason;
}

/* As the error that its caller gets has it (core/worker_end.c). */
static void add_how_it_ended(struct sentence *sentence, const struct worker *worker,
			     const struct worker_end *end)
{
	uint64_t used = worker_end_used_bytes(end, worker);
	const char *reason = reason_of(worker, end);
	bool killed = worker->killed && end->signal == SIGKILL;
	if (used > 0)
		add(sentence, " was killed: it used %.1f MiB of memory, and may use %.1f MiB",
		    mebibytes(used), mebibytes(worker->runtime->spec->memory_bytes));
	else if (killed)
		add(sentence, " was killed");
	else if (end->signal)
		add_signal(sentence, end->signal);
	else if (end->exit_status < 0)
		add(sentence, " ended");
	else
		add(sentence, " exited with status %d", end->exit_status);
	if (used == 0 && reason)
		add(sentence, ": %s", reason);
	if (!worker->was_ready)
		add(sentence, "%s before it was ready", reason ? "," : "");
}

/* What ran in it, whose, and for how long. */
static void add_task(struct sentence *sentence, const struct worker_loss *loss)
{
	const struct job *job = loss->job;
	add(sentence, "; it ran %s", job->function->name);
	if (job->map)
		add(sentence, ", task %u", loss->task);
	add(sentence, " of job %llu of user %u", (unsigned long long)job->id,
	    (unsigned)job->session->user->uid);
	if (loss->ran_us > 0)
		add(sentence, ", for %.3f s", (double)loss->ran_us / 1e6);
	if (job->extra && job->extra->retries > 0)
		add(sentence, ", attempt %u of %u", loss->attempt, job->extra->retries + 1);
}

static void add_loss(struct sentence *sentence, const struct worker_loss *loss)
{
	if (loss->lost + loss->again == 0)
		add(sentence, loss->job ? ", which nobody waits for" : "; nothing ran in it");
	if (loss->lost > 0)
		add(sentence, ": %llu task%s lost", (unsigned long long)loss->lost,
		    loss->lost == 1 ? " is" : "s are");
	if (loss->again > 0)
		add(sentence, "%s %llu task%s to run again", loss->lost > 0 ? "," : ":",
		    (unsigned long long)loss->again, loss->again == 1 ? " is" : "s are");
}

/* Whether it is as somebody wants it. */
static bool is_wanted(const struct channel *channel, const struct worker_loss *loss)
{
	const struct worker *worker = channel->worker;
	return worker->ordered || loss->stopping == STOP_UNWANTED || channel->server->stopping ||
	       pool_needs_no_workers(channel->pool);
}

/* Whether nothing of it is worth a line, or it was told before. */
static bool is_quiet(const struct channel *channel, const struct worker_end *end,
		     const struct worker_loss *loss)
{
	const struct worker *worker = channel->worker;
	if (loss->lost + loss->again > 0)
		return false;
	if (channel->server->stopping || pool_needs_no_workers(channel->pool))
		return true;
	/* Of those that were told to end, only what they did instead. */
	if (worker->retired || channel->shut)
		return worker->killed || end->signal == 0;
	return !worker->was_ready && (end->error.value.size > 0 || end->transient);
}

/* The creator of a private daemon gets the error as the owner of a pool does. */
static enum log_level level_of(const struct channel *channel, const struct worker_loss *loss)
{
	if (is_wanted(channel, loss) || (channel->worker->was_ready && channel->server->is_private))
		return LOG_LEVEL_INFO;
	return about_level(channel->pool,
			   channel->worker->was_ready ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR);
}

static const char *outcome_of(const struct worker *worker, const struct worker_end *end,
			      const struct worker_loss *loss)
{
	if (!worker->was_ready)
		return error_name(ERR_INITIALIZER_FAILED);
	if (loss->stopping != STOP_NONE)
		return error_name(loss->stopping == STOP_TIMEOUT ? ERR_TIMEOUT : ERR_CANCELLED);
	return error_name(worker_end_used_bytes(end, worker) > 0 ? ERR_OUT_OF_MEMORY
								 : ERR_WORKER_LOST);
}

static struct log_fields fields_of(const struct channel *channel, const struct worker_end *end,
				   const struct worker_loss *loss)
{
	struct log_fields fields = about_worker(channel->worker);
	fields.kind = is_wanted(channel, loss) ? LOG_KIND_ANY : LOG_KIND_CRASH;
	fields.outcome = outcome_of(channel->worker, end, loss);
	if (loss->job) {
		fields.job = loss->job->id;
		fields.function = loss->job->function->name;
		fields.has_uid = true;
		fields.uid = loss->job->session->user->uid;
		fields.duration_us = loss->ran_us;
	}
	return fields;
}

void report_worker_end(const struct channel *channel, const struct worker_end *end)
{
	struct worker *worker = channel->worker;
	struct worker_loss loss = worker_end_loss(worker, channel->server->now_us);
	enum log_level level = level_of(channel, &loss);
	struct sentence sentence = {.size = 0};
	if (is_quiet(channel, end, &loss) || !log_enabled(level))
		return;
	struct log_fields fields = fields_of(channel, end, &loss);
	add(&sentence, "pool %s: worker %u", fields.pool, fields.worker);
	if (worker->pid > 0)
		add(&sentence, " (pid %ld)", (long)worker->pid);
	add_how_it_ended(&sentence, worker, end);
	if (loss.job)
		add_task(&sentence, &loss);
	if (worker->was_ready)
		add_loss(&sentence, &loss);
	if (end->max_rss_bytes > 0)
		add(&sentence, "; it used %.1f MiB at most", mebibytes(end->max_rss_bytes));
	if (end->stderr_tail && !channel->pool->owner)
		add_last_words(&sentence, end->stderr_tail, strlen(end->stderr_tail));
	log_event(level, &fields, "%s", sentence.text);
}

/* ---- runtimes ---- */

void report_runtime_end(const struct channel *channel, const struct outcome *error)
{
	struct procpool_value map = span_value(error->value);
	const struct runtime *runtime = channel->runtime;
	struct sentence sentence = {.size = 0};
	const char *text;
	size_t size;
	struct log_fields fields = about_channel(channel);
	fields.kind = LOG_KIND_CRASH;
	fields.outcome = error_name(error->code);
	if (procpool_value_string(procpool_value_get(map, "message"), &text, &size))
		add(&sentence, "%.*s", (int)(size < 1024 ? size : 1024), text);
	/* Some may have closed their channels before. */
	unsigned workers = runtime->worker_count - runtime->unforked_count;
	if (workers > 0)
		add(&sentence, "; %u worker%s with it", workers,
		    workers == 1 ? " has ended" : "s have ended");
	if (!channel->pool->owner &&
	    procpool_value_string(procpool_value_get(map, "stderr"), &text, &size))
		add_last_words(&sentence, text, size);
	log_event(about_level(channel->pool,
			      runtime->ready_us > 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR),
		  &fields, "%s", sentence.text);
}

/* ---- tasks and jobs ---- */

static struct log_fields about_job(const struct action *action)
{
	struct log_fields fields =
		action->worker ? about_worker(action->worker) : about_pool(action->function->pool);
	fields.job = action->job_id;
	fields.function = action->function->name;
	fields.has_uid = true;
	fields.uid = action->uid;
	fields.duration_us = action->ran_us;
	fields.outcome = action->how;
	return fields;
}

void report_slow_task(const struct server *server, const struct action *action)
{
	struct log_fields fields = about_job(action);
	struct sentence sentence = {.size = 0};
	fields.kind = LOG_KIND_SLOW;
	add(&sentence, "pool %s: %s", fields.pool, fields.function);
	if (action->count > 1)
		add(&sentence, ", tasks %u to %u", action->first,
		    action->first + action->count - 1);
	else if (action->count == 1)
		add(&sentence, ", task %u", action->first);
	add(&sentence, " of job %llu of user %u ", (unsigned long long)fields.job,
	    (unsigned)fields.uid);
	if (strcmp(action->how, "running") == 0)
		add(&sentence, "runs for %.3f s already", (double)action->ran_us / 1e6);
	else
		add(&sentence, "ran for %.3f s: %s", (double)action->ran_us / 1e6, action->how);
	add(&sentence, ", in worker %u (pid %ld)", fields.worker, (long)fields.pid);
	log_event(server->is_private ? LOG_LEVEL_INFO
				     : about_level(action->worker->pool, LOG_LEVEL_WARNING),
		  &fields, "%s", sentence.text);
}

void report_job_end(const struct action *action)
{
	struct log_fields fields = about_job(action);
	const char *client = action->session ? action->session->client : NULL;
	if (action->session)
		fields.session = action->session->id;
	fields.client = client;
	log_event(
		LOG_LEVEL_DEBUG, &fields,
		"pool %s: job %llu of user %u%s%s: %s of %u task%s: %s; waited %.6f s, ran %.6f s",
		fields.pool, (unsigned long long)fields.job, (unsigned)fields.uid,
		client ? ", client " : "", client ? client : "", fields.function, action->count,
		action->count == 1 ? "" : "s", action->how, (double)action->waited_us / 1e6,
		(double)action->ran_us / 1e6);
}
