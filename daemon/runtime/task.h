/* SPDX-License-Identifier: MIT */
/* A task message (WORKER.md, "task"), read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool/value.h"

/* [4, seq, job, function, star, items, options?], as views into the message. */
struct task {
	uint32_t seq;
	uint32_t attempt;
	uint64_t job;
	const char *name;
	size_t name_size;
	bool star; /* items are argument arrays */
	bool has_timeout;
	struct procpool_value kwargs; /* a map of some; size 0: none */
	struct procpool_value pickle; /* the option; size 0: absent */
	uint32_t count;               /* of items */
	const uint8_t *items;
	const uint8_t *items_end; /* or beyond, where options follow */
};

/* Reads a task message. False: it is none. */
bool task_parse(struct procpool_value message, struct task *ret);
