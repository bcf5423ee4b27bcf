/* SPDX-License-Identifier: MIT */
#include "io/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool_spec.h"
#include "core/string_list.h"

#define NUMBER_MAX        (1L << 53) /* what every reader of MessagePack or JSON can hold */
#define GRACE_SECONDS_MAX 86400L
#define SECONDS_MAX       1000000000L /* as microseconds they still have to be counted */
#define FILES_MIN         16          /* without which no runtime could begin */
#define FILES_MAX         (1L << 30)
#define MEMORY_MIN        (1L << 20)
#define MODE_MAX          0777

/* A whole number, with K, M or G for powers of 1024. False: it is none, or too large. */
static bool parse_number(const char *text, long *ret)
{
	static const char units[] = "KMG";
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (!isdigit((unsigned char)text[text[0] == '-']) || errno != 0)
		return false;
	const char *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1] != '\0'))
		return false;
	for (const char *u = units; unit && u <= unit; u++) {
		if (n > NUMBER_MAX / 1024)
			return false;
		n *= 1024;
	}
	*ret = n;
	return n <= NUMBER_MAX;
}

struct range {
	const char *name;
	long min, max;
};

/* What is not named here is at least 1. */
static struct range range_of(const char *name)
{
	static const struct range ranges[] = {
		{"workers", 1, POOL_WORKERS_MAX},
		{"workers_min", 1, POOL_WORKERS_MAX},
		{"workers_max", 1, POOL_WORKERS_MAX},
		{"extra_workers", 0, POOL_WORKERS_MAX},
		{"nice", -20, 19},
		{"affinity", 0, PROCESS_CPUS_MAX - 1},
		{"cpu_seconds", 1, SECONDS_MAX},
		{"open_files", FILES_MIN, FILES_MAX},
		{"core_bytes", 0, NUMBER_MAX},
		{"memory", MEMORY_MIN, NUMBER_MAX},
		{"max_rss", MEMORY_MIN, NUMBER_MAX},
		{"grace_seconds", 0, GRACE_SECONDS_MAX},
		{"message_bytes", 4096, UINT32_MAX},
		{"name_bytes", 16, UINT16_MAX},
		{"retained_bytes_user", 0, NUMBER_MAX},
		{"retained_bytes_session", 0, NUMBER_MAX},
		{"retained_seconds", 0, SECONDS_MAX},
		{"frame_seconds", 1, SECONDS_MAX},
		{"stall_seconds", 1, SECONDS_MAX},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (strcmp(ranges[i].name, name) == 0)
			return ranges[i];
	return (struct range){name, 1, NUMBER_MAX};
}

int config_set_number(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	struct range range = range_of(opt->name);
	long n;
	if (!parse_number(value, &n) || n < range.min || n > range.max) {
		cfg_error(section,
			  "%s is '%s', and must be a whole number from %ld to %ld (K, M and G may "
			  "follow: 64M)",
			  opt->name, value, range.min, range.max);
		return -1;
	}
	*(long *)result = n;
	return 0;
}

int config_set_seconds(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	char *end;
	double seconds = strtod(value, &end);
	/* Neither signs nor exponents, hexadecimals, infinities or what is no number. */
	if (value[0] == '\0' || value[strspn(value, "0123456789.")] != '\0' || *end != '\0' ||
	    seconds > (double)SECONDS_MAX) {
		cfg_error(section, "%s is '%s', and must be a number from 0 to %ld, such as 0.5",
			  opt->name, value, SECONDS_MAX);
		return -1;
	}
	*(double *)result = seconds;
	return 0;
}

int config_set_mode(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	char *end;
	long mode = strtol(value, &end, 8);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || mode > MODE_MAX) {
		cfg_error(section, "%s is '%s', and must be an octal number from 000 to %o",
			  opt->name, value, MODE_MAX);
		return -1;
	}
	*(long *)result = mode;
	return 0;
}

int config_check_not_empty(cfg_t *section, cfg_opt_t *opt)
{
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const char *s = cfg_opt_getnstr(opt, i);
		if (s && s[0] == '\0') {
			cfg_error(section, "%s is empty: name something, or remove this line",
				  opt->name);
			return -1;
		}
	}
	return 0;
}

int config_take_list(char ***list, cfg_t *section, const char *key)
{
	unsigned count = cfg_size(section, key);
	char **borrowed = calloc((size_t)count + 1, sizeof(*borrowed));
	for (unsigned i = 0; borrowed && i < count; i++)
		borrowed[i] = cfg_getnstr(section, key, i);
	char **copy = borrowed ? string_list_copy(borrowed) : NULL;
	free(borrowed);
	if (!copy)
		return -ENOMEM;
	string_list_free(*list);
	*list = copy;
	return 0;
}

int config_take_string(char **string, cfg_t *section, const char *key)
{
	const char *s = cfg_getstr(section, key);
	char *copy = s ? strdup(s) : NULL;
	if (s && !copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}
