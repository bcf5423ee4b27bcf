/* SPDX-License-Identifier: MIT */
#include "runtime/loaded_files.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file is there under a new name, or has been written. */
#define CHANGES (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

struct file_state file_state_of(const char *path)
{
	struct stat now;
	if (stat(path, &now) < 0)
		return (struct file_state){0};
	return (struct file_state){
		.device = now.st_dev,
		.inode = now.st_ino,
		.size = now.st_size,
		.seconds = now.st_mtim.tv_sec,
		.nanoseconds = now.st_mtim.tv_nsec,
	};
}

static bool is_same(const struct file_state *a, const struct file_state *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

int loaded_files_init(struct loaded_files *files)
{
	*files = (struct loaded_files){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
	return files->fd < 0 ? -errno : 0;
}

void loaded_files_fini(struct loaded_files *files)
{
	if (files->fd >= 0)
		close(files->fd);
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].path);
	free(files->list);
	*files = (struct loaded_files){.fd = -1};
}

static int watch_directory_of(struct loaded_files *files, const char *path)
{
	char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	/* The same directory again is the same watch. */
	int r = inotify_add_watch(files->fd, dirname(copy), CHANGES) < 0 ? -errno : 0;
	free(copy);
	return r;
}

/* The path, absolute, for modules may change the working directory. NULL without memory, or if
 * there is no such directory. */
static char *make_absolute(const char *path)
{
	char *absolute = NULL, *copy = strdup(path), *again = strdup(path);
	char *directory = copy ? realpath(dirname(copy), NULL) : NULL;
	if (directory && again && asprintf(&absolute, "%s/%s", directory, basename(again)) < 0)
		absolute = NULL;
	free(directory);
	free(copy);
	free(again);
	return absolute;
}

int loaded_files_add(struct loaded_files *files, const char *path, struct file_state state)
{
	struct loaded_file *list = reallocarray(files->list, files->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	files->list = list;
	char *absolute = make_absolute(path), *real = realpath(path, NULL);
	int r = absolute && real ? watch_directory_of(files, absolute) : -ENOENT;
	if (r == 0)
		r = watch_directory_of(files, real);
	free(real);
	if (r < 0) {
		free(absolute);
		return r;
	}
	files->list[files->count++] = (struct loaded_file){absolute, state};
	return 0;
}

const char *loaded_files_changed(struct loaded_files *files)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	while (read(files->fd, events, sizeof(events)) > 0)
		;
	for (size_t i = 0; i < files->count; i++) {
		struct file_state now = file_state_of(files->list[i].path);
		if (now.inode != 0 && !is_same(&now, &files->list[i].state))
			return files->list[i].path;
	}
	return NULL;
}
