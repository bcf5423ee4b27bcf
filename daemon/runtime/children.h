/* SPDX-License-Identifier: MIT */
/* The workers that a spawner has forked and not yet reaped. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	uint32_t worker;
	pid_t pid;
};

struct children {
	struct child *list;
	size_t count;
	size_t capacity;
};

/* Room for one more. 0 or -ENOMEM. */
int children_reserve(struct children *children);

/* Adds one; there is room. */
void children_add(struct children *children, uint32_t worker, pid_t pid);

/* The child of that number, or NULL. */
struct child *children_find_worker(struct children *children, uint32_t worker);
struct child *children_find_pid(struct children *children, pid_t pid);

void children_remove(struct children *children, struct child *child);
void children_fini(struct children *children);
