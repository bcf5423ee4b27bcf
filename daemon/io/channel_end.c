/* SPDX-License-Identifier: MIT */
/*
 * Why a pool's runtime has ended, in words for whoever waits for the pool: what happened, how far
 * it had come, and what to do about it where that is likely.
 */
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "io/channel.h"
#include "proto/problem.h"
#include "proto/worker.h"

/* For a sentence to go on with. */
static const char *how_far(const struct channel *channel)
{
	const struct runtime *runtime = channel->runtime;
	if (channel->complaint)
		return "";
	if (!channel->greeted)
		return " before it said hello";
	if (!channel->loaded)
		return " while it loaded";
	if (runtime->ready_us == 0)
		return " before any of its workers was ready";
	return runtime == runtime->pool->successor ? " before all of its workers were ready" : "";
}

/* Whether it never came to speak the protocol. */
static bool is_stranger(const struct channel *channel)
{
	return !channel->greeted || channel->complaint;
}

/* What to do about a Python that has no package for the protocol, or that of another version. */
static void write_advice(const struct channel *channel, char *text, size_t size)
{
	const char *python = channel->runtime->spec->interpreter;
	text[0] = '\0';
	if (!python || !is_stranger(channel))
		return;
	if (channel->complaint)
		snprintf(text, size,
			 "; install the package that belongs to this daemon: %s -m pip install "
			 "procpool==" PROCPOOL_VERSION,
			 python);
	else if (channel->end.exit_status == 1)
		snprintf(text, size,
			 "; if it lacks the package procpool, install that: %s -m pip install "
			 "procpool",
			 python);
}

static void write_what(const struct channel *channel, char *text, size_t size)
{
	const struct worker_end *end = &channel->end;
	if (end->reason)
		snprintf(text, size, "%s", end->reason);
	else if (channel->killed && !channel->greeted)
		snprintf(text, size, "took too long, or was not wanted any more, and was killed");
	else if (end->signal)
		snprintf(text, size, "was ended by signal %d (%s)", end->signal,
			 strsignal(end->signal));
	else
		snprintf(text, size, "exited with status %d", end->exit_status);
}

static struct outcome describe(const struct channel *channel)
{
	const struct pool_spec *spec = channel->runtime->spec;
	/* The first question is then which program that was. */
	bool named = is_stranger(channel) && spec->runtime[0];
	char what[512], advice[2 * 512];
	/* Whoever has opened a pool may have another daemon that can give it these settings. */
	bool denied = channel->process.refused && channel->pool->owner;
	if (channel->reason)
		return error_outcome(denied ? ERR_DENIED : ERR_INITIALIZER_FAILED, "pool %s: %s",
				     spec->name, channel->reason);
	write_what(channel, what, sizeof(what));
	write_advice(channel, advice, sizeof(advice));
	return error_outcome(ERR_INITIALIZER_FAILED, "pool %s: its runtime %s%s%s%s%s", spec->name,
			     named ? spec->runtime[0] : "", named ? " " : "", what,
			     how_far(channel), advice);
}

struct outcome channel_explain_end(struct channel *channel)
{
	struct outcome error = channel->end.error;
	char tail[TAIL_TEXT_SIZE];
	channel->end.error = (struct outcome){0};
	if (error.value.size > 0)
		return error;
	tail_text(&channel->capture.tail, tail);
	return error_with_string(describe(channel), "stderr", tail);
}

/* A string of a hello, which may be anything. */
static struct quote said(struct procpool_value hello, const char *key)
{
	struct slice text = {"?", 1};
	slice_of(procpool_value_get(hello, key), &text);
	return problem_quote(text);
}

const char *channel_refuse_protocol(struct channel *channel, struct procpool_value hello)
{
	uint64_t protocol = 0;
	char *complaint;
	if (!procpool_value_uint(procpool_value_get(hello, "protocol"), &protocol))
		return "names no version of the worker protocol";
	if (asprintf(&complaint,
		     "(%s %s) speaks version %llu of the worker protocol, and this daemon version "
		     "%d",
		     said(hello, "runtime").text, said(hello, "version").text,
		     (unsigned long long)protocol, WORKER_PROTOCOL_VERSION) < 0)
		return "speaks another version of the worker protocol";
	channel->complaint = complaint;
	return complaint;
}
