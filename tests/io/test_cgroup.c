/* SPDX-License-Identifier: MIT */
/* On a tree of plain files, which has no processes in it and checks nothing: what is written where.
 * test_cgroup_kernel.c has the rest. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
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

#include "io/cgroup.h"

#define APP "/sys/fs/cgroup/app"

struct fixture {
	char root[64];
	struct cgroup cgroup;
};

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s%s", f->root, name);
	return path;
}

static void make_directory(const struct fixture *f, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s", path_of(f, name));
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	FILE *file = fopen(path_of(f, name), "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static const char *get(const struct fixture *f, const char *name)
{
	static char text[256];
	FILE *file = fopen(path_of(f, name), "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static bool exists(const struct fixture *f, const char *name)
{
	return access(path_of(f, name), F_OK) == 0;
}

static const char *own_pid(void)
{
	static char text[16];
	snprintf(text, sizeof(text), "%d", (int)getpid());
	return text;
}

/* A directory with the files that the kernel would make with it. */
static void make_leaf(const struct fixture *f, const char *name)
{
	static const char *const files[] = {"cgroup.procs", "cgroup.kill", "memory.max",
					    "memory.oom.group"};
	char path[128];
	make_directory(f, name);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s/%s", name, files[i]);
		put(f, path, "");
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->root, "/tmp/procpool-cgroup-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	make_directory(f, "/proc/self");
	make_directory(f, APP);
	put(f, "/proc/self/cgroup", "12:cpu:/x\n0::/app\n");
	put(f, APP "/cgroup.controllers", "cpu memory pids\n");
	put(f, APP "/cgroup.subtree_control", "");
	put(f, APP "/cgroup.procs", "");
	make_leaf(f, APP "/daemon");
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	cgroup_fini(&f->cgroup);
	nftw(f->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_the_daemon_moves_to_a_leaf_and_hands_memory_down(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), 0);
	assert_string_equal(f->cgroup.path, path_of(f, APP));
	assert_string_equal(get(f, APP "/daemon/cgroup.procs"), own_pid());
	assert_string_equal(get(f, APP "/cgroup.subtree_control"), "+memory");
}

static void test_a_daemon_in_its_leaf_uses_the_one_above(void **state)
{
	struct fixture *f = *state;
	put(f, "/proc/self/cgroup", "0::/app/daemon\n");
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), 0);
	assert_string_equal(f->cgroup.path, path_of(f, APP));
}

static void test_without_the_controller_nothing_is_touched(void **state)
{
	struct fixture *f = *state;
	put(f, APP "/cgroup.controllers", "cpu hugememory memory2 pids\n");
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), -ENOENT);
	assert_null(f->cgroup.path);
	assert_string_equal(get(f, APP "/daemon/cgroup.procs"), "");
	put(f, "/proc/self/cgroup", "12:memory:/app\n");
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), -ENOENT);
	struct cgroup_leaf *leaf;
	assert_int_equal(cgroup_confine(&f->cgroup, 4242, 1 << 20, &leaf), -ENOENT);
}

static void test_where_memory_cannot_be_handed_down_the_daemon_moves_back(void **state)
{
	struct fixture *f = *state;
	unlink(path_of(f, APP "/cgroup.subtree_control"));
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), -ENOENT);
	assert_null(f->cgroup.path);
	assert_string_equal(get(f, APP "/cgroup.procs"), own_pid());
}

/* What is written to a file here lies over what was there. */
static void test_who_starts_processes_for_the_daemon_moves_with_it(void **state)
{
	struct fixture *f = *state;
	char text[16] = "4194303"; /* as long as a pid gets */
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 4194303), 0);
	assert_string_equal(get(f, APP "/daemon/cgroup.procs"), text);
	assert_string_equal(get(f, APP "/cgroup.procs"), "");
	cgroup_fini(&f->cgroup);
	unlink(path_of(f, APP "/cgroup.subtree_control"));
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 4194303), -ENOENT);
	memcpy(text, own_pid(), strlen(own_pid()));
	assert_string_equal(get(f, APP "/cgroup.procs"), text);
}

static void test_a_worker_gets_its_limit_before_it_is_moved(void **state)
{
	struct fixture *f = *state;
	struct cgroup_leaf *leaf = NULL;
	make_leaf(f, APP "/worker-1");
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), 0);
	assert_int_equal(cgroup_confine(&f->cgroup, 4242, 64 << 20, &leaf), 0);
	assert_string_equal(get(f, APP "/worker-1/memory.max"), "67108864");
	assert_string_equal(get(f, APP "/worker-1/memory.oom.group"), "1");
	assert_string_equal(get(f, APP "/worker-1/cgroup.procs"), "4242");

	put(f, APP "/worker-1/memory.events", "low 0\nmax 7\noom 1\noom_kill 0\n");
	assert_false(cgroup_usage(leaf).killed);
	put(f, APP "/worker-1/memory.events",
	    "low 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n");
	put(f, APP "/worker-1/memory.peak", "67108000\n");
	assert_true(cgroup_usage(leaf).killed);
	assert_int_equal(cgroup_usage(leaf).peak_bytes, 67108000);
	cgroup_release(&f->cgroup, leaf);
	assert_string_equal(get(f, APP "/worker-1/cgroup.kill"), "1");
}

static void test_a_leaf_goes_as_soon_as_it_is_empty(void **state)
{
	struct fixture *f = *state;
	struct cgroup_leaf *leaf = NULL;
	make_leaf(f, APP "/worker-1");
	assert_int_equal(cgroup_init(&f->cgroup, f->root, 0), 0);
	assert_int_equal(cgroup_confine(&f->cgroup, 4242, 64 << 20, &leaf), 0);
	cgroup_release(&f->cgroup, leaf);
	/* Its files stand for processes here. */
	assert_true(exists(f, APP "/worker-1"));
	unlink(path_of(f, APP "/worker-1/cgroup.procs"));
	unlink(path_of(f, APP "/worker-1/cgroup.kill"));
	unlink(path_of(f, APP "/worker-1/memory.max"));
	unlink(path_of(f, APP "/worker-1/memory.oom.group"));
	/* With the next that is asked for; which cannot be had, and leaves nothing. */
	assert_true(cgroup_confine(&f->cgroup, 4243, 64 << 20, &leaf) < 0);
	assert_false(exists(f, APP "/worker-1"));
	assert_false(exists(f, APP "/worker-2"));
	cgroup_release(&f->cgroup, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_the_daemon_moves_to_a_leaf_and_hands_memory_down),
		TEST(test_a_daemon_in_its_leaf_uses_the_one_above),
		TEST(test_without_the_controller_nothing_is_touched),
		TEST(test_where_memory_cannot_be_handed_down_the_daemon_moves_back),
		TEST(test_who_starts_processes_for_the_daemon_moves_with_it),
		TEST(test_a_worker_gets_its_limit_before_it_is_moved),
		TEST(test_a_leaf_goes_as_soon_as_it_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
