/* SPDX-License-Identifier: MIT */
/* Kinds of values that end up in a pool's process_settings. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/process_settings.h"
#include "io/config_value.h"

#define MODE_MAX 0777

static int parse_mode(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	char *end;
	long mode = strtol(value, &end, 8);
	if (!isdigit((unsigned char)value[0]) || *end != '\0' || mode > MODE_MAX) {
		cfg_error(section, "%s is '%s', and must be an octal number from 000 to %o",
			  opt->name, value, MODE_MAX);
		mode = 0;
	}
	*(long *)result = mode;
	return 0;
}

static int take_umask(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	struct process_settings *settings = config_field(key, base);
	settings->has_umask = true;
	settings->umask = (unsigned)cfg_opt_getnint(opt, 0);
	return 0;
}

static bool print_umask(const struct config_key *key, const void *base, FILE *stream)
{
	const struct process_settings *settings = config_const_field(key, base);
	if (settings->has_umask)
		fprintf(stream, "%03o", settings->umask);
	return settings->has_umask;
}

const struct config_type config_umask = {CFGT_INT, false, parse_mode, take_umask, print_umask};

static int take_cpus(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	struct process_settings *settings = config_field(key, base);
	memset(settings->cpus, 0, sizeof(settings->cpus));
	for (unsigned i = 0; i < cfg_opt_size(opt); i++)
		process_settings_add_cpu(settings, (unsigned)cfg_opt_getnint(opt, i));
	return 0;
}

static bool print_cpus(const struct config_key *key, const void *base, FILE *stream)
{
	const struct process_settings *settings = config_const_field(key, base);
	size_t count = 0;
	for (unsigned cpu = 0; cpu < PROCESS_CPUS_MAX; cpu++) {
		if (settings->cpus[cpu / 64] >> cpu % 64 & 1) {
			config_print_separator(stream, count++);
			fprintf(stream, "%u", cpu);
		}
	}
	if (count > 0)
		fputc('}', stream);
	return count > 0;
}

const struct config_type config_cpus = {CFGT_INT, true, config_parse_number, take_cpus, print_cpus};

static int take_limit(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	uint64_t limit = (uint64_t)cfg_opt_getnint(opt, 0);
	process_settings_set_limit(config_field(key, base), key->resource, limit, limit);
	return 0;
}

static bool print_limit(const struct config_key *key, const void *base, FILE *stream)
{
	const struct process_settings *settings = config_const_field(key, base);
	for (unsigned i = 0; i < settings->limit_count; i++)
		if (settings->limits[i].resource == key->resource)
			return fprintf(stream, "%llu",
				       (unsigned long long)settings->limits[i].soft) > 0;
	return false;
}

const struct config_type config_process_limit = {CFGT_INT, false, config_parse_number, take_limit,
						 print_limit};
