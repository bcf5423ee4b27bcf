/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "fork.h"
#include "outcome.h"
#include "proto/limit_table.h"

#define PROTOCOL      1
#define RETRY_MAX_MS  50
#define MESSAGE_LIMIT ((uint64_t)1 << 31) /* more is not believed of a daemon */

enum procpool_code connection_usable(const struct procpool *pp)
{
	return pp->fork_generation == fork_generation() ? PROCPOOL_OK : PROCPOOL_ERR_FORKED;
}

void connection_lose(struct procpool *pp, enum procpool_code code, int os_error, const char *format,
		     ...)
{
	char message[512];
	va_list args;
	if (pp->state == PROCPOOL_LOST)
		return;
	va_start(args, format);
	int n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	const char *why = os_error != 0 ? strerrordesc_np(os_error) : NULL;
	if (why && n >= 0 && (size_t)n < sizeof(message))
		snprintf(message + n, sizeof(message) - (size_t)n, ": %s", why);
	pp->state = PROCPOOL_LOST;
	outcome_fail(&pp->lost, code, os_error, message);
	/* The descriptor stays, so that a loop that watches it can let go of it in peace. */
	if (pp->link.fd >= 0)
		shutdown(pp->link.fd, SHUT_RDWR);
}

void connection_end_call(struct procpool *pp, struct procpool_call *call,
			 const struct procpool_outcome *outcome)
{
	stream_destroy(&pp->streams, call->stream);
	call->stream = NULL;
	call_land(&pp->calls, call);
	if (call->held) {
		procpool_outcome_copy(&call->outcome, outcome);
		return;
	}
	procpool_call_fn callback = call->callback;
	void *data = call->data;
	call_release(&pp->calls, call);
	if (callback)
		callback(pp, outcome, data);
}

void connection_end_calls(struct procpool *pp)
{
	struct procpool_call *call;
	uint64_t next = 0;
	/* Callbacks make no new calls, since the connection is lost; but they may fork. */
	while (connection_usable(pp) == PROCPOOL_OK &&
	       (call = call_next(&pp->calls, &next)) != NULL) {
		bool sent = call->queued_end <= pp->link.sent;
		outcome_fail(&pp->answer, sent ? PROCPOOL_ERR_LOST : PROCPOOL_ERR_NOT_SENT,
			     pp->lost.os_error, pp->lost.message);
		connection_end_call(pp, call, &pp->answer);
	}
}

void connection_destroy(struct procpool *pp)
{
	stream_table_fini(&pp->streams);
	call_table_fini(&pp->calls);
	link_fini(&pp->link);
	procpool_outcome_fini(&pp->hello);
	procpool_outcome_fini(&pp->answer);
	procpool_outcome_fini(&pp->lost);
	procpool_outcome_fini(&pp->goodbye);
	free(pp->path);
	free(pp->client);
	free(pp->socket_path);
	free(pp);
}

static bool nobody_there(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR;
}

/*
 * Tries all places once, and waits at one whose backlog is full. PROCPOOL_OK: connected;
 * PROCPOOL_PENDING: to be tried again; else the connection is lost.
 */
static enum procpool_code try_places(struct procpool *pp, int wait_ms)
{
	struct address_list places;
	unsigned i = 0;
	int r = address_search(pp->path, &places);
	if (r < 0) {
		connection_lose(pp, PROCPOOL_ERR_SYSTEM, -r, "the path of the socket");
		return PROCPOOL_ERR_SYSTEM;
	}
	do
		r = link_connect(&pp->link, &places.at[i], wait_ms);
	while (nobody_there(r) && ++i < places.count);
	if (r == -EAGAIN)
		return PROCPOOL_PENDING;
	if (r == 0) {
		free(pp->socket_path);
		pp->socket_path = strdup(places.at[i].sun_path);
		pp->state = PROCPOOL_CONNECTED;
		return PROCPOOL_OK;
	}
	enum procpool_code code = nobody_there(r) ? PROCPOOL_ERR_NO_DAEMON : PROCPOOL_ERR_SYSTEM;
	if (r == -EACCES || r == -EPERM)
		connection_lose(pp, code, -r, "cannot connect to %s, ask its owner for access",
				places.at[i].sun_path);
	else if (i == places.count && i > 1)
		connection_lose(pp, code, -r, "no daemon at %s nor at %s", places.at[0].sun_path,
				places.at[1].sun_path);
	else
		connection_lose(pp, code, -r, "no daemon at %s",
				places.at[i < places.count ? i : 0].sun_path);
	return code;
}

void connection_retry(struct procpool *pp)
{
	if (now_ms() < pp->retry_at_ms || try_places(pp, 0) != PROCPOOL_PENDING)
		return;
	/* Nothing tells when a backlog has room again. */
	pp->retry_ms = pp->retry_ms * 2 < RETRY_MAX_MS ? pp->retry_ms * 2 + 1 : RETRY_MAX_MS;
	pp->retry_at_ms = now_ms() + pp->retry_ms;
}

/* The answer to hello. A daemon that refuses it, or speaks another protocol, is of no use. */
static void on_hello(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	(void)data;
	uint64_t protocol, bytes;
	if (pp->state == PROCPOOL_LOST)
		return;
	if (outcome->code != PROCPOOL_OK) {
		connection_lose(pp, outcome->code, 0, "the daemon refused hello: %s",
				outcome->message);
		return;
	}
	if (!procpool_value_uint(procpool_value_get(outcome->value, "protocol"), &protocol) ||
	    protocol != PROTOCOL) {
		connection_lose(pp, PROCPOOL_ERR_LOST, 0,
				"the daemon does not speak version %d of the protocol", PROTOCOL);
		return;
	}
	if (procpool_outcome_copy(&pp->hello, outcome) != PROCPOOL_OK) {
		connection_lose(pp, PROCPOOL_ERR_NO_MEMORY, 0, "out of memory");
		return;
	}
	struct procpool_value limits = procpool_value_get(pp->hello.value, "limits");
	if (procpool_value_uint(procpool_value_get(limits, "message_bytes"), &bytes) &&
	    bytes <= MESSAGE_LIMIT) {
		pp->message_max = bytes;
		if (bytes > pp->link.scanner.size_max)
			pp->link.scanner.size_max = bytes;
	}
}

static enum procpool_code queue_hello(struct procpool *pp)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_map(&params, 2);
	procpool_write_string(&params, "client");
	procpool_write_string(&params, pp->client ? pp->client : program_invocation_short_name);
	procpool_write_string(&params, "version");
	procpool_write_string(&params, PROCPOOL_LIBRARY_VERSION);
	struct procpool_value value = procpool_writer_value(&params);
	enum procpool_code code =
		value.size == 0 ? PROCPOOL_ERR_NO_MEMORY
				: procpool_request_async(pp, "hello", value, on_hello, NULL, NULL);
	procpool_writer_fini(&params);
	return code;
}

/* From no connection to one that is connecting, with hello queued. */
static void begin(struct procpool *pp)
{
	const size_t message_max = LIMITS_DEFAULT.message_bytes;
	outcome_clear(&pp->lost);
	outcome_clear(&pp->goodbye);
	outcome_clear(&pp->hello);
	free(pp->socket_path);
	pp->socket_path = NULL;
	pp->message_max = MESSAGE_LIMIT; /* the daemon's to judge, until hello has told */
	pp->retry_ms = 0;
	pp->retry_at_ms = 0;
	pp->state = PROCPOOL_CONNECTING;
	int r = link_open(&pp->link, message_max);
	enum procpool_code code = PROCPOOL_OK;
	if (r < 0)
		connection_lose(pp, PROCPOOL_ERR_SYSTEM, -r, "cannot make a socket");
	else if ((code = queue_hello(pp)) != PROCPOOL_OK)
		connection_lose(pp, code, 0, "%s", procpool_code_text(code));
}

/* Connects and waits for the answer to hello. */
static void connect_now(struct procpool *pp)
{
	int64_t deadline = pp->seconds > 0 ? dispatch_deadline(pp->seconds) : -1;
	int wait = dispatch_remaining(deadline);
	enum procpool_code code = PROCPOOL_PENDING;
	if (wait != 0)
		code = try_places(pp, wait);
	if (code == PROCPOOL_OK)
		code = dispatch_until(pp, NULL, deadline);
	if (code == PROCPOOL_PENDING)
		connection_lose(pp, PROCPOOL_ERR_NO_DAEMON, ETIMEDOUT,
				"the daemon did not answer within %g seconds", pp->seconds);
}

/* Connects as the options say. The code of its failure is also in pp->lost. */
static enum procpool_code start(struct procpool *pp)
{
	begin(pp);
	if (pp->state == PROCPOOL_CONNECTING) {
		if (pp->nonblock)
			connection_retry(pp);
		else
			connect_now(pp);
	}
	if (pp->state == PROCPOOL_LOST)
		connection_end_calls(pp); /* hello */
	return pp->state == PROCPOOL_LOST ? pp->lost.code : PROCPOOL_OK;
}

/* A new connection object with the options copied, not connected. */
static struct procpool *create(const struct procpool_connect_options *options)
{
	struct procpool *pp = calloc(1, sizeof(*pp));
	if (!pp)
		return NULL;
	link_init(&pp->link, LIMITS_DEFAULT.message_bytes);
	pp->hello = pp->answer = pp->lost = pp->goodbye =
		(struct procpool_outcome)PROCPOOL_OUTCOME_INIT;
	pp->state = PROCPOOL_LOST;
	pp->fork_generation = fork_generation();
	pp->seconds = options->seconds;
	pp->nonblock = options->nonblock;
	pp->path = options->path ? strdup(options->path) : NULL;
	pp->client = options->client ? strdup(options->client) : NULL;
	if ((options->path && !pp->path) || (options->client && !pp->client)) {
		connection_destroy(pp);
		return NULL;
	}
	return pp;
}

enum procpool_code procpool_connect(const struct procpool_connect_options *options,
				    struct procpool **ret, struct procpool_outcome *out)
{
	/* A program made for an older library has a shorter struct, one for a newer a longer. */
	struct procpool_connect_options o = PROCPOOL_CONNECT_OPTIONS_INIT;
	if (options && options->size == 0)
		return outcome_fail(out, PROCPOOL_ERR_INVALID, 0, NULL);
	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (fork_watch() < 0)
		return outcome_fail(out, PROCPOOL_ERR_NO_MEMORY, 0, NULL);
	struct procpool *pp = create(&o);
	if (!pp)
		return outcome_fail(out, PROCPOOL_ERR_NO_MEMORY, 0, NULL);
	enum procpool_code code = start(pp);
	if (code != PROCPOOL_OK) {
		outcome_fail(out, code, pp->lost.os_error, pp->lost.message);
		connection_destroy(pp);
		return code;
	}
	if (out)
		outcome_clear(out);
	*ret = pp;
	return PROCPOOL_OK;
}

enum procpool_code procpool_reconnect(struct procpool *pp, struct procpool_outcome *out)
{
	enum procpool_code code = dispatch_allowed(pp);
	if (code != PROCPOOL_OK)
		return outcome_fail(out, code, 0, NULL);
	pp->dispatching = true;
	connection_lose(pp, PROCPOOL_ERR_LOST, 0, "this program connected anew");
	connection_end_calls(pp);
	code = dispatch_leave(pp);
	if (code == PROCPOOL_ERR_CLOSED)
		return outcome_fail(out, code, 0, NULL);
	code = start(pp);
	if (code != PROCPOOL_OK)
		return outcome_fail(out, code, pp->lost.os_error, pp->lost.message);
	if (out)
		outcome_clear(out);
	return code;
}

void procpool_close(struct procpool *pp)
{
	if (!pp)
		return;
	pp->closing = true;
	if (connection_usable(pp) == PROCPOOL_OK)
		connection_lose(pp, PROCPOOL_ERR_LOST, 0, "this program closed the connection");
	else
		link_close(&pp->link); /* shutdown() would end the parent's connection too */
	if (pp->dispatching)
		return;
	pp->dispatching = true;
	dispatch_leave(pp);
}

const char *procpool_version(void)
{
	return PROCPOOL_LIBRARY_VERSION;
}

enum procpool_state procpool_state(const struct procpool *pp)
{
	return connection_usable(pp) == PROCPOOL_OK ? pp->state : PROCPOOL_LOST;
}

const char *procpool_lost_reason(const struct procpool *pp)
{
	if (connection_usable(pp) != PROCPOOL_OK)
		return procpool_code_text(PROCPOOL_ERR_FORKED);
	return pp->state == PROCPOOL_LOST ? pp->lost.message : "";
}

const char *procpool_path(const struct procpool *pp)
{
	return pp->socket_path ? pp->socket_path : "";
}

struct procpool_value procpool_hello(const struct procpool *pp)
{
	return pp->hello.value;
}

void procpool_on_push(struct procpool *pp, procpool_push_fn callback, void *data)
{
	pp->on_push = callback;
	pp->push_data = data;
}

size_t procpool_in_flight(const struct procpool *pp)
{
	return connection_usable(pp) == PROCPOOL_OK ? pp->calls.in_flight : 0;
}
