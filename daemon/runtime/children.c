/* SPDX-License-Identifier: MIT */
#include "runtime/children.h"

#include <errno.h>
#include <stdlib.h>

int children_reserve(struct children *children)
{
	if (children->count < children->capacity)
		return 0;
	size_t capacity = children->capacity ? 2 * children->capacity : 16;
	struct child *list = reallocarray(children->list, capacity, sizeof(*list));
	if (!list)
		return -ENOMEM;
	children->list = list;
	children->capacity = capacity;
	return 0;
}

void children_add(struct children *children, uint32_t worker, pid_t pid)
{
	children->list[children->count++] = (struct child){.worker = worker, .pid = pid};
}

struct child *children_find_worker(struct children *children, uint32_t worker)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->list[i].worker == worker)
			return &children->list[i];
	return NULL;
}

struct child *children_find_pid(struct children *children, pid_t pid)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->list[i].pid == pid)
			return &children->list[i];
	return NULL;
}

void children_remove(struct children *children, struct child *child)
{
	*child = children->list[--children->count];
}

void children_fini(struct children *children)
{
	free(children->list);
	*children = (struct children){0};
}
