/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes and calling callbacks: one turn at a time, without waiting (for a loop of the
 * caller's) or with (for everything that blocks). Only here callbacks run, and they run inside of
 * `dispatching`, so that none of this is entered twice.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "connection.h"
#include "outcome.h"

#define READS_PER_TURN 16 /* so that one busy connection does not hold the caller's loop */

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t dispatch_deadline(double seconds)
{
	if (!(seconds >= 0))
		return -1;
	return now_ms() + (seconds < INT_MAX / 1000 ? (int64_t)(seconds * 1000) : INT_MAX);
}

enum procpool_code dispatch_allowed(const struct procpool *pp)
{
	enum procpool_code code = connection_usable(pp);
	return code == PROCPOOL_OK && pp->dispatching ? PROCPOOL_ERR_INVALID : code;
}

enum procpool_code dispatch_leave(struct procpool *pp)
{
	enum procpool_code code = connection_usable(pp);
	if (code == PROCPOOL_OK && pp->state == PROCPOOL_LOST)
		connection_end_calls(pp);
	pp->dispatching = false;
	if (pp->closing) {
		connection_destroy(pp);
		return PROCPOOL_ERR_CLOSED;
	}
	return code == PROCPOOL_OK && pp->state == PROCPOOL_LOST ? pp->lost.code : code;
}

static void on_end_of_stream(struct procpool *pp)
{
	/* Before the answer to hello it is what connecting ended with: the daemon has refused it.
	 */
	if (pp->goodbye.code != PROCPOOL_OK && pp->hello.value.size == 0)
		connection_lose(pp, pp->goodbye.code, 0, "the daemon refused the connection: %s",
				pp->goodbye.message);
	else if (pp->goodbye.code != PROCPOOL_OK)
		connection_lose(pp, PROCPOOL_ERR_LOST, 0, "the daemon closed the connection: %s",
				pp->goodbye.message);
	else
		connection_lose(pp, PROCPOOL_ERR_LOST, 0, "the daemon closed the connection");
}

static void receive_all(struct procpool *pp)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		enum link_receive got = link_receive(&pp->link);
		/* Where the daemon closed with something unread, that end is a reset. */
		if (got == LINK_EOF || (got == LINK_FAILED && pp->goodbye.code != PROCPOOL_OK))
			on_end_of_stream(pp);
		else if (got == LINK_FAILED)
			connection_lose(pp, PROCPOOL_ERR_LOST, errno, "cannot receive");
		else
			receive_messages(pp);
		if (got != LINK_MORE || pp->state != PROCPOOL_CONNECTED ||
		    connection_usable(pp) != PROCPOOL_OK)
			return;
	}
}

/* What is possible without waiting. */
static enum procpool_code turn(struct procpool *pp)
{
	pp->dispatching = true;
	if (pp->state == PROCPOOL_CONNECTING)
		connection_retry(pp);
	if (pp->state == PROCPOOL_CONNECTED) {
		link_flush(&pp->link);
		receive_all(pp);
		/* What callbacks have queued. */
		if (connection_usable(pp) == PROCPOOL_OK)
			link_flush(&pp->link);
	}
	return dispatch_leave(pp);
}

/* Waits for something to do; timeout_ms -1: without limit. */
static enum procpool_code wait_event(struct procpool *pp, int timeout_ms)
{
	link_flush(&pp->link);
	int due = procpool_timeout_ms(pp);
	bool until_due = due >= 0 && (timeout_ms < 0 || due <= timeout_ms);
	struct pollfd pfd = {.fd = pp->state == PROCPOOL_CONNECTED ? pp->link.fd : -1,
			     .events = procpool_events(pp)};
	int n = until_due && due == 0 ? 0 : poll(&pfd, 1, until_due ? due : timeout_ms);
	if (n < 0 && errno == EINTR)
		return PROCPOOL_ERR_INTERRUPTED;
	if (n < 0)
		connection_lose(pp, PROCPOOL_ERR_LOST, errno, "cannot wait");
	return n == 0 && !until_due ? PROCPOOL_PENDING : PROCPOOL_OK;
}

static enum procpool_code turn_within(struct procpool *pp, int timeout_ms)
{
	if (pp->state == PROCPOOL_LOST && pp->calls.in_flight == 0)
		return pp->lost.code;
	enum procpool_code code = wait_event(pp, timeout_ms);
	return code == PROCPOOL_OK ? turn(pp) : code;
}

int dispatch_remaining(int64_t deadline_ms)
{
	if (deadline_ms < 0)
		return -1;
	int64_t left = deadline_ms - now_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

enum procpool_code dispatch_until(struct procpool *pp, const bool *done, int64_t deadline_ms)
{
	while (done ? !*done : pp->calls.in_flight > 0) {
		enum procpool_code code = turn_within(pp, dispatch_remaining(deadline_ms));
		if (code == PROCPOOL_PENDING || code == PROCPOOL_ERR_CLOSED ||
		    code == PROCPOOL_ERR_FORKED)
			return code;
	}
	return PROCPOOL_OK;
}

enum procpool_code procpool_dispatch(struct procpool *pp)
{
	enum procpool_code code = dispatch_allowed(pp);
	return code == PROCPOOL_OK ? turn(pp) : code;
}

enum procpool_code procpool_poll(struct procpool *pp, double seconds)
{
	enum procpool_code code = dispatch_allowed(pp);
	if (code != PROCPOOL_OK)
		return code;
	return turn_within(pp, dispatch_remaining(dispatch_deadline(seconds)));
}

enum procpool_code procpool_run(struct procpool *pp, double seconds)
{
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK)
		code = dispatch_until(pp, NULL, dispatch_deadline(seconds));
	return code == PROCPOOL_OK && pp->state == PROCPOOL_LOST ? pp->lost.code : code;
}

enum procpool_code procpool_flush(struct procpool *pp)
{
	enum procpool_code code = connection_usable(pp);
	if (code != PROCPOOL_OK)
		return code;
	link_flush(&pp->link);
	return pp->state == PROCPOOL_LOST || pp->link.send_failed ? PROCPOOL_ERR_LOST : PROCPOOL_OK;
}

int procpool_fd(const struct procpool *pp)
{
	return connection_usable(pp) == PROCPOOL_OK ? pp->link.fd : -1;
}

short procpool_events(const struct procpool *pp)
{
	if (connection_usable(pp) != PROCPOOL_OK || pp->state != PROCPOOL_CONNECTED)
		return 0;
	bool sending = link_queued(&pp->link) > 0 && !pp->link.send_failed;
	return (short)(sending ? POLLIN | POLLOUT : POLLIN);
}

int procpool_timeout_ms(const struct procpool *pp)
{
	if (connection_usable(pp) != PROCPOOL_OK)
		return -1;
	if (pp->state == PROCPOOL_CONNECTING)
		return dispatch_remaining(pp->retry_at_ms);
	return pp->state == PROCPOOL_LOST && pp->calls.in_flight > 0 ? 0 : -1;
}

enum procpool_code procpool_call_wait(struct procpool_call *call, double seconds)
{
	struct procpool *pp = call->pp;
	enum procpool_code code = dispatch_allowed(pp);
	if (code == PROCPOOL_OK && call->callback)
		code = PROCPOOL_ERR_INVALID;
	int64_t deadline = dispatch_deadline(seconds);
	while (code == PROCPOOL_OK && call->in_flight) {
		code = turn_within(pp, dispatch_remaining(deadline));
		if (code != PROCPOOL_PENDING && code != PROCPOOL_ERR_CLOSED &&
		    code != PROCPOOL_ERR_FORKED)
			code = PROCPOOL_OK;
	}
	return code == PROCPOOL_OK ? call->outcome.code : code;
}

const struct procpool_outcome *procpool_call_outcome(const struct procpool_call *call)
{
	return call->in_flight ? NULL : &call->outcome;
}

void procpool_call_free(struct procpool_call *call)
{
	if (!call || connection_usable(call->pp) != PROCPOOL_OK || !call->held)
		return;
	call->held = false;
	if (call->in_flight)
		return;
	procpool_outcome_fini(&call->outcome);
	call_release(&call->pp->calls, call);
}
