/* SPDX-License-Identifier: MIT */
#include "io/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/string_list.h"
#include "io/log.h"

/* ---- whole numbers ---- */

static const char units[] = "KMG"; /* powers of 1024 */

/* False: it is none, or too large. */
static bool parse_number(const char *text, long *ret)
{
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (!isdigit((unsigned char)text[text[0] == '-']) || errno != 0)
		return false;
	const char *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1] != '\0'))
		return false;
	for (const char *u = units; unit && u <= unit; u++) {
		if (n > CONFIG_NUMBER_MAX / 1024)
			return false;
		n *= 1024;
	}
	*ret = n;
	return n <= CONFIG_NUMBER_MAX;
}

int config_parse_number(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	const struct config_key *key = config_key_of(section, opt);
	long n;
	if (!parse_number(value, &n) || n < key->min || n > key->max) {
		cfg_error(section,
			  "%s is '%s', and must be a whole number from %ld to %ld (K, M and G may "
			  "follow: 64M)",
			  opt->name, value, key->min, key->max);
		n = key->min;
	}
	*(long *)result = n;
	return 0;
}

int config_take_count(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(unsigned *)config_field(key, base) = (unsigned)cfg_opt_getnint(opt, 0);
	return 0;
}

bool config_print_count(const struct config_key *key, const void *base, FILE *stream)
{
	return fprintf(stream, "%u", *(const unsigned *)config_const_field(key, base)) > 0;
}

static int take_integer(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(int *)config_field(key, base) = (int)cfg_opt_getnint(opt, 0);
	return 0;
}

static bool print_integer(const struct config_key *key, const void *base, FILE *stream)
{
	return fprintf(stream, "%d", *(const int *)config_const_field(key, base)) > 0;
}

static int take_number(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(uint64_t *)config_field(key, base) = (uint64_t)cfg_opt_getnint(opt, 0);
	return 0;
}

static bool print_number(const struct config_key *key, const void *base, FILE *stream)
{
	uint64_t n = *(const uint64_t *)config_const_field(key, base);
	if (n == 0 && key->unset)
		return false;
	return fprintf(stream, "%llu", (unsigned long long)n) > 0;
}

static void print_with_unit(FILE *stream, uint64_t n)
{
	const char *unit = units;
	while (n > 0 && n % 1024 == 0 && *unit) {
		n /= 1024;
		unit++;
	}
	fprintf(stream, "%llu%.*s", (unsigned long long)n, unit > units, unit - (unit > units));
}

static bool print_bytes(const struct config_key *key, const void *base, FILE *stream)
{
	uint64_t n = *(const uint64_t *)config_const_field(key, base);
	if (n == 0 && key->unset)
		return false;
	print_with_unit(stream, n);
	return true;
}

static int refuse_fixed(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	(void)value;
	cfg_error(section, "%s is fixed and cannot be set: remove this line", opt->name);
	*(long *)result = 0;
	return 0;
}

static int take_nothing(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	(void)key, (void)base, (void)opt;
	return 0;
}

static bool print_nothing(const struct config_key *key, const void *base, FILE *stream)
{
	(void)key, (void)base, (void)stream;
	return false;
}

/* clang-format off */
const struct config_type config_count   = {CFGT_INT, false, config_parse_number,
					   config_take_count, config_print_count};
const struct config_type config_integer = {CFGT_INT, false, config_parse_number,
					   take_integer, print_integer};
const struct config_type config_number  = {CFGT_INT, false, config_parse_number,
					   take_number, print_number};
const struct config_type config_bytes   = {CFGT_INT, false, config_parse_number,
					   take_number, print_bytes};
const struct config_type config_fixed   = {CFGT_INT, false, refuse_fixed,
					   take_nothing, print_nothing};
/* clang-format on */

/* ---- seconds ---- */

int config_parse_seconds(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	char *end;
	double seconds = strtod(value, &end);
	/* Neither signs nor exponents, hexadecimals, infinities or what is no number. */
	if (value[0] == '\0' || value[strspn(value, "0123456789.")] != '\0' || *end != '\0' ||
	    seconds > (double)CONFIG_SECONDS_MAX) {
		cfg_error(section, "%s is '%s', and must be a number from 0 to %ld, such as 0.5",
			  opt->name, value, CONFIG_SECONDS_MAX);
		seconds = 0;
	}
	*(double *)result = seconds;
	return 0;
}

int config_take_seconds(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(uint64_t *)config_field(key, base) = (uint64_t)(cfg_opt_getnfloat(opt, 0) * 1e6 + 0.5);
	return 0;
}

bool config_print_seconds(const struct config_key *key, const void *base, FILE *stream)
{
	uint64_t us = *(const uint64_t *)config_const_field(key, base);
	unsigned fraction = (unsigned)(us % 1000000);
	int digits = 6;
	fprintf(stream, "%llu", (unsigned long long)(us / 1000000));
	for (; fraction > 0 && fraction % 10 == 0; fraction /= 10)
		digits--;
	if (fraction > 0)
		fprintf(stream, ".%0*u", digits, fraction);
	return true;
}

const struct config_type config_seconds = {CFGT_FLOAT, false, config_parse_seconds,
					   config_take_seconds, config_print_seconds};

/* ---- words ---- */

static int parse_flag(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	int flag = cfg_parse_boolean(value);
	if (flag < 0)
		cfg_error(section, "%s is '%s', and must be yes or no", opt->name, value);
	*(int *)result = flag == 1;
	return 0;
}

static int take_flag(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(bool *)config_field(key, base) = cfg_opt_getnbool(opt, 0);
	return 0;
}

static bool print_flag(const struct config_key *key, const void *base, FILE *stream)
{
	return fputs(*(const bool *)config_const_field(key, base) ? "yes" : "no", stream) >= 0;
}

const struct config_type config_flag = {CFGT_BOOL, false, parse_flag, take_flag, print_flag};

static int parse_level(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	enum log_level level = LOG_LEVEL_INFO;
	if (!log_level_parse(value, &level))
		cfg_error(section, "%s is '%s', and must be error, warning, info or debug",
			  opt->name, value);
	*(long *)result = level;
	return 0;
}

static int take_level(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	*(enum log_level *)config_field(key, base) = (enum log_level)cfg_opt_getnint(opt, 0);
	return 0;
}

static bool print_level(const struct config_key *key, const void *base, FILE *stream)
{
	enum log_level level = *(const enum log_level *)config_const_field(key, base);
	return fputs(log_level_name(level), stream) >= 0;
}

const struct config_type config_level = {CFGT_INT, false, parse_level, take_level, print_level};
