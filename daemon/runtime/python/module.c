/* SPDX-License-Identifier: MIT */
/*
 * The module _procpool: what makes Python workers fast, and packs what clients send much of. It is
 * optional; without it, the package does the same in Python (procpool/worker/loop.py, codec.py),
 * but for the page.
 *
 * It works in the main interpreter, with the GIL.
 */
#include <Python.h>

#include <pthread.h>

#include "runtime/call.h"
#include "runtime/python/pack.h"
#include "runtime/python/serve.h"

static PyObject *module_serve(PyObject *module, PyObject *args)
{
	int fd, page_fd;
	PyObject *hooks;
	unsigned long long sent;
	if (!PyArg_ParseTuple(args, "iiOK:serve", &fd, &page_fd, &hooks, &sent))
		return NULL;
	PyObject *attached = PyObject_CallMethod(hooks, "attach", "O", module);
	if (!attached)
		return NULL;
	Py_DECREF(attached);
	if (serve(fd, page_fd, hooks, sent) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *module_job(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	const struct procpool_call *call = serve_call();
	return PyLong_FromUnsignedLongLong(call ? call->job : 0);
}

static PyObject *module_attempt(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	const struct procpool_call *call = serve_call();
	return PyLong_FromUnsignedLong(call ? call->attempt : 1);
}

static PyObject *module_stopped(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	const struct procpool_call *call = serve_call();
	return PyBool_FromLong(call && procpool_call_stopped(call));
}

static PyObject *module_interrupt(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
	return PyBool_FromLong(serve_interrupt());
}

/* The bytes of an argument, or size 0 with an exception set. */
static struct procpool_value message_of(PyObject *object)
{
	struct procpool_value value = {0};
	if (!PyBytes_Check(object))
		PyErr_Format(PyExc_TypeError, "bytes expected, not %s", Py_TYPE(object)->tp_name);
	else if (!procpool_value_parse(PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object),
				       &value) ||
		 value.size != (size_t)PyBytes_GET_SIZE(object))
		PyErr_SetString(PyExc_ValueError, "one MessagePack value expected");
	if (PyErr_Occurred())
		value.size = 0;
	return value;
}

static PyObject *module_progress(PyObject *Py_UNUSED(module), PyObject *object)
{
	struct procpool_value value = message_of(object);
	if (value.size == 0)
		return NULL;
	if (serve_progress(value) < 0) {
		PyErr_SetString(PyExc_ValueError,
				"the value is too large, or nests too deep, to tell progress");
		return NULL;
	}
	Py_RETURN_NONE;
}

static PyObject *module_send(PyObject *Py_UNUSED(module), PyObject *object)
{
	struct procpool_value message = message_of(object);
	if (message.size == 0)
		return NULL;
	return PyBool_FromLong(serve_send(message));
}

static PyObject *module_pack_run(PyObject *Py_UNUSED(module), PyObject *args)
{
	PyObject *values, *dumps;
	Py_ssize_t first, last, size_max;
	int star;
	if (!PyArg_ParseTuple(args, "O!nnnOp:pack_run", &PyList_Type, &values, &first, &last,
			      &size_max, &dumps, &star))
		return NULL;
	return pack_run(values, first, last, size_max > 0 ? (size_t)size_max : 0, dumps, star);
}

static PyObject *module_pack_array(PyObject *Py_UNUSED(module), PyObject *args)
{
	PyObject *values;
	Py_ssize_t size_max = PY_SSIZE_T_MAX;
	if (!PyArg_ParseTuple(args, "O|n:pack_array", &values, &size_max))
		return NULL;
	return pack_array(values, size_max > 0 ? (size_t)size_max : 0);
}

static PyObject *module_has_type(PyObject *Py_UNUSED(module), PyObject *args)
{
	PyObject *list, *type;
	if (!PyArg_ParseTuple(args, "O!O:has_type", &PyList_Type, &list, &type))
		return NULL;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
		if ((PyObject *)Py_TYPE(PyList_GET_ITEM(list, i)) == type)
			Py_RETURN_TRUE;
	Py_RETURN_FALSE;
}

/* From job() on, what context.Running asks of a loop: the module itself is one. */
static PyMethodDef methods[] = {
	{"serve", module_serve, METH_VARARGS,
	 "serve(fd, page_fd, hooks, sent)\n--\n\n"
	 "Run the tasks that come from fd until it ends. page_fd: the page's descriptor, or -1.\n"
	 "hooks: a worker.hooks.Hooks. sent: how many bytes were written to fd before. OSError\n"
	 "where fd fails; SystemExit where a signal's handler raised it between two calls."},
	{"job", module_job, METH_NOARGS, "job()\n--\n\nThe id of the job whose call runs, or 0."},
	{"attempt", module_attempt, METH_NOARGS,
	 "attempt()\n--\n\nWhich attempt at this call it is, from 1."},
	{"stopped", module_stopped, METH_NOARGS,
	 "stopped()\n--\n\nWhether the call that runs is asked to stop."},
	{"interrupt", module_interrupt, METH_NOARGS,
	 "interrupt()\n--\n\n"
	 "Whether a stop signal that has come means the call that runs. True once a call."},
	{"progress", module_progress, METH_O,
	 "progress(packed)\n--\n\n"
	 "Tell how far the call has come: one MessagePack value of at most 4096 bytes. About 20 "
	 "at\n"
	 "once and 20 a second are told, of faster ones the newest. Outside of a call, nothing "
	 "is."},
	{"send", module_send, METH_O,
	 "send(message)\n--\n\n"
	 "Send a whole message of the worker protocol between others. False: nothing is served."},
	{"pack_run", module_pack_run, METH_VARARGS,
	 "pack_run(values, first, last, size_max, dumps, star)\n--\n\n"
	 "Elements of a list, packed one after the other: (bytes, how many, None or a pickle). It\n"
	 "ends before what is large, cannot be pickled by dumps (or None), or makes more than\n"
	 "size_max bytes: of that it gives the pickle where it has made one. star: the elements "
	 "are\n"
	 "lists or tuples, and of scalars only."},
	{"pack_array", module_pack_array, METH_VARARGS,
	 "pack_array(values, size_max=sys.maxsize)\n--\n\n"
	 "The MessagePack array of a list or tuple where each value is None, bool, int of 64 "
	 "bits,\n"
	 "float, str without surrogates or bytes, exactly, and has at most 65,535 bytes; else "
	 "None.\n"
	 "Also None where it has more than size_max bytes."},
	{"has_type", module_has_type, METH_VARARGS,
	 "has_type(list, type)\n--\n\n"
	 "Whether the list has an element of that very type."},
	{0},
};

static int refuse(const char *why)
{
	PyErr_SetString(PyExc_ImportError, why);
	return -1;
}

static int prepare(PyObject *module)
{
	static bool prepared;
#ifdef Py_GIL_DISABLED
	return refuse("_procpool needs the GIL");
#endif
	if (PyInterpreterState_Get() != PyInterpreterState_Main())
		return refuse("_procpool works in the main interpreter only");
	if (!prepared && pthread_atfork(NULL, NULL, serve_forget) != 0)
		return refuse("no memory");
	prepared = true;
	/* The package uses it only if it is its own. */
	return PyModule_AddStringConstant(module, "VERSION", PROCPOOL_VERSION);
}

static PyModuleDef_Slot slots[] = {
	/* By way of an integer, as ISO C has no other way. */
	{Py_mod_exec, (void *)(uintptr_t)prepare},
#if PY_VERSION_HEX >= 0x030c0000
	{Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
	{0},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_procpool",
	.m_doc = "The fast loop of procpool's Python workers.",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__procpool(void);

PyMODINIT_FUNC PyInit__procpool(void)
{
	return PyModuleDef_Init(&definition);
}
