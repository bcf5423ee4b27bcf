/* SPDX-License-Identifier: MIT */
/*
 * What the loop asks of the Python part of the runtime: attributes of the object that serve() gets,
 * looked up once.
 *
 * The functions below call it and, like all that touch Python objects, need the GIL held and the
 * flusher's lock not: any of them may run code of the user, which may use module functions that
 * take the lock. They set a Python exception and return NULL where they fail.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

#include "procpool/value.h"
#include "runtime/call.h"

struct hooks {
	PyObject *function; /* (name) -> what is called by that name */
	PyObject *callable; /* (pickle) -> what is called */
	PyObject *loads;    /* (pickle) -> object */
	PyObject *dumps;    /* (object) -> pickle */
	PyObject *plain;    /* (object) -> MessagePack, where pickles are not allowed */
	PyObject *unpack;   /* (MessagePack) -> object, of values that are no scalars */
	PyObject *failure;  /* (exception, bool pickle) -> error map in MessagePack */
	PyObject *flush;    /* (): writes what was printed */
	Py_buffer dirty;    /* a byte, not 0 where something printed may not be written yet */
	size_t message_bytes;
	unsigned value_depth;
};

/* Looks all of it up. -1: an exception is set, and hooks_fini() is not due. */
int hooks_init(struct hooks *hooks, PyObject *object);
void hooks_fini(struct hooks *hooks);

/* Calls a hook with one argument, a reference that is taken; NULL: that has failed already. */
PyObject *hooks_call(PyObject *hook, PyObject *argument);

/* Whether flush is due. */
static inline bool hooks_are_dirty(const struct hooks *hooks)
{
	return *(const uint8_t *)hooks->dirty.buf != 0;
}

/* What was printed is written. Failures are reported to sys.unraisablehook. */
void hooks_flush(const struct hooks *hooks);

/*
 * The exception that is set, and no longer is then, becomes the call's failure. *kept is what the
 * failure may lie in, to be released by the caller once it has been told. Returns -1.
 */
int hooks_fail(const struct hooks *hooks, struct procpool_call *call, bool pickle, PyObject **kept);
