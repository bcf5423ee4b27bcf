/* SPDX-License-Identifier: MIT */
/* What newer versions of Python have, for those from 3.9 on; and what ours lacks. */
#pragma once

#include <Python.h>

#include "procpool/value.h"

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *Py_XNewRef(PyObject *object)
{
	Py_XINCREF(object);
	return object;
}

static inline PyObject *Py_NewRef(PyObject *object)
{
	Py_INCREF(object);
	return object;
}
#endif

/* A bytes object's content, borrowed. */
static inline struct procpool_value bytes_view(PyObject *bytes)
{
	return (struct procpool_value){(const uint8_t *)PyBytes_AS_STRING(bytes),
				       (size_t)PyBytes_GET_SIZE(bytes)};
}
