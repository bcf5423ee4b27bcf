/* SPDX-License-Identifier: MIT */
/*
 * What the daemon says: answers end calls, pushes go to streams and to the receiver of pushes.
 * The bytes are well-formed MessagePack (link.h) and otherwise not trusted: an answer that makes
 * no sense ends the connection, a push that makes none is passed on as one of unknown kind.
 */
#include "connection.h"
#include "outcome.h"

#define RESPONSE     1
#define NOTIFICATION 2

static void violation(struct procpool *pp, const char *what)
{
	connection_lose(pp, PROCPOOL_ERR_LOST, 0, "the daemon broke the protocol: %s", what);
}

/* The daemon has told a streamed map's job: its elements can come. */
static void on_stream_begun(struct procpool *pp, struct procpool_call *call,
			    struct procpool_value value)
{
	uint64_t job;
	if (!procpool_value_uint(value, &job) || !stream_enter(&pp->streams, call->stream, job)) {
		violation(pp, "a job id that is none");
		return;
	}
	if (call->cancel)
		submit_cancel(pp, call);
}

/* [1, msgid, error, value], the iterator behind the 1. */
static void on_response(struct procpool *pp, struct procpool_iter *it)
{
	struct procpool_value msgid, error;
	uint64_t id;
	if (!procpool_iter_next_pair(it, &msgid, &error) || !procpool_value_uint(msgid, &id)) {
		violation(pp, "an answer without msgid");
		return;
	}
	struct procpool_call *call = call_find(&pp->calls, id);
	if (!call) {
		violation(pp, "an answer to no request");
		return;
	}
	/* The last element needs no walk to its end. */
	struct procpool_value value = {it->next, (size_t)(it->end - it->next)};
	enum procpool_code code = outcome_borrow(&pp->answer, error, value);
	if (call->stream && code == PROCPOOL_OK) {
		if (call->stream->job == 0)
			on_stream_begun(pp, call, value);
		else
			violation(pp, "two answers to one request");
		return;
	}
	connection_end_call(pp, call, &pp->answer);
}

/* [job, first, outcomes]: elements of a stream. */
static bool on_items(struct procpool *pp, struct procpool_value params)
{
	struct procpool_iter it = procpool_iter(params);
	struct procpool_value job_value, first_value, outcomes;
	uint64_t job, first;
	if (!procpool_iter_next_pair(&it, &job_value, &first_value) ||
	    !procpool_iter_next(&it, &outcomes) || !procpool_value_uint(job_value, &job) ||
	    !procpool_value_uint(first_value, &first) ||
	    procpool_value_type(outcomes) != PROCPOOL_ARRAY)
		return false;
	struct stream *stream = stream_find(pp->streams, job);
	if (stream && (stream->call->callback || stream->call->held))
		stream->on_items(pp, first, outcomes, stream->data);
	return true;
}

/* [job, error, value, meta]: the end of a job, into push and pp->answer. */
static bool read_result(struct procpool *pp, struct procpool_push *push)
{
	struct procpool_iter it = procpool_iter(push->params);
	struct procpool_value job, error, value;
	if (!procpool_iter_next(&it, &job) || !procpool_iter_next_pair(&it, &error, &value) ||
	    !procpool_value_uint(job, &push->job))
		return false;
	procpool_iter_next(&it, &push->detail);
	push->kind = PROCPOOL_PUSH_RESULT;
	outcome_borrow(&pp->answer, error, value);
	if (pp->answer.code != PROCPOOL_OK)
		pp->answer.job = push->job;
	push->outcome = &pp->answer;
	return true;
}

static bool read_event(struct procpool_push *push)
{
	push->detail = procpool_value_at(push->params, 0);
	if (procpool_value_type(push->detail) != PROCPOOL_MAP)
		return false;
	push->kind = PROCPOOL_PUSH_EVENT;
	procpool_value_uint(procpool_value_get(push->detail, "job"), &push->job);
	return true;
}

/* [error]: why the daemon is about to close. Kept for when it does. */
static bool read_goodbye(struct procpool *pp, struct procpool_push *push)
{
	struct procpool_value error = procpool_value_at(push->params, 0);
	if (error.size == 0 || outcome_borrow(&pp->answer, error, error) == PROCPOOL_OK)
		return false;
	procpool_outcome_copy(&pp->goodbye, &pp->answer);
	push->kind = PROCPOOL_PUSH_ERROR;
	push->outcome = &pp->answer;
	return true;
}

/* [pool, worker, stream, data] */
static bool read_output(struct procpool_push *push, struct procpool_output *output)
{
	struct procpool_value params = push->params, stream = procpool_value_at(params, 2);
	const void *pool;
	if (!procpool_value_bytes(procpool_value_at(params, 0), &pool, &output->pool_size) ||
	    !procpool_value_uint(procpool_value_at(params, 1), &output->worker) ||
	    !procpool_value_bytes(procpool_value_at(params, 3), &output->data, &output->size))
		return false;
	output->pool = pool;
	output->error = procpool_value_is(stream, "stderr");
	if (!output->error && !procpool_value_is(stream, "stdout"))
		return false;
	push->kind = PROCPOOL_PUSH_OUTPUT;
	push->output = output;
	return true;
}

/* [2, name, params], the iterator behind the 2. */
static void on_notification(struct procpool *pp, struct procpool_iter *it)
{
	struct procpool_push push = {0};
	struct procpool_output output;
	struct stream *stream = NULL;
	if (!procpool_iter_next_pair(it, &push.name, &push.params) ||
	    procpool_value_type(push.params) != PROCPOOL_ARRAY) {
		violation(pp, "a push without params");
		return;
	}
	if (procpool_value_is(push.name, "items") && on_items(pp, push.params))
		return;
	if (procpool_value_is(push.name, "result")) {
		if (read_result(pp, &push))
			stream = stream_find(pp->streams, push.job);
	} else if (procpool_value_is(push.name, "event")) {
		read_event(&push);
	} else if (procpool_value_is(push.name, "error")) {
		read_goodbye(pp, &push);
	} else if (procpool_value_is(push.name, "output")) {
		read_output(&push, &output);
	}
	if (pp->on_push)
		pp->on_push(pp, &push, pp->push_data);
	if (stream && connection_usable(pp) == PROCPOOL_OK)
		connection_end_call(pp, stream->call, &pp->answer);
}

static void on_message(struct procpool *pp, struct procpool_value message)
{
	struct procpool_iter it = procpool_iter(message);
	struct procpool_value type_value;
	size_t count = procpool_value_count(message);
	uint64_t type = 0;
	if (procpool_value_type(message) == PROCPOOL_ARRAY && procpool_iter_next(&it, &type_value))
		procpool_value_uint(type_value, &type);
	if (type == RESPONSE && count == 4)
		on_response(pp, &it);
	else if (type == NOTIFICATION && count == 3)
		on_notification(pp, &it);
	else
		violation(pp, "a message that is neither an answer nor a push");
}

void receive_messages(struct procpool *pp)
{
	/* A callback may close the connection or fork, which each message checks anew. */
	while (pp->state == PROCPOOL_CONNECTED && connection_usable(pp) == PROCPOOL_OK) {
		struct procpool_value message;
		switch (link_next(&pp->link, &message)) {
		case LINK_MESSAGE:
			on_message(pp, message);
			break;
		case LINK_CUT:
			return;
		case LINK_BAD:
			violation(pp, "bytes that are no MessagePack");
			return;
		case LINK_TOO_LARGE:
			violation(pp, "a message larger than it may be");
			return;
		}
	}
}
