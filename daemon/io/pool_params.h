/* SPDX-License-Identifier: MIT */
/*
 * What the method open is given, read into a pool's spec. All of it is hostile; the first mistake
 * is reported as a problem that names the key.
 *
 * Adding a key touches: the table in pool_params.c, PROTOCOL.md ("open"), a case in
 * tests/conformance, <procpool.h> (struct procpool_pool_options).
 */
#pragma once

#include <stddef.h>

#include "proto/problem.h"
#include "procpool/value.h"

struct pool_spec;

enum pool_params_outcome {
	POOL_PARAMS_READ = 0,
	POOL_PARAMS_WRONG = 1, /* *problem says how */
};

/*
 * Makes a spec of a map, without a name. name_max: bytes of a name; workers: how many where the map
 * does not say. Returns an outcome, or -ENOMEM.
 */
int pool_params_read(struct procpool_value map, size_t name_max, unsigned workers,
		     struct pool_spec **ret, struct problem *problem);
