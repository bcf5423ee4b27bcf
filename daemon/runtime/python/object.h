/* SPDX-License-Identifier: MIT */
/*
 * Python objects as MessagePack values. Exact scalars (None, bool, int of at most 64 bits, float,
 * str that is UTF-8, bytes) are converted here; hooks say what all else means, and so there is one
 * answer to that.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

#include "procpool/value.h"
#include "runtime/python/hooks.h"
#include "runtime/python/inbox.h"

/* The object of a value in the inbox's message: a new reference. NULL: an exception is set. */
PyObject *object_of_value(const struct hooks *hooks, const struct inbox *inbox,
			  struct procpool_value value);

/*
 * The object becomes what the call returns. 0; or -1: an exception is set. *kept is what the value
 * may lie in, to be released once it has been told.
 */
int object_return(const struct hooks *hooks, struct procpool_call *call, PyObject *object,
		  bool pickle, PyObject **kept);
