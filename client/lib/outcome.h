/* SPDX-License-Identifier: MIT */
/*
 * Filling struct procpool_outcome. Its memory, where it has any, belongs to the outcome and is
 * kept from one use to the next; value and error may point into it or be borrowed from a read
 * buffer.
 */
#pragma once

#include "procpool.h"

/* Empties it and keeps the memory. */
void outcome_clear(struct procpool_outcome *out);

/* One of the library's own errors, os_error 0 or an errno, with an own copy of the message (NULL:
 * the code's text). Returns code. out may be NULL. */
enum procpool_code outcome_fail(struct procpool_outcome *out, enum procpool_code code, int os_error,
				const char *message);

/* What the daemon answered: error nil (or of size 0) and a value, or an error. Value and error stay
 * borrowed, the message is an own copy. Returns the code. */
enum procpool_code outcome_borrow(struct procpool_outcome *out, struct procpool_value error,
				  struct procpool_value value);
