/* SPDX-License-Identifier: MIT */
/* A world whose configuration is replaced, for tests of updates. */
#pragma once

#include "core/update.h"

#include "../unit/test.h"
#include "world.h"

/* Those of each pool. */
static const char *const functions[] = {"t.f", NULL};

struct fixture {
	struct world *world;
	struct session *session;
	struct session *watcher; /* subscribed to everything */
};

/* Pools a and b of code x with two workers each; from then on no process does anything by itself.
 */
struct fixture begin(void);
/* Checks that nothing is waited for any more. */
void end(struct fixture *f);
/* Lets all processes do what they have to, this once. */
void settle_alone(struct fixture *f);

/* A pool whose processes are those of this code. */
struct pool_spec *spec_of(const char *name, const char *code, unsigned workers);
/* Makes these specs (taken over) the configuration; the msgid is returned. */
#define UPDATE(f, ...)                                                                             \
	world_update((f)->world, (f)->session, (struct pool_spec *[]){__VA_ARGS__},                \
		     sizeof((struct pool_spec *[]){__VA_ARGS__}) / sizeof(struct pool_spec *),     \
		     FAKE_FORK_PAGE, functions)

struct pool *find(struct fixture *f, const char *name);
enum error_code submit(struct fixture *f, const char *pool, const char *function);

/* The names under a key, joined by spaces, until the next call. */
const char *names(const struct record *record, const char *key);
/* The update was answered with these names. */
void check_done(struct fixture *f, uint32_t msgid, const char *changed, const char *added,
		const char *removed);
/* The pool serves with that code and no other. */
void check_code(const struct pool *pool, const char *code);
