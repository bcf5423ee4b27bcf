/* SPDX-License-Identifier: MIT */
#include "core/process_settings.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/string_list.h"

void process_settings_fini(struct process_settings *settings)
{
	free(settings->cwd);
	string_list_free(settings->environment);
	*settings = (struct process_settings){0};
}

static bool limits_equal(const struct process_settings *a, const struct process_settings *b)
{
	if (a->limit_count != b->limit_count)
		return false;
	for (unsigned i = 0; i < a->limit_count; i++)
		if (a->limits[i].resource != b->limits[i].resource ||
		    a->limits[i].soft != b->limits[i].soft ||
		    a->limits[i].hard != b->limits[i].hard)
			return false;
	return true;
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool process_settings_equal(const struct process_settings *a, const struct process_settings *b)
{
	return texts_equal(a->cwd, b->cwd) && a->env_clear == b->env_clear &&
	       string_list_equal(a->environment, b->environment) && a->has_umask == b->has_umask &&
	       a->umask == b->umask && a->nice == b->nice && limits_equal(a, b) &&
	       memcmp(a->cpus, b->cpus, sizeof(a->cpus)) == 0;
}

int process_settings_set_cwd(struct process_settings *settings, const char *cwd, size_t size)
{
	char *copy = strndup(cwd, size);
	if (!copy)
		return -ENOMEM;
	free(settings->cwd);
	settings->cwd = copy;
	return 0;
}

/* Whether a variable is of that name, or the removal of it. */
static bool is_variable(const char *variable, const char *name, size_t name_size)
{
	return strncmp(variable, name, name_size) == 0 &&
	       (variable[name_size] == '=' || variable[name_size] == '\0');
}

int process_settings_set_variable(struct process_settings *settings, const char *name,
				  size_t name_size, const char *value, size_t value_size)
{
	char *variable;
	if (string_list_count(settings->environment) >= PROCESS_VARIABLES_MAX)
		return -E2BIG;
	for (char **v = settings->environment; v && *v; v++)
		if (is_variable(*v, name, name_size))
			return -EEXIST;
	if (asprintf(&variable, "%.*s%s%.*s", (int)name_size, name, value ? "=" : "",
		     (int)value_size, value ? value : "") < 0)
		return -ENOMEM;
	return string_list_append(&settings->environment, variable);
}

void process_settings_set_limit(struct process_settings *settings, int resource, uint64_t soft,
				uint64_t hard)
{
	unsigned i = 0;
	while (i < settings->limit_count && settings->limits[i].resource != resource)
		i++;
	assert(i < PROCESS_LIMITS_MAX);
	if (i == settings->limit_count)
		settings->limit_count++;
	if (resource == RLIMIT_CPU && soft == hard && hard < UINT64_MAX)
		hard++;
	settings->limits[i] = (struct process_limit){resource, soft, hard};
}

void process_settings_add_cpu(struct process_settings *settings, unsigned cpu)
{
	assert(cpu < PROCESS_CPUS_MAX);
	settings->cpus[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

unsigned process_settings_cpus(const struct process_settings *settings)
{
	unsigned count = 0;
	for (size_t i = 0; i < PROCESS_CPUS_MAX / 64; i++)
		count += (unsigned)__builtin_popcountll(settings->cpus[i]);
	return count;
}

int process_settings_find_limit(const char *name, size_t size)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {
		{"as", RLIMIT_AS},
		{"core", RLIMIT_CORE},
		{"cpu", RLIMIT_CPU},
		{"data", RLIMIT_DATA},
		{"fsize", RLIMIT_FSIZE},
		{"memlock", RLIMIT_MEMLOCK},
		{"msgqueue", RLIMIT_MSGQUEUE},
		{"nice", RLIMIT_NICE},
		{"nofile", RLIMIT_NOFILE},
		{"nproc", RLIMIT_NPROC},
		{"rss", RLIMIT_RSS},
		{"rtprio", RLIMIT_RTPRIO},
		{"rttime", RLIMIT_RTTIME},
		{"sigpending", RLIMIT_SIGPENDING},
		{"stack", RLIMIT_STACK},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		if (strlen(limits[i].name) == size && memcmp(limits[i].name, name, size) == 0)
			return limits[i].resource;
	return -1;
}
