/* SPDX-License-Identifier: MIT */
/* The pools of the configuration: their keys, what contradicts itself, and what becomes of them. */
#pragma once

#include <confuse.h>

struct pool_spec;

/* The keys of a pool's section, for cfg_init(), which copies them. */
cfg_opt_t *config_pool_options(void);

/* Adds the checks of these keys; for a file whose option `pool` they are. */
void config_pool_add_checks(cfg_t *file);

/* Fills in the pool from its section. 0 or -ENOMEM. */
int config_pool_take(struct pool_spec *spec, cfg_t *section);
