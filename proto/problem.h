/* SPDX-License-Identifier: MIT */
/*
 * One sentence that says what is wrong with a message: the text of a bad-request. It is always
 * printable ASCII, whatever bytes of the sender it quotes, and always terminated.
 */
#pragma once

#include "proto/slice.h"

#define PROBLEM_SIZE      192
#define PROBLEM_QUOTE_MAX 40 /* characters of a sender's name that are quoted */

struct problem {
	char text[PROBLEM_SIZE];
};

/* Writes the text. Always returns false, so that a check can end in `return problem_set(...)`. */
bool problem_set(struct problem *problem, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A sender's text made fit to be quoted: shortened, and unprintable bytes replaced by '?'. */
struct quote {
	char text[PROBLEM_QUOTE_MAX + 4];
};
struct quote problem_quote(struct slice slice);
