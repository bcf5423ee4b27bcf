/* SPDX-License-Identifier: MIT */
#include "window.h"

#include <assert.h>
#include <stdlib.h>

/* A slot keeps the memory of small items for the next one. */
#define KEEP_BYTES 4096

void window_init(struct window *window, unsigned size, void *owner)
{
	*window = (struct window){.size = size, .slots = calloc(size, sizeof(struct slot))};
	if (!window->slots)
		text_no_memory();
	for (unsigned i = 0; i < size; i++)
		window->slots[i].owner = owner;
}

void window_fini(struct window *window)
{
	for (unsigned i = 0; i < window->size; i++) {
		text_fini(&window->slots[i].item);
		text_fini(&window->slots[i].result);
	}
	free(window->slots);
	*window = (struct window){0};
}

bool window_is_empty(const struct window *window)
{
	return window->begin == window->end;
}

bool window_is_full(const struct window *window)
{
	return window->end - window->begin == window->size;
}

static struct slot *slot_at(struct window *window, uint64_t index)
{
	return &window->slots[index % window->size];
}

struct slot *window_add(struct window *window, const char *data, size_t size)
{
	assert(!window_is_full(window));
	struct slot *slot = slot_at(window, window->end++);
	slot->number = window->end;
	slot->state = SLOT_WAITING;
	slot->tries = 0;
	text_reset(&slot->item);
	text_reset(&slot->result);
	text_add(&slot->item, data, size);
	window->held_bytes += size;
	return slot;
}

void window_end(struct window *window, struct slot *slot, enum slot_state state)
{
	slot->state = state;
	window->held_bytes += slot->result.size;
}

struct slot *window_oldest(struct window *window)
{
	struct slot *slot = slot_at(window, window->begin);
	bool ended = slot->state == SLOT_DONE || slot->state == SLOT_FAILED;
	return !window_is_empty(window) && ended ? slot : NULL;
}

static void shrink(struct text *text)
{
	if (text->capacity > KEEP_BYTES)
		text_fini(text);
}

void window_pop(struct window *window)
{
	struct slot *slot = window_oldest(window);
	assert(slot);
	window->held_bytes -= slot->item.size + slot->result.size;
	slot->state = SLOT_FREE;
	shrink(&slot->item);
	shrink(&slot->result);
	window->begin++;
}

struct slot *window_waiting(struct window *window)
{
	for (uint64_t i = window->begin; i < window->end; i++)
		if (slot_at(window, i)->state == SLOT_WAITING)
			return slot_at(window, i);
	return NULL;
}
