/* SPDX-License-Identifier: MIT */
/*
 * What a pool is made of: plain data, filled in by whoever reads it (io/config.c) and not changed
 * once a pool has it. Shared by references, because a pool's processes are started from it for as
 * long as the pool lives, whatever becomes of the configuration meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/process_settings.h"
#include "core/span.h"

#define POOL_WORKERS_MAX 4096

/* All owned. */
struct pool_spec {
	unsigned refs;
	char *name;
	char **runtime;       /* program and arguments; empty: the native runtime */
	char **modules;       /* never NULL, as runtime */
	char *initializer;    /* or NULL */
	struct span initargs; /* held: an encoded array; size 0: none */
	bool preload_always;
	struct process_settings process;

	unsigned workers; /* how many are kept; 0: as many as the daemon's `workers` */
};

/* With the defaults, a copy of the name, and one reference. NULL without memory. */
struct pool_spec *pool_spec_create(const char *name);
struct pool_spec *pool_spec_ref(struct pool_spec *spec);
void pool_spec_unref(struct pool_spec *spec);

/* What people know the runtime by. */
const char *pool_spec_runtime_name(const struct pool_spec *spec);
