/* SPDX-License-Identifier: MIT */
/*
 * Runs the elements of one task message: claims each in the page, calls the function, and puts what
 * came of it in the outbox, where consecutive values become one result message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/call.h"
#include "runtime/flusher.h"
#include "runtime/outbox.h"
#include "runtime/registry.h"

/* [4, seq, job, function, star, items, options?], as views into the message. */
struct task {
	uint32_t seq;
	uint32_t attempt;
	uint64_t job;
	const char *name;
	size_t name_size;
	bool star; /* items are argument arrays */
	bool has_kwargs;
	bool has_timeout;
	uint32_t count; /* of items */
	const uint8_t *items;
	const uint8_t *items_end; /* or beyond, where options follow */
};

/* Reads a task message. False: it is none. */
bool task_parse(struct procpool_value message, struct task *ret);

struct task_runner {
	const struct registry *registry;
	const struct function *last; /* what the task before called */
	struct page *page;
	bool offers_itself; /* nobody shares the page: its claims are for nobody */
	struct outbox outbox;
	struct flusher flusher;
	struct procpool_call call;
	struct procpool_writer message; /* of an error or a large value */
};

void task_runner_init(struct task_runner *runner, const struct settings *settings,
		      const struct registry *registry, int fd, struct page *page, bool shared);
/* Frees what calls left behind; the outbox and the flusher's thread stay as they are. */
void task_runner_fini(struct task_runner *runner);

/* The flusher's lock is held. 0 or negative errno of the outbox. */
int task_run(struct task_runner *runner, const struct task *task);

/* Calls code of a module, with the lock left meanwhile; what it returns. */
int task_call(struct task_runner *runner, int (*fn)(struct procpool_call *call));
