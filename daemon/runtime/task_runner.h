/* SPDX-License-Identifier: MIT */
/*
 * Runs the elements of one task message: claims each in the page, calls a function, and puts what
 * came of it in the outbox, where consecutive values become one result message.
 *
 * What a task's name stands for is for the runtime to know: the native one finds functions in
 * modules, the Python one passes a function that calls objects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "runtime/call.h"
#include "runtime/flusher.h"
#include "runtime/outbox.h"
#include "runtime/task.h"

struct task_runner {
	struct page *page;
	bool offers_itself; /* nobody shares the page: its claims are for nobody */
	struct outbox outbox;
	struct flusher flusher;
	const struct task *task; /* that runs */
	struct procpool_call call;
	struct procpool_writer message; /* of an error or a large value */
};

static inline struct task_runner *task_runner_of(struct procpool_call *call)
{
	return (struct task_runner *)((char *)call - offsetof(struct task_runner, call));
}

void task_runner_init(struct task_runner *runner, const struct settings *settings, int fd,
		      struct page *page, bool shared);
/* Frees what calls left behind; the outbox and the flusher's thread stay as they are. */
void task_runner_fini(struct task_runner *runner);

/*
 * Runs a task: fn with the arguments that each of its items stands for. `name` is the function's in
 * messages. The flusher's lock is held. 0 or negative errno of the outbox.
 */
int task_runner_run(struct task_runner *runner, const struct task *task, const char *name,
		    procpool_function_fn fn);

/* Calls what is not the runtime's own code, with the lock left meanwhile; what it returns. */
int task_runner_call(struct task_runner *runner, procpool_function_fn fn);
