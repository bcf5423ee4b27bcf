/* SPDX-License-Identifier: MIT */
/*
 * What a pool is made of: plain data, filled in by whoever reads it (io/config_file.c from the
 * configuration, io/pool_params.c from what a session asks for) and not changed once a pool has it,
 * but for the uid, which a launcher tells when it has started a process. Shared by references,
 * because a pool's processes are started from it for as long as the pool lives, whatever becomes of
 * the configuration meanwhile.
 *
 * Adding a setting touches: the struct here, its default in pool_spec_create(), pool_spec_differ()
 * (process_settings_equal() of one that is there), the row in io/config_key.c (see there), and the
 * key in io/pool_params.c (PROTOCOL.md, <procpool.h>, tests/e2e/test_own_pools.py).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/access.h"
#include "core/process_settings.h"
#include "core/span.h"

#define POOL_WORKERS_MAX 4096
#define POOL_IDLE_US     (60 * UINT64_C(1000000))
#define POOL_STOP_US     UINT64_C(1000000)

/* All owned. */
struct pool_spec {
	unsigned refs;
	size_t bytes; /* of what a session asked for it with; 0: it is configured */
	char *name;
	char **runtime;       /* program and arguments; empty: the native runtime */
	char *interpreter;    /* the Python that the runtime was said to be, or NULL */
	char **modules;       /* never NULL, as runtime */
	char *main;           /* a script that runtimes may load functions from, or NULL */
	char *initializer;    /* or NULL */
	struct span initargs; /* held: an encoded array; size 0: none */
	struct span options;  /* held: an encoded map for the runtime; size 0: none */
	bool preload_always;
	bool pickle; /* its runtime may be given pickles, which run any code */
	struct process_settings process;
	char *user;           /* that its processes run as, or NULL: the launcher's default, or
				 without a launcher the daemon's own */
	char *group;          /* or NULL: that user's */
	uid_t uid;            /* that user's number, as far as it is known */
	struct access access; /* complete */

	unsigned workers;                  /* how many it begins with; 0: not said */
	unsigned workers_min, workers_max; /* how many it keeps; 0: not said, as workers */
	uint64_t idle_us;                  /* then one of more than workers_min is ended */
	unsigned extra_workers; /* beyond workers_max, while all wait for calls of their own */
	uint64_t max_tasks;     /* then a worker is replaced; 0: never */
	uint64_t max_rss_bytes; /* likewise */
	uint64_t memory_bytes;  /* that a worker may use; 0: all */
	uint64_t stop_us;       /* from a task being asked to stop to its worker being killed */
	uint64_t slow_us;       /* a task that runs longer is logged; 0: none is */
};

/* With the defaults, a copy of the name, and one reference. NULL without memory. */
struct pool_spec *pool_spec_create(const char *name);
struct pool_spec *pool_spec_ref(struct pool_spec *spec);
void pool_spec_unref(struct pool_spec *spec);

/* Once all is filled in: what was not said of the numbers of workers follows from what was, and
 * from how many the daemon keeps by default. */
void pool_spec_settle(struct pool_spec *spec, unsigned workers);

/* What processes are started with, and all else, which follows at once when it is changed. */
enum {
	POOL_SPEC_PROCESSES = 1 << 0,
	POOL_SPEC_POLICIES = 1 << 1,
};
/* In which of these the specs of one pool differ; 0: in nothing. */
unsigned pool_spec_differ(const struct pool_spec *a, const struct pool_spec *b);

/* What people know the runtime by. */
const char *pool_spec_runtime_name(const struct pool_spec *spec);
