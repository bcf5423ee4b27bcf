/* SPDX-License-Identifier: MIT */
/*
 * The worker's loop for Python functions: task messages from the channel, answers through the
 * page's outbox. Everything but the objects is the native runtime's.
 *
 * Two things are held: Python's lock (GIL) and the flusher's (flusher.h). Objects are touched with
 * the first and without the second, as nobody knows what code that runs. The second is waited for
 * without the first by all but the loop's own thread; so who holds it can always get the first.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "procpool/value.h"

struct procpool_call;

/*
 * Serves fd until it ends: 0; or -1 with an exception set. page_fd is the page's, or -1: then the
 * outbox is on memory of its own. `sent` bytes were written to fd before.
 */
int serve(int fd, int page_fd, PyObject *hooks, uint64_t sent);

/* A child that a function has forked serves nothing. */
void serve_forget(void);

/* The functions below are for any thread with the GIL. */

/* The call that runs in this process, or NULL. */
struct procpool_call *serve_call(void);

/* Whether a signal that has come asks the call to stop that runs: once a call. */
bool serve_interrupt(void);

/* Sends a whole message between others. The GIL is left meanwhile. False: nothing is served. */
bool serve_send(struct procpool_value message);

/* procpool_progress() of the call that runs, if one does. The GIL is left meanwhile. */
int serve_progress(struct procpool_value value);
