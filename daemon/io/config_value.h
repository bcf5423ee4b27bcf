/* SPDX-License-Identifier: MIT */
/*
 * What the values of the configuration may be: the kinds that are taken, refused with what to write
 * instead, kept, and printed so that they can be read again.
 */
#pragma once

#include "io/config_key.h"

#define CONFIG_NUMBER_MAX  (1L << 53)  /* what every reader of MessagePack or JSON can hold */
#define CONFIG_SECONDS_MAX 1000000000L /* as microseconds they still have to be counted */

/* Whole numbers, in units of K, M or G where they are named. */
extern const struct config_type config_count;   /* an unsigned */
extern const struct config_type config_integer; /* an int */
extern const struct config_type
	config_number;                        /* a uint64_t; 0 has no value where that has a name */
extern const struct config_type config_bytes; /* the same, printed with a unit */
extern const struct config_type config_fixed; /* a limit that cannot be set */
extern const struct config_type config_seconds; /* a uint64_t of microseconds, with decimals */
extern const struct config_type config_flag;    /* a bool */
extern const struct config_type config_level;   /* an enum log_level */
extern const struct config_type config_string;  /* a char *, NULL without a value */
extern const struct config_type config_strings; /* a list, NULL or empty without a value */

/* Of a struct process_settings. */
extern const struct config_type config_umask;
extern const struct config_type config_cpus;
extern const struct config_type config_process_limit;

/* Parts of kinds that are not here. */
int config_parse_number(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);
int config_parse_string(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);
int config_parse_seconds(cfg_t *section, cfg_opt_t *opt, const char *value, void *result);
int config_take_count(const struct config_key *key, void *base, cfg_opt_t *opt);
int config_take_seconds(const struct config_key *key, void *base, cfg_opt_t *opt);
int config_take_strings(const struct config_key *key, void *base, cfg_opt_t *opt);
bool config_print_count(const struct config_key *key, const void *base, FILE *stream);
bool config_print_seconds(const struct config_key *key, const void *base, FILE *stream);
bool config_print_strings(const struct config_key *key, const void *base, FILE *stream);

/* The field of a key. */
static inline void *config_field(const struct config_key *key, void *base)
{
	return (char *)base + key->offset;
}

static inline const void *config_const_field(const struct config_key *key, const void *base)
{
	return (const char *)base + key->offset;
}

/* Prints a string in quotes, so that libconfuse reads the same again. */
void config_print_quoted(FILE *stream, const char *string);
/* What stands between the elements of a list, and around it: before the nth. */
void config_print_separator(FILE *stream, size_t n);

/* Checks of keys: no string is empty; nor is one there twice; a path is absolute; one that a socket
 * can have; NAME=VALUE, each name once. */
void config_check_not_empty(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_names(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_absolute(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_socket(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_variable(cfg_t *section, cfg_opt_t *opt, const char *value);
