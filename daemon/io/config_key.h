/* SPDX-License-Identifier: MIT */
/*
 * The keys of the configuration: tables that say how each is written, what it may be, and where it
 * ends up. Parsing, printing and the list of what is known all follow from them.
 *
 * Adding a key touches: its row in config_key.c, the field that it fills, procpoold.conf.5.scd and
 * procpoold.conf.example; tests compare these. A kind of value that there is not yet is a
 * config_type (config_value.c, config_access.c, config_pool.c).
 */
#pragma once

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config_key;

/* A kind of value. */
struct config_type {
	cfg_type_t parsed_as;
	bool is_list;
	/* Takes one value from its text, or complains by cfg_error() and returns 0 all the same, so
	 * that what is wrong elsewhere is found, too. */
	cfg_callback_t parse;
	/* Puts what was parsed where it belongs: below base, at the key's offset. 0 or -ENOMEM. */
	int (*take)(const struct config_key *key, void *base, cfg_opt_t *opt);
	/* Prints what is there as it may be written. False: it has no value. */
	bool (*print)(const struct config_key *key, const void *base, FILE *stream);
};

struct config_key {
	const char *name;
	const struct config_type *type;
	size_t offset; /* of the field in the section's struct */
	long min, max; /* of numbers */
	int resource;  /* of limits of processes: RLIMIT_CPU, … */
	/* Complains by cfg_error() of a string, which is not among the option's yet; or NULL. */
	void (*check)(cfg_t *section, cfg_opt_t *opt, const char *value);
	const char *unset; /* what it is that has no value; NULL: it always has one */
};

struct config_section {
	const char *name; /* as libconfuse has it */
	const struct config_key *keys;
	size_t count;
};

extern const struct config_section config_daemon_keys; /* of struct config */
extern const struct config_section config_limit_keys;  /* of struct limits */
extern const struct config_section config_access_keys; /* of struct access */
extern const struct config_section config_pool_keys;   /* of struct pool_spec */

/* NULL: there is none of that name. */
const struct config_key *config_key_find(const struct config_section *section, const char *name);

/* Of an option that is being parsed. */
const struct config_key *config_key_of(const cfg_t *section, const cfg_opt_t *opt);
