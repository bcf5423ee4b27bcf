/* SPDX-License-Identifier: MIT */
/*
 * struct procpool, and what the library's files do with it for each other: connection.c makes and
 * ends it, submit.c queues requests, receive.c takes messages, dispatch.c moves both and is the
 * only one that lets callbacks run, blocking.c waits.
 *
 * While `dispatching`, callbacks may be running: nothing may receive, dispatch again or free the
 * connection. Every public function asks connection_usable() or dispatch_allowed() first.
 */
#pragma once

#include <stdint.h>

#include "call.h"
#include "link.h"
#include "procpool.h"
#include "stream.h"

struct procpool {
	enum procpool_state state;
	unsigned fork_generation; /* of the process that connected */
	bool dispatching;
	bool closing; /* procpool_close() was called in a callback */

	struct link link;
	struct call_table calls;
	struct stream *streams;
	procpool_push_fn on_push;
	void *push_data;

	/* The connect options, the strings owned. */
	char *path, *client;
	double seconds;
	bool nonblock;

	char *socket_path; /* in use, or NULL */
	int retry_ms;      /* while connecting: time until the next try after `retry_at_ms` */
	int64_t retry_at_ms;

	size_t message_max;              /* bytes of a request, as hello told */
	struct procpool_outcome hello;   /* what hello answered */
	struct procpool_outcome answer;  /* scratch: the outcome that a callback borrows */
	struct procpool_outcome lost;    /* once LOST: code and message */
	struct procpool_outcome goodbye; /* the daemon's push `error`, or PROCPOOL_OK */
};

/* PROCPOOL_OK, or PROCPOOL_ERR_FORKED. */
enum procpool_code connection_usable(const struct procpool *pp);

/*
 * The connection ends: nothing is sent or received any more. os_error's text is appended to the
 * message. The calls still have to be ended, by connection_end_calls(). The first reason stays.
 */
void connection_lose(struct procpool *pp, enum procpool_code code, int os_error, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

/* Goes on connecting, without waiting. */
void connection_retry(struct procpool *pp);

/* Ends all calls of a lost connection with callbacks. Only while dispatching. */
void connection_end_calls(struct procpool *pp);

/* Frees it, calling nothing. */
void connection_destroy(struct procpool *pp);

/* Hands the outcome to whoever waits for the call, which must be in flight. */
void connection_end_call(struct procpool *pp, struct procpool_call *call,
			 const struct procpool_outcome *outcome);

/* Takes all complete messages received; stops where the connection is lost. */
void receive_messages(struct procpool *pp);

/* Makes a request and waits for its answer, with the params that a writer holds, which it ends. */
enum procpool_code request_written(struct procpool *pp, const char *method,
				   struct procpool_writer *params, struct procpool_outcome *out);

/* Queues apply_async or map_async. */
enum procpool_code submit_job(struct procpool *pp, const char *method, const char *func,
			      struct procpool_value args, const struct procpool_options *options,
			      procpool_call_fn callback, void *data);

/* Queues the request that cancels a call in flight. */
enum procpool_code submit_cancel(struct procpool *pp, struct procpool_call *call);

/* PROCPOOL_OK, or why nothing can be dispatched now. */
enum procpool_code dispatch_allowed(const struct procpool *pp);

/* Ends what began with `dispatching` set: PROCPOOL_OK, or why the connection is of no use any more.
 */
enum procpool_code dispatch_leave(struct procpool *pp);

/* Turns until *done, or the deadline (-1: none): PROCPOOL_OK, PROCPOOL_PENDING, or
 * PROCPOOL_ERR_CLOSED when the connection is gone. done NULL: until no call is in flight. */
enum procpool_code dispatch_until(struct procpool *pp, const bool *done, int64_t deadline_ms);

/* A point in monotonic time, seconds from now, for dispatch_until(); -1 for less than 0 seconds. */
int64_t dispatch_deadline(double seconds);

/* Milliseconds until then, at least 0; -1 where there is no deadline. */
int dispatch_remaining(int64_t deadline_ms);

int64_t now_ms(void);
