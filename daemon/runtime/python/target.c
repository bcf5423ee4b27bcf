/* SPDX-License-Identifier: MIT */
#include "runtime/python/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/python/compat.h"

void target_fini(struct target *target)
{
	target_end(target);
	Py_CLEAR(target->last);
	free(target->name);
	target->name = NULL;
}

/* Keeps a copy of the task's name, with a NUL, and forgets what the one before stood for. */
static int rename_to(struct target *target, const char *name, size_t size)
{
	char *copy = malloc(size + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, size);
	copy[size] = '\0';
	free(target->name);
	target->name = copy;
	target->name_size = size;
	Py_CLEAR(target->last);
	return 0;
}

int target_begin(struct target *target, const struct task *task)
{
	bool is_set;
	target->task = task;
	/* nil and false are as good as absent; true or the bytes of a callable are not. */
	target->pickle = procpool_value_type(task->pickle) == PROCPOOL_BYTES ||
			 (procpool_value_bool(task->pickle, &is_set) && is_set);
	if (target->name && target->name_size == task->name_size &&
	    memcmp(target->name, task->name, task->name_size) == 0)
		return 0;
	return rename_to(target, task->name, task->name_size);
}

void target_end(struct target *target)
{
	target->task = NULL;
	Py_CLEAR(target->callable);
	Py_CLEAR(target->keywords);
	Py_CLEAR(target->refusal);
}

/* What the task's name stands for, borrowed. */
static PyObject *find_named(struct target *target, const struct hooks *hooks)
{
	if (target->last)
		return target->last;
	PyObject *name = PyUnicode_DecodeUTF8(target->name, (Py_ssize_t)target->name_size,
					      "surrogateescape");
	target->last = hooks_call(hooks->function, name);
	return target->last;
}

static PyObject *find_callable(struct target *target, const struct hooks *hooks,
			       const struct inbox *inbox)
{
	const void *pickled;
	size_t size;
	if (procpool_value_type(target->task->pickle) != PROCPOOL_BYTES)
		return Py_XNewRef(find_named(target, hooks));
	procpool_value_bytes(target->task->pickle, &pickled, &size);
	return hooks_call(hooks->callable, inbox_payload(inbox, pickled, size));
}

/* The names of the named arguments. */
static PyObject *read_keywords(struct procpool_value kwargs)
{
	struct procpool_iter it = procpool_iter(kwargs);
	struct procpool_value key, value;
	if (procpool_value_type(kwargs) != PROCPOOL_MAP) {
		PyErr_SetString(PyExc_TypeError, "named arguments must be a map");
		return NULL;
	}
	PyObject *names = PyTuple_New((Py_ssize_t)procpool_value_count(kwargs));
	for (Py_ssize_t i = 0; names && procpool_iter_next_pair(&it, &key, &value); i++) {
		const void *text;
		size_t size;
		PyObject *name = NULL;
		if (procpool_value_bytes(key, &text, &size))
			name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
		else
			PyErr_SetString(PyExc_TypeError, "keywords must be strings");
		if (!name) {
			Py_CLEAR(names);
			break;
		}
		PyUnicode_InternInPlace(&name);
		PyTuple_SET_ITEM(names, i, name);
	}
	return names;
}

/* What every element of the task fails with is found out once. */
static int refuse(struct target *target, const struct hooks *hooks, struct procpool_call *call)
{
	return hooks_fail(hooks, call, target->pickle, &target->refusal);
}

static int refuse_again(const struct target *target, struct procpool_call *call)
{
	call->error = ERR_FUNCTION_FAILED;
	call->failure = bytes_view(target->refusal);
	return -1;
}

int target_find(struct target *target, const struct hooks *hooks, const struct inbox *inbox,
		struct procpool_call *call)
{
	if (target->callable)
		return 0;
	if (target->refusal)
		return refuse_again(target, call);
	if (target->task->kwargs.size > 0 && !target->keywords)
		target->keywords = read_keywords(target->task->kwargs);
	if (PyErr_Occurred())
		return refuse(target, hooks, call);
	target->callable = find_callable(target, hooks, inbox);
	return target->callable ? 0 : refuse(target, hooks, call);
}
