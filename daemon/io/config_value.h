/* SPDX-License-Identifier: MIT */
/*
 * What the values of the configuration may be: callbacks for libconfuse that take or refuse one,
 * saying what to write instead, and helpers that get what was taken.
 *
 * A number's range stands in a table here, by its key: the same key has the same range wherever it
 * may stand.
 */
#pragma once

#include <confuse.h>
#include <limits.h>

/* The default of a number that may be left out. */
#define CONFIG_NOT_SET LONG_MIN

/* Callbacks for values: a whole number, in units of K, M or G where they are named; seconds, which
 * may have decimals; bits of a file's mode. */
int config_set_number(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);
int config_set_seconds(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);
int config_set_mode(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);

/* A callback for validation: no string is empty. */
int config_check_not_empty(cfg_t *section, cfg_opt_t *opt);

/* Replace what is there by a copy of what was read. 0 or -ENOMEM. */
int config_take_list(char ***list, cfg_t *section, const char *key);
int config_take_string(char **string, cfg_t *section, const char *key);
