/* SPDX-License-Identifier: MIT */
/*
 * The items of map that are under way, in the order of the input: a ring of slots. Items end in any
 * order and leave in theirs. A slot stays where it is from window_add() to window_pop(), so that a
 * callback may hold its address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING, /* to be submitted, for the first time or again */
	SLOT_RUNNING,
	SLOT_DONE,   /* result is what to print */
	SLOT_FAILED, /* result is what to say */
};

struct slot {
	uint64_t number; /* of the item, from 1 */
	enum slot_state state;
	unsigned tries;     /* refused as busy while nothing else ran */
	struct text item;   /* as it was read */
	struct text result; /* once it has ended */
	void *owner;
};

struct window {
	struct slot *slots; /* owned */
	unsigned size;
	uint64_t begin;    /* number of the oldest item inside, less 1 */
	uint64_t end;      /* of the youngest */
	size_t held_bytes; /* items and results */
};

void window_init(struct window *window, unsigned size, void *owner);
void window_fini(struct window *window);
bool window_is_empty(const struct window *window);
bool window_is_full(const struct window *window);
/* Takes in the next item, waiting. Only where it is not full. */
struct slot *window_add(struct window *window, const char *data, size_t size);
/* The item has ended and its result is complete. */
void window_end(struct window *window, struct slot *slot, enum slot_state state);
/* The oldest item, if it has ended; else NULL. */
struct slot *window_oldest(struct window *window);
/* Lets the oldest go. */
void window_pop(struct window *window);
/* The oldest that waits, or NULL. */
struct slot *window_waiting(struct window *window);
