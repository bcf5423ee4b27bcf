/* SPDX-License-Identifier: MIT */
#include "io/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAEMON_LEAF "daemon"

/* ---- files ---- */

static int open_in(const char *directory, const char *name, int flags)
{
	char *path;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	int fd = open(path, flags | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;
	free(path);
	return r;
}

static int read_file(const char *directory, const char *name, char *text, size_t size)
{
	int fd = open_in(directory, name, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, text, size - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return r;
}

static int write_file(const char *directory, const char *name, const char *text)
{
	int fd = open_in(directory, name, O_WRONLY);
	if (fd < 0)
		return fd;
	int r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int write_number(const char *directory, const char *name, uint64_t n)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return write_file(directory, name, text);
}

/* The number behind a key at the beginning of a line; 0: there is none. */
static uint64_t number_behind(const char *text, const char *key)
{
	size_t size = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, size) == 0)
			return strtoull(line + size, NULL, 10);
	}
	return 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t size = strlen(word);
	for (const char *p = text; (p = strstr(p, word)); p += size)
		if ((p == text || p[-1] == ' ') && (p[size] == '\0' || strchr(" \n", p[size])))
			return true;
	return false;
}

/* ---- where the daemon is ---- */

/* The path of the daemon's own cgroup; the one above it, where it is in the leaf already. */
static int find_own(const char *root, char **ret)
{
	char text[4096];
	char *directory;
	if (asprintf(&directory, "%s/proc/self", root) < 0)
		return -ENOMEM;
	int r = read_file(directory, "cgroup", text, sizeof(text));
	free(directory);
	if (r < 0)
		return r;
	char *own = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!own)
		return -ENOENT;
	own = strchr(own, '/');
	own[strcspn(own, "\n")] = '\0';
	char *leaf = strrchr(own, '/');
	if (strcmp(leaf + 1, DAEMON_LEAF) == 0)
		*leaf = '\0';
	return asprintf(ret, "%s/sys/fs/cgroup%s", root, own) < 0 ? -ENOMEM : 0;
}

/* Makes a leaf and moves a process into it. Leaves nothing behind where that fails. */
static int move_to_leaf(const char *path, pid_t pid)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	int r = write_number(path, "cgroup.procs", (uint64_t)pid);
	if (r < 0)
		rmdir(path);
	return r;
}

/* Both of them, as far as they are there. */
static void move_back(const char *path, const char *leaf, pid_t companion)
{
	if (companion > 0)
		write_number(path, "cgroup.procs", (uint64_t)companion);
	if (write_number(path, "cgroup.procs", (uint64_t)getpid()) == 0)
		rmdir(leaf);
}

/* No process may be in a cgroup that limits others below it. */
static int make_ready(const char *path, pid_t companion)
{
	char controllers[256], *leaf;
	int r = read_file(path, "cgroup.controllers", controllers, sizeof(controllers));
	if (r < 0)
		return r;
	if (!has_word(controllers, "memory"))
		return -ENOENT;
	if (asprintf(&leaf, "%s/" DAEMON_LEAF, path) < 0)
		return -ENOMEM;
	r = move_to_leaf(leaf, getpid());
	if (r == 0) {
		if (companion > 0)
			r = write_number(leaf, "cgroup.procs", (uint64_t)companion);
		if (r == 0)
			r = write_file(path, "cgroup.subtree_control", "+memory");
		if (r < 0)
			move_back(path, leaf, companion);
	}
	free(leaf);
	return r;
}

int cgroup_init(struct cgroup *cgroup, const char *root, pid_t companion)
{
	*cgroup = (struct cgroup){0};
	STAILQ_INIT(&cgroup->emptied);
	char *path;
	int r = find_own(root, &path);
	if (r < 0)
		return r;
	r = make_ready(path, companion);
	if (r < 0)
		free(path);
	else
		cgroup->path = path;
	return r;
}

/* ---- leaves ---- */

static void free_leaf(struct cgroup_leaf *leaf)
{
	if (leaf)
		free(leaf->path);
	free(leaf);
}

static struct cgroup_leaf *make_leaf(struct cgroup *cgroup)
{
	struct cgroup_leaf *leaf = calloc(1, sizeof(*leaf));
	unsigned long long number = ++cgroup->last;
	if (leaf && asprintf(&leaf->path, "%s/worker-%llu", cgroup->path, number) < 0) {
		free(leaf);
		return NULL;
	}
	return leaf;
}

static int limit(const struct cgroup_leaf *leaf, uint64_t limit_bytes)
{
	int r = write_number(leaf->path, "memory.max", limit_bytes);
	/* Where there is no swap there is no such file. */
	write_file(leaf->path, "memory.swap.max", "0");
	return r < 0 ? r : write_file(leaf->path, "memory.oom.group", "1");
}

/* Removes those that have become empty. */
static void sweep(struct cgroup *cgroup)
{
	struct cgroup_leaf *leaf, *next;
	for (leaf = STAILQ_FIRST(&cgroup->emptied); leaf; leaf = next) {
		next = STAILQ_NEXT(leaf, next);
		if (rmdir(leaf->path) < 0 && errno != ENOENT)
			continue;
		STAILQ_REMOVE(&cgroup->emptied, leaf, cgroup_leaf, next);
		free_leaf(leaf);
	}
}

int cgroup_confine(struct cgroup *cgroup, pid_t pid, uint64_t limit_bytes, struct cgroup_leaf **ret)
{
	if (!cgroup->path)
		return -ENOENT;
	sweep(cgroup);
	struct cgroup_leaf *leaf = make_leaf(cgroup);
	if (!leaf)
		return -ENOMEM;
	/* The limit first, so that nothing is ever there without it. */
	int r = mkdir(leaf->path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	if (r == 0)
		r = limit(leaf, limit_bytes);
	if (r == 0)
		r = write_number(leaf->path, "cgroup.procs", (uint64_t)pid);
	if (r < 0) {
		rmdir(leaf->path);
		free_leaf(leaf);
		return r;
	}
	*ret = leaf;
	return 0;
}

struct cgroup_usage cgroup_usage(const struct cgroup_leaf *leaf)
{
	char text[512];
	struct cgroup_usage usage = {0};
	if (read_file(leaf->path, "memory.events", text, sizeof(text)) == 0)
		usage.killed = number_behind(text, "oom_kill ") > 0;
	if (read_file(leaf->path, "memory.peak", text, sizeof(text)) == 0)
		usage.peak_bytes = strtoull(text, NULL, 10);
	return usage;
}

void cgroup_release(struct cgroup *cgroup, struct cgroup_leaf *leaf)
{
	if (!leaf)
		return;
	write_file(leaf->path, "cgroup.kill", "1");
	STAILQ_INSERT_TAIL(&cgroup->emptied, leaf, next);
	sweep(cgroup);
}

void cgroup_fini(struct cgroup *cgroup)
{
	struct cgroup_leaf *leaf;
	sweep(cgroup);
	while ((leaf = STAILQ_FIRST(&cgroup->emptied))) {
		STAILQ_REMOVE_HEAD(&cgroup->emptied, next);
		free_leaf(leaf);
	}
	free(cgroup->path);
	cgroup->path = NULL;
}
