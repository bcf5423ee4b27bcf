/* SPDX-License-Identifier: MIT */
#include "runtime/python/pack.h"

static bool pack_int(struct procpool_writer *w, PyObject *value)
{
	int overflow;
	long long i = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (overflow == 0) {
		procpool_write_int(w, i);
		return true;
	}
	unsigned long long n = overflow > 0 ? PyLong_AsUnsignedLongLong(value) : 0;
	if (overflow < 0 || (n == (unsigned long long)-1 && PyErr_Occurred())) {
		PyErr_Clear();
		return false;
	}
	procpool_write_uint(w, n);
	return true;
}

static bool pack_string(struct procpool_writer *w, PyObject *value)
{
	Py_ssize_t size = PyUnicode_GET_LENGTH(value);
	const char *text = size <= PACK_BYTES_MAX ? PyUnicode_AsUTF8AndSize(value, &size) : NULL;
	if (!text || size > PACK_BYTES_MAX) {
		PyErr_Clear(); /* surrogates; or no memory, which who comes next will find */
		return false;
	}
	procpool_write_string_n(w, text, (size_t)size);
	return true;
}

static bool pack_bytes(struct procpool_writer *w, PyObject *value)
{
	Py_ssize_t size = PyBytes_GET_SIZE(value);
	if (size > PACK_BYTES_MAX)
		return false;
	procpool_write_bytes(w, PyBytes_AS_STRING(value), (size_t)size);
	return true;
}

bool pack_scalar(struct procpool_writer *w, PyObject *value)
{
	if (PyLong_CheckExact(value))
		return pack_int(w, value);
	if (PyUnicode_CheckExact(value))
		return pack_string(w, value);
	if (PyBytes_CheckExact(value))
		return pack_bytes(w, value);
	if (PyFloat_CheckExact(value))
		procpool_write_double(w, PyFloat_AS_DOUBLE(value));
	else if (PyBool_Check(value))
		procpool_write_bool(w, value == Py_True);
	else if (value == Py_None)
		procpool_write_nil(w);
	else
		return false;
	return true;
}

static bool pack_all(struct procpool_writer *w, PyObject **values, Py_ssize_t count,
		     size_t size_max)
{
	procpool_write_array(w, (size_t)count);
	for (Py_ssize_t i = 0; i < count; i++)
		if (!pack_scalar(w, values[i]) || w->size > size_max)
			return false;
	return w->size <= size_max;
}

static PyObject *packed(const struct procpool_writer *w)
{
	if (w->error)
		return PyErr_NoMemory();
	return PyBytes_FromStringAndSize((const char *)w->data, (Py_ssize_t)w->size);
}

PyObject *pack_array(PyObject *values, size_t size_max)
{
	PyObject *result = Py_None;
	struct procpool_writer w;
	if (!PyList_Check(values) && !PyTuple_Check(values))
		return PyErr_Format(PyExc_TypeError, "a list or tuple expected, not %s",
				    Py_TYPE(values)->tp_name);
	Py_ssize_t count = PySequence_Fast_GET_SIZE(values);
	if ((size_t)count > UINT32_MAX)
		Py_RETURN_NONE;
	procpool_writer_init(&w);
	if (pack_all(&w, PySequence_Fast_ITEMS(values), count, size_max))
		result = packed(&w);
	else
		Py_INCREF(result);
	procpool_writer_fini(&w);
	return result;
}
