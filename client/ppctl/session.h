/* SPDX-License-Identifier: MIT */
/*
 * One run of a command: the connection, standard output, the deadline, and the loop that watches
 * them together with signals. Whatever ends a command early (a signal, a closed pipe, the deadline,
 * a lost connection) ends in the same way: session_end() says it and the connection closes, which
 * cancels what was submitted.
 */
#pragma once

#include <procpool.h>
#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "errors.h"
#include "output.h"

enum session_status {
	SESSION_OK,
	SESSION_TIMEOUT,
	SESSION_INTERRUPTED,
	SESSION_OUTPUT_CLOSED,
	SESSION_OUTPUT_ERROR,
	SESSION_LOST,
};

struct session {
	const struct arguments *args; /* borrowed */
	struct procpool *pp;          /* owned; NULL before session_connect() */
	struct output output;         /* print to output.pending */
	int64_t deadline_ms;          /* on the monotonic clock; -1: none */
};

void session_init(struct session *session, const struct arguments *args);
void session_fini(struct session *session);

/* Connects. STATUS_OK, or the exit status after saying on stderr why not. */
enum exit_status session_connect(struct session *session);

/*
 * Waits until something happens, at most timeout_ms (-1: without limit), and does what is due:
 * calls callbacks and writes output. input: a descriptor to wait for as well, or -1; *ret_input
 * says whether it is readable. What was lost says the library to the calls themselves, so that a
 * caller that waits for calls may go on until they have ended.
 */
enum session_status session_turn(struct session *session, int input, int timeout_ms,
				 bool *ret_input);

/*
 * Calls one method and waits; out->code says what became of it. Anything but SESSION_OK: the
 * command is over, and *out has no meaning.
 */
enum session_status session_request(struct session *session, const char *method,
				    struct procpool_value params, struct procpool_outcome *out);

/* Waits until a call without a callback has ended and copies its outcome; frees the call. */
enum session_status session_await(struct session *session, struct procpool_call *call,
				  struct procpool_outcome *out);

/* Says on stderr why the command ends early, where that needs saying, and returns its exit status.
 * Does not return where a signal is what ended it. */
enum exit_status session_end(struct session *session, enum session_status status);

/* Writes what is printed and turns `status` into what the command exits with. */
enum exit_status session_finish(struct session *session, enum exit_status status);

/* Milliseconds on the monotonic clock. */
int64_t session_now_ms(void);
