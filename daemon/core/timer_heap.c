/* SPDX-License-Identifier: MIT */
#include "core/timer_heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* timers[0] is unused, so that the children of i are 2i and 2i+1. */

static void put(struct timer_heap *heap, size_t place, struct timer *timer)
{
	heap->timers[place] = timer;
	timer->place = place;
}

static void move_up(struct timer_heap *heap, size_t place, struct timer *timer)
{
	while (place > 1 && heap->timers[place / 2]->at_us > timer->at_us) {
		put(heap, place, heap->timers[place / 2]);
		place /= 2;
	}
	put(heap, place, timer);
}

static void move_down(struct timer_heap *heap, size_t place, struct timer *timer)
{
	for (;;) {
		size_t child = 2 * place;
		if (child > heap->count)
			break;
		if (child < heap->count &&
		    heap->timers[child + 1]->at_us < heap->timers[child]->at_us)
			child++;
		if (heap->timers[child]->at_us >= timer->at_us)
			break;
		put(heap, place, heap->timers[child]);
		place = child;
	}
	put(heap, place, timer);
}

static void settle(struct timer_heap *heap, size_t place, struct timer *timer)
{
	if (place > 1 && heap->timers[place / 2]->at_us > timer->at_us)
		move_up(heap, place, timer);
	else
		move_down(heap, place, timer);
}

void timer_heap_init(struct timer_heap *heap)
{
	memset(heap, 0, sizeof(*heap));
}

void timer_heap_fini(struct timer_heap *heap)
{
	for (size_t i = 1; i <= heap->count; i++)
		heap->timers[i]->place = 0;
	free(heap->timers);
	timer_heap_init(heap);
}

int timer_heap_set(struct timer_heap *heap, struct timer *timer, uint64_t at_us)
{
	if (timer->place == 0) {
		if (heap->count + 1 >= heap->capacity) {
			size_t capacity = heap->capacity ? 2 * heap->capacity : 64;
			struct timer **timers =
				reallocarray(heap->timers, capacity, sizeof(*timers));
			if (!timers)
				return -ENOMEM;
			heap->timers = timers;
			heap->capacity = capacity;
		}
		timer->at_us = at_us;
		move_up(heap, ++heap->count, timer);
	} else {
		timer->at_us = at_us;
		settle(heap, timer->place, timer);
	}
	return 0;
}

void timer_heap_clear(struct timer_heap *heap, struct timer *timer)
{
	size_t place = timer->place;
	if (place == 0)
		return;
	timer->place = 0;
	struct timer *last = heap->timers[heap->count--];
	if (last != timer)
		settle(heap, place, last);
}

uint64_t timer_heap_next(const struct timer_heap *heap)
{
	return heap->count > 0 ? heap->timers[1]->at_us : TIME_NEVER;
}

struct timer *timer_heap_pop(struct timer_heap *heap, uint64_t now_us)
{
	if (heap->count == 0 || heap->timers[1]->at_us > now_us)
		return NULL;
	struct timer *timer = heap->timers[1];
	timer_heap_clear(heap, timer);
	return timer;
}
