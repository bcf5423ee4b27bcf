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

/* False: it is no list or tuple of scalars. */
static bool pack_row(struct procpool_writer *w, PyObject *row, size_t size_max)
{
	if (!PyList_CheckExact(row) && !PyTuple_CheckExact(row))
		return false;
	return pack_all(w, PySequence_Fast_ITEMS(row), PySequence_Fast_GET_SIZE(row), size_max);
}

/* Whether it is no object for a pickle, though pack_scalar() has refused it. */
static bool is_large_text(PyObject *value)
{
	return PyBytes_CheckExact(value) ||
	       (PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) > PACK_BYTES_MAX / 4);
}

/* The pickle of a value; NULL where there is none, with an exception where that must go on. */
static PyObject *make_pickle(PyObject *dumps, PyObject *value)
{
	if (dumps == Py_None || is_large_text(value))
		return NULL;
	PyObject *pickle = PyObject_CallFunctionObjArgs(dumps, value, NULL);
	if (pickle && !PyBytes_CheckExact(pickle))
		Py_CLEAR(pickle);
	if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_Exception))
		PyErr_Clear();
	return pickle;
}

struct run {
	struct procpool_writer w;
	size_t size_max;
	PyObject *dumps;
	bool star;
	PyObject *pickle; /* of the element that it ended before, owned; NULL: none was made */
};

/* False: the run ends before this element. */
static bool pack_element(struct run *run, PyObject *value)
{
	struct procpool_writer *w = &run->w;
	size_t before = w->size;
	bool packed = run->star ? pack_row(w, value, run->size_max) : pack_scalar(w, value);
	if (!packed && !run->star) {
		run->pickle = make_pickle(run->dumps, value);
		packed = run->pickle && PyBytes_GET_SIZE(run->pickle) <= PACK_BYTES_MAX;
		if (packed)
			procpool_write_ext(w, PACK_PICKLE_EXT, PyBytes_AS_STRING(run->pickle),
					   (size_t)PyBytes_GET_SIZE(run->pickle));
	}
	if (packed && w->size <= run->size_max) {
		Py_CLEAR(run->pickle);
		return true;
	}
	w->size = before;
	return false;
}

static PyObject *result_of(struct run *run, Py_ssize_t count)
{
	PyObject *bytes = PyErr_Occurred() ? NULL : packed(&run->w);
	PyObject *result = NULL;
	if (bytes)
		result = Py_BuildValue("OnO", bytes, count, run->pickle ? run->pickle : Py_None);
	Py_XDECREF(bytes);
	Py_XDECREF(run->pickle);
	procpool_writer_fini(&run->w);
	return result;
}

PyObject *pack_run(PyObject *values, Py_ssize_t first, Py_ssize_t last, size_t size_max,
		   PyObject *dumps, bool star)
{
	struct run run = {.size_max = size_max, .dumps = dumps, .star = star};
	Py_ssize_t i = first < 0 ? 0 : first;
	procpool_writer_init(&run.w);
	/* What a pickle runs may change the list. */
	for (bool more = true; more && i < last && i < PyList_GET_SIZE(values); i += more) {
		PyObject *value = PyList_GET_ITEM(values, i);
		Py_INCREF(value);
		more = pack_element(&run, value);
		Py_DECREF(value);
	}
	return result_of(&run, i - (first < 0 ? 0 : first));
}
