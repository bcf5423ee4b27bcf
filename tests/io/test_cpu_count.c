/* SPDX-License-Identifier: MIT */
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/cpu_count.h"

static int setup(void **state)
{
	*state = strdup("/tmp/procpool-cpu-XXXXXX");
	return mkdtemp(*state) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	int r = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(*state);
	return r;
}

/* A file below the root, with its directories. */
static void put(const char *root, const char *path, const char *text)
{
	char full[256];
	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_without_files_there_is_no_quota(void **state)
{
	assert_int_equal(cpu_quota(*state), 0);
	put(*state, "proc/self/cgroup", "0::/user.slice\n");
	assert_int_equal(cpu_quota(*state), 0);
	put(*state, "proc/self/cgroup", "nonsense\n:\n7:\n\n");
	assert_int_equal(cpu_quota(*state), 0);
}

static void test_v2_the_least_on_the_way_up_counts(void **state)
{
	const char *root = *state;
	put(root, "proc/self/cgroup", "0::/a/b/c\n");
	put(root, "sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	assert_int_equal(cpu_quota(root), 0);
	put(root, "sys/fs/cgroup/a/cpu.max", "250000 100000\n");
	assert_int_equal(cpu_quota(root), 3);
	put(root, "sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
	assert_int_equal(cpu_quota(root), 3);
	put(root, "sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n");
	assert_int_equal(cpu_quota(root), 1);
}

static void test_v2_in_a_container_the_root_counts(void **state)
{
	const char *root = *state;
	put(root, "sys/fs/cgroup/cpu.max", "200000 100000\n");
	put(root, "proc/self/cgroup", "0::/\n");
	assert_int_equal(cpu_quota(root), 2);
	put(root, "proc/self/cgroup", "0::/not/visible/here\n");
	assert_int_equal(cpu_quota(root), 2);
}

static void test_v1(void **state)
{
	const char *root = *state;
	put(root, "proc/self/cgroup", "12:cpuset:/x\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/\n");
	put(root, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
	put(root, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_quota(root), 0);
	put(root, "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us", "150000\n");
	put(root, "sys/fs/cgroup/cpu/docker/cpu.cfs_period_us", "50000\n");
	assert_int_equal(cpu_quota(root), 3);
}

static void test_hostile_numbers_do_not_limit(void **state)
{
	const char *root = *state;
	put(root, "proc/self/cgroup", "0::/\n");
	put(root, "sys/fs/cgroup/cpu.max", "0 0\n");
	assert_int_equal(cpu_quota(root), 0);
	put(root, "sys/fs/cgroup/cpu.max", "9223372036854775807 1\n");
	assert_int_equal(cpu_quota(root), 0);
	put(root, "sys/fs/cgroup/cpu.max", "-5 100000\n");
	assert_int_equal(cpu_quota(root), 0);
}

static void test_the_affinity_limits(void **state)
{
	(void)state;
	cpu_set_t usual, one;
	assert_int_equal(sched_getaffinity(0, sizeof(usual), &usual), 0);
	assert_in_range(cpu_count(), 1, CPU_COUNT(&usual));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &usual))
			CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	unsigned count = cpu_count();
	assert_int_equal(sched_setaffinity(0, sizeof(usual), &usual), 0);
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_without_files_there_is_no_quota),
		TEST(test_v2_the_least_on_the_way_up_counts),
		TEST(test_v2_in_a_container_the_root_counts),
		TEST(test_v1),
		TEST(test_hostile_numbers_do_not_limit),
		TEST(test_the_affinity_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
