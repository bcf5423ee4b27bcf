/* SPDX-License-Identifier: MIT */
#include "runtime/python/object.h"

#include "proto/frame.h"
#include "runtime/python/compat.h"
#include "runtime/python/pack.h"

static PyObject *integer_of(struct procpool_value value)
{
	int64_t i;
	uint64_t n = 0;
	if (procpool_value_int(value, &i))
		return PyLong_FromLongLong(i);
	procpool_value_uint(value, &n);
	return PyLong_FromUnsignedLongLong(n);
}

static PyObject *float_of(struct procpool_value value)
{
	double d = 0;
	procpool_value_double(value, &d);
	return PyFloat_FromDouble(d);
}

/* NULL without an exception: it is no UTF-8. */
static PyObject *string_of(struct procpool_value value)
{
	const char *text;
	size_t size;
	procpool_value_string(value, &text, &size);
	PyObject *string = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
	if (!string && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
		PyErr_Clear();
	return string;
}

static PyObject *bytes_of(const struct inbox *inbox, struct procpool_value value)
{
	const void *data;
	size_t size;
	procpool_value_bytes(value, &data, &size);
	return inbox_payload(inbox, data, size);
}

/* The data behind the type of an ext, whose payload may have landed as a whole. */
static PyObject *data_of_ext(const struct inbox *inbox, const uint8_t *data, size_t size)
{
	if (size < CHANNEL_LAND_MIN)
		return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
	PyObject *payload = inbox_payload(inbox, data - 1, size + 1);
	PyObject *view = payload ? PyMemoryView_FromObject(payload) : NULL;
	Py_XDECREF(payload);
	if (!view)
		return NULL;
	PyObject *part = PySequence_GetSlice(view, 1, PY_SSIZE_T_MAX);
	Py_DECREF(view);
	return part;
}

/* NULL without an exception: it is no pickle. */
static PyObject *unpickled(const struct hooks *hooks, const struct inbox *inbox,
			   struct procpool_value value)
{
	int8_t type;
	const void *data;
	size_t size;
	procpool_value_ext(value, &type, &data, &size);
	if (type != PACK_PICKLE_EXT)
		return NULL;
	return hooks_call(hooks->loads, data_of_ext(inbox, data, size));
}

PyObject *object_of_value(const struct hooks *hooks, const struct inbox *inbox,
			  struct procpool_value value)
{
	uint8_t first = value.data[0];
	PyObject *object = NULL;
	if (first < 0x80 || first >= 0xe0)
		return PyLong_FromLong((int8_t)first);
	switch (frame_first_bytes[first].kind) {
	case PROCPOOL_NIL:
		Py_RETURN_NONE;
	case PROCPOOL_BOOL:
		return PyBool_FromLong(first == 0xc3);
	case PROCPOOL_INT:
		return integer_of(value);
	case PROCPOOL_FLOAT:
		return float_of(value);
	case PROCPOOL_BYTES:
		return bytes_of(inbox, value);
	case PROCPOOL_STRING:
		object = value.size < CHANNEL_LAND_MIN ? string_of(value) : NULL;
		break;
	case PROCPOOL_EXT:
		object = unpickled(hooks, inbox, value);
		break;
	default:
		break;
	}
	if (object || PyErr_Occurred())
		return object;
	return hooks_call(hooks->unpack, inbox_value(inbox, value));
}

/* A str or bytes, whose memory stays while the object does. False: it is none, or no UTF-8. */
static bool return_text(struct procpool_call *call, PyObject *object, PyObject **kept)
{
	if (PyBytes_CheckExact(object)) {
		call_return_bytes(call, bytes_view(object));
	} else if (PyUnicode_CheckExact(object)) {
		Py_ssize_t size;
		const char *text = PyUnicode_AsUTF8AndSize(object, &size);
		if (!text) { /* out of memory is met again by who is asked next */
			PyErr_Clear();
			return false;
		}
		call_return_string(call,
				   (struct procpool_value){(const uint8_t *)text, (size_t)size});
	} else {
		return false;
	}
	Py_XSETREF(*kept, Py_NewRef(object));
	return true;
}

int object_return(const struct hooks *hooks, struct procpool_call *call, PyObject *object,
		  bool pickle, PyObject **kept)
{
	if (pack_scalar(call_return_scalar(call), object) || return_text(call, object, kept))
		return 0;
	PyObject *encoded = hooks_call(pickle ? hooks->dumps : hooks->plain, Py_NewRef(object));
	if (!encoded)
		return -1;
	if (!PyBytes_CheckExact(encoded)) {
		PyErr_Format(PyExc_TypeError, "a value was encoded as %s, not as bytes",
			     Py_TYPE(encoded)->tp_name);
		Py_DECREF(encoded);
		return -1;
	}
	struct procpool_value bytes = bytes_view(encoded);
	if (pickle) {
		call_return_ext(call, PACK_PICKLE_EXT, bytes);
	} else {
		call->source = CALL_BORROWED;
		call->borrowed = bytes;
	}
	Py_XSETREF(*kept, encoded);
	return 0;
}
