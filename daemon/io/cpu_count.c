/* SPDX-License-Identifier: MIT */
#include "io/cpu_count.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first line of a file below root, without its newline. False: it cannot be read. */
static bool read_line(const char *root, const char *directory, const char *name, char *ret,
		      size_t size)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%s/%s", root, directory, name);
	FILE *file = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	bool read = fgets(ret, (int)size, file) != NULL;
	fclose(file);
	return read;
}

/* Whole processors of a quota: rounded up, because a part of one can be used, too. */
static unsigned processors(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	long long n = quota / period + (quota % period > 0);
	return n > INT_MAX ? 0 : (unsigned)n;
}

/* What the cgroup itself allows, 0 for no quota. */
typedef unsigned (*quota_fn)(const char *root, const char *directory);

/* cpu.max: "QUOTA PERIOD", where QUOTA may be "max". */
static unsigned quota_v2(const char *root, const char *directory)
{
	char line[64];
	long long quota, period;
	if (!read_line(root, directory, "cpu.max", line, sizeof(line)) ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)
		return 0;
	return processors(quota, period);
}

/* Two files; a quota of -1 is none. */
static unsigned quota_v1(const char *root, const char *directory)
{
	char quota[32], period[32];
	if (!read_line(root, directory, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(root, directory, "cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	return processors(atoll(quota), atoll(period));
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a == 0 || (b > 0 && b < a) ? b : a;
}

/*
 * The least that the cgroup and those above it allow. In a container the path may be the one
 * outside of it; what does not exist here limits nothing, and the walk ends at the container's own.
 */
static unsigned quota_of_path(const char *root, const char *mount, const char *path, quota_fn quota)
{
	char directory[PATH_MAX];
	int n = snprintf(directory, sizeof(directory), "%s%s", mount, path);
	if (n < 0 || (size_t)n >= sizeof(directory))
		return 0;
	unsigned least = 0;
	for (;;) {
		least = smaller(least, quota(root, directory));
		char *slash = strrchr(directory, '/');
		if (!slash || slash < directory + strlen(mount))
			return least;
		*slash = '\0';
	}
}

/* Whether a v1 list of controllers, "cpu,cpuacct", has cpu. */
static bool has_cpu(const char *controllers)
{
	for (const char *c = controllers; c; c = strchr(c, ',') ? strchr(c, ',') + 1 : NULL)
		if (strncmp(c, "cpu", 3) == 0 && (c[3] == ',' || c[3] == '\0'))
			return true;
	return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH", CONTROLLERS empty for v2. */
static unsigned quota_of_line(const char *root, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return 0;
	*controllers++ = '\0';
	*path++ = '\0';
	if (controllers[0] == '\0')
		return quota_of_path(root, ".", path, quota_v2);
	/* Mounted under its list of controllers, and "cpu" is a link to it, where there is no
	 * other. */
	return has_cpu(controllers) ? quota_of_path(root, "cpu", path, quota_v1) : 0;
}

unsigned cpu_quota(const char *root)
{
	char path[PATH_MAX], *line = NULL;
	int n = snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	FILE *file = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
	if (!file)
		return 0;
	unsigned least = 0;
	size_t size = 0;
	while (getline(&line, &size, file) >= 0)
		least = smaller(least, quota_of_line(root, line));
	free(line);
	fclose(file);
	return least;
}

/* The size of the affinity mask, however many processors the kernel was built for. */
static unsigned affinity(void)
{
	for (int processors_max = 1024; processors_max <= 1 << 20; processors_max *= 2) {
		cpu_set_t *set = CPU_ALLOC(processors_max);
		size_t size = CPU_ALLOC_SIZE(processors_max);
		int r = set ? sched_getaffinity(0, size, set) : -1;
		bool too_small = set && r < 0 && errno == EINVAL;
		int count = r == 0 ? CPU_COUNT_S(size, set) : 0;
		CPU_FREE(set);
		if (!too_small)
			return (unsigned)count;
	}
	return 0;
}

unsigned cpu_count(void)
{
	unsigned count = smaller(affinity(), cpu_quota(""));
	return count > 0 ? count : 1;
}
