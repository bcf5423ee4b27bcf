/* SPDX-License-Identifier: MIT */
#include "runtime/python/hooks.h"

#include <limits.h>
#include <stddef.h>

#include "proto/frame.h"
#include "runtime/python/compat.h"

static const struct {
	const char *name;
	size_t offset;
} callables[] = {
	{"function", offsetof(struct hooks, function)},
	{"callable", offsetof(struct hooks, callable)},
	{"loads", offsetof(struct hooks, loads)},
	{"dumps", offsetof(struct hooks, dumps)},
	{"plain", offsetof(struct hooks, plain)},
	{"unpack", offsetof(struct hooks, unpack)},
	{"failure", offsetof(struct hooks, failure)},
	{"flush", offsetof(struct hooks, flush)},
};

#define CALLABLE_COUNT (sizeof(callables) / sizeof(callables[0]))

static PyObject **member(struct hooks *hooks, size_t i)
{
	return (PyObject **)(void *)((char *)hooks + callables[i].offset);
}

static int look_up_callables(struct hooks *hooks, PyObject *object)
{
	for (size_t i = 0; i < CALLABLE_COUNT; i++) {
		*member(hooks, i) = PyObject_GetAttrString(object, callables[i].name);
		if (!*member(hooks, i))
			return -1;
	}
	return 0;
}

/* An integer from min to max. */
static int look_up_number(PyObject *object, const char *name, long min, long max, long *ret)
{
	PyObject *attribute = PyObject_GetAttrString(object, name);
	if (!attribute)
		return -1;
	long n = PyLong_AsLong(attribute);
	Py_DECREF(attribute);
	if (n == -1 && PyErr_Occurred())
		return -1;
	if (n < min || n > max) {
		PyErr_Format(PyExc_ValueError, "%s must be from %ld to %ld", name, min, max);
		return -1;
	}
	*ret = n;
	return 0;
}

static int look_up_dirty(struct hooks *hooks, PyObject *object)
{
	PyObject *attribute = PyObject_GetAttrString(object, "dirty");
	if (!attribute)
		return -1;
	int r = PyObject_GetBuffer(attribute, &hooks->dirty, PyBUF_WRITABLE);
	Py_DECREF(attribute);
	if (r == 0 && hooks->dirty.len < 1) {
		PyErr_SetString(PyExc_ValueError, "dirty must have a byte");
		return -1;
	}
	return r;
}

int hooks_init(struct hooks *hooks, PyObject *object)
{
	long message_bytes, value_depth;
	*hooks = (struct hooks){0};
	if (look_up_callables(hooks, object) < 0 || look_up_dirty(hooks, object) < 0 ||
	    look_up_number(object, "message_bytes", SETTINGS_MESSAGE_BYTES_MIN, LONG_MAX,
			   &message_bytes) < 0 ||
	    look_up_number(object, "value_depth", 1, FRAME_DEPTH_MAX, &value_depth) < 0) {
		hooks_fini(hooks);
		return -1;
	}
	hooks->message_bytes = (size_t)message_bytes;
	hooks->value_depth = (unsigned)value_depth;
	return 0;
}

void hooks_fini(struct hooks *hooks)
{
	for (size_t i = 0; i < CALLABLE_COUNT; i++)
		Py_CLEAR(*member(hooks, i));
	PyBuffer_Release(&hooks->dirty);
}

PyObject *hooks_call(PyObject *hook, PyObject *argument)
{
	if (!argument)
		return NULL;
	PyObject *result = PyObject_CallFunctionObjArgs(hook, argument, NULL);
	Py_DECREF(argument);
	return result;
}

void hooks_flush(const struct hooks *hooks)
{
	PyObject *result = PyObject_CallFunctionObjArgs(hooks->flush, NULL);
	if (!result)
		PyErr_WriteUnraisable(hooks->flush);
	Py_XDECREF(result);
}

/* Takes the exception that is set, as one object with its traceback. */
static PyObject *take_exception(void)
{
#if PY_VERSION_HEX >= 0x030c0000
	return PyErr_GetRaisedException();
#else
	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (traceback)
		PyException_SetTraceback(value, traceback);
	Py_XDECREF(type);
	Py_XDECREF(traceback);
	return value;
#endif
}

/* What failure() says, or NULL with an exception set. */
static PyObject *describe(const struct hooks *hooks, const struct procpool_call *call,
			  PyObject *exception, bool pickle)
{
	PyObject *told = PyObject_CallFunctionObjArgs(hooks->failure, exception,
						      pickle ? Py_True : Py_False, NULL);
	struct procpool_value map = {0};
	if (told && PyBytes_CheckExact(told))
		map = bytes_view(told);
	if (!told || (procpool_value_type(map) == PROCPOOL_MAP &&
		      call_can_tell(call, map, hooks->message_bytes)))
		return told;
	PyErr_SetString(PyExc_ValueError, "failure() gave no error map, or too large a one");
	Py_DECREF(told);
	return NULL;
}

int hooks_fail(const struct hooks *hooks, struct procpool_call *call, bool pickle, PyObject **kept)
{
	PyObject *exception = take_exception();
	PyObject *told = describe(hooks, call, exception, pickle);
	if (!told) { /* A signal's handler may raise at any time: then that is what the call fails
			with. */
		Py_DECREF(exception);
		exception = take_exception();
		told = describe(hooks, call, exception, false);
	}
	if (told) {
		call->error = ERR_FUNCTION_FAILED;
		call->failure = bytes_view(told);
		Py_XDECREF(*kept);
		*kept = told;
	} else {
		PyErr_WriteUnraisable(hooks->failure);
		call_fail(call, ERR_FUNCTION_FAILED, Py_TYPE(exception)->tp_name,
			  "%s failed, and its exception cannot be described", call->function);
	}
	Py_DECREF(exception);
	return -1;
}
