/* SPDX-License-Identifier: MIT */
/* The pools of the configuration: kinds of values that only they have, what contradicts itself, and
 * what becomes of a section. */
#pragma once

#include "io/config_key.h"

struct config;
struct config_errors;
struct config_text;

extern const struct config_type config_runtime;       /* a list of a program and its arguments */
extern const struct config_type config_initargs;      /* a struct span */
extern const struct config_type config_preload;       /* a bool: always */
extern const struct config_type config_workers;       /* of a pool that always keeps as many */
extern const struct config_type config_workers_range; /* of one that does not */
extern const struct config_type config_idle;          /* of the latter, microseconds */

/* What is read and compared within a second or two: the loop waits for it at a reload. */
#define CONFIG_POOLS_MAX 4000

/* False: complained that there are more pools in this file and those before it. */
bool config_pool_count_check(const struct config *config, cfg_t *file,
			     const struct config_text *text, struct config_errors *errors);

/* Complains of what contradicts itself in the pool of a section, the how manieth of its file (from
 * 0), or of another of that name in the configuration. */
void config_pool_check(const struct config *config, cfg_t *section, int ordinal,
		       const struct config_text *text, struct config_errors *errors);

/* Takes a pool that was checked into the configuration. 0 or -ENOMEM. */
int config_pool_take(struct config *config, cfg_t *section, int ordinal,
		     const struct config_text *text);
