/* SPDX-License-Identifier: MIT */
/*
 * What the elements of one task message call: an object found by name or unpickled, and the names
 * of the arguments that all of them have.
 *
 * It is looked for within the first element, not before: that may import modules and run other code
 * of the user, which may fail, hang or crash like the function itself, and costs that element then.
 */
#pragma once

#include <Python.h>
#include <stdbool.h>

#include "runtime/python/hooks.h"
#include "runtime/python/inbox.h"
#include "runtime/task.h"

struct target {
	char *name; /* the task's, NUL-terminated, owned; that of the task before is kept */
	size_t name_size;
	PyObject *last; /* what that name stands for, owned; NULL: not looked for yet */

	const struct task *task;
	bool pickle;        /* it takes and gives pickles */
	PyObject *callable; /* owned; NULL: not looked for yet */
	PyObject *keywords; /* a tuple of names, or NULL: there are none */
	PyObject *refusal;  /* the failure of every element, bytes; NULL: none */
};

/* Zeroed memory is one that has had no task. */
void target_fini(struct target *target);

/* The elements of a task begin. The task stays until target_end(). -ENOMEM. */
int target_begin(struct target *target, const struct task *task);
/* They have ended: lets go of what was only for them. */
void target_end(struct target *target);

/* Before each call: 0, and callable and keywords are there. Or -1: the call has failed. */
int target_find(struct target *target, const struct hooks *hooks, const struct inbox *inbox,
		struct procpool_call *call);
