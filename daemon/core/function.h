/* SPDX-License-Identifier: MIT */
/*
 * The functions of a pool, by name, with what is known of how long a call takes. The estimate sizes
 * chunks and what is sent to a worker ahead; it is a mean that follows quickly when calls get
 * longer and slowly when they get shorter, because overestimating costs little.
 *
 * A pool's code may be replaced. A function that is not in the new code is gone: it is not found
 * any more, but stays while a job refers to it.
 *
 * Code whose list has "*" looks up what is not on it by itself: those names come from callers, and
 * are kept apart (names.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include "core/hash.h"

#include "procpool/value.h"

struct pool;

struct function {
	struct pool *pool; /* stays while jobs refer to the function (pool_life.h) */
	char *name;
	size_t name_size;
	char *doc;
	double mean_us;                  /* of one call, in the worker; meaningful if samples > 0 */
	uint64_t samples;                /* calls measured */
	bool used;                       /* while those that can be freed are looked for */
	bool named;                      /* by a caller, not by the code */
	uint64_t jobs;                   /* then: that refer to it */
	TAILQ_ENTRY(function) in_unused; /* then: while there are none */
	struct function *next_gone;
	UT_hash_handle hh;
};

#define FUNCTIONS_MAX 65536U /* in a table, but for those that callers name */
#define FUNCTION_ANY  "*"    /* stands for all that is not on the list */

struct function_table {
	struct function *by_name;
	struct function *gone;  /* what was by_name, and may be referred to */
	struct function *named; /* by callers */
	bool any;               /* FUNCTION_ANY is among those by_name */
};

/* Adds a function, or gives it a new doc if there is one of that name: it keeps its estimate. 0 or
 * -ENOMEM. */
int function_table_add(struct function_table *table, struct pool *pool, const char *name,
		       size_t name_size, const char *doc, size_t doc_size);

/* Adds all of an array of [name, doc], hostile. False: malformed, or more than there may be. */
bool function_table_read(struct function_table *table, struct pool *pool,
			 struct procpool_value functions, size_t name_bytes);
void function_table_fini(struct function_table *table);

/* Takes over the functions of another table, as function_table_add() adds them; empties it. */
void function_table_take(struct function_table *table, struct function_table *other);
/* All functions are gone that are not in the other table. */
void function_table_retain(struct function_table *table, const struct function_table *other);
/* Frees those that are gone and not `used`; none is `used` any more. */
void function_table_sweep(struct function_table *table);

size_t function_table_count(const struct function_table *table);

/* Whether that is FUNCTION_ANY, which names no function. */
bool function_is_any(const char *name, size_t name_size);

/* NULL if there is none on the list. */
struct function *function_table_find(const struct function_table *table, const char *name,
				     size_t name_size);

/* Of those that callers name: finds, adds (NULL without memory), frees. */
struct function *function_table_find_named(const struct function_table *table, const char *name,
					   size_t name_size);
struct function *function_table_name(struct function_table *table, struct pool *pool,
				     const char *name, size_t name_size);
void function_table_drop_named(struct function_table *table, struct function *function);

/* `count` calls took us microseconds together. */
void function_measure(struct function *function, uint64_t us, uint64_t count);

/* How different two names are: single-letter edits, at most limit + 1. For "did you mean". */
unsigned name_distance(const char *a, size_t a_size, const char *b, size_t b_size, unsigned limit);
