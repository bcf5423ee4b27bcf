/* SPDX-License-Identifier: MIT */
/*
 * The last of what a worker wrote to its standard error, to be told with its end.
 *
 * What belongs to a task that was answered is forgotten. But text and answers come on different
 * ways: in one turn of the loop, or two that follow each other, text may be read before the answer
 * that was written before it. So an answer only makes old what was read two turns before it.
 *
 * Has memory only once there was something.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAIL_BYTES 2048U

struct tail {
	uint8_t *ring;       /* TAIL_BYTES, or NULL; owned */
	uint64_t total;      /* bytes ever added */
	uint64_t begin;      /* number of the first that is not forgotten */
	uint64_t turn;       /* of the last that was added */
	uint64_t turn_begin; /* number of the first that was added in this turn */
	uint64_t before;     /* and of those added in the turn before; or turn_begin */
};

/* Of a zeroed tail, or one in use. Without memory, the text is lost. */
void tail_add(struct tail *tail, const uint8_t *bytes, size_t size, uint64_t turn);

/* A task was answered in this turn. */
void tail_answered(struct tail *tail, uint64_t turn);

/* Forgets everything. */
static inline void tail_clear(struct tail *tail)
{
	tail->begin = tail->total;
}

static inline bool tail_is_empty(const struct tail *tail)
{
	return tail->begin == tail->total;
}

/* What is left, as a string that can be shown (text.h). */
#define TAIL_TEXT_SIZE (4 * TAIL_BYTES + 1)
void tail_text(const struct tail *tail, char out[TAIL_TEXT_SIZE]);

void tail_fini(struct tail *tail);
