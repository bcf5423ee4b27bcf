/* SPDX-License-Identifier: MIT */
/*
 * The files that code was loaded from, and whether they have changed since: so that somebody can be
 * told that what is served is not what is installed.
 *
 * What is watched (inotify) is directories: those of a file's name, and of what its name leads to
 * through links. So it is seen when another file or link takes the name, and when the file itself
 * is written to; and nothing is when the file is only read. What counts in the end is what the name
 * leads to: another file, or of another size or time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stat;

/* What a file was like when it was loaded. */
struct file_state {
	uint64_t device, inode;
	int64_t size;
	int64_t seconds, nanoseconds; /* of its last change */
};

/* What is there now; all 0: nothing, or it cannot be told. */
struct file_state file_state_of(const char *path);

struct loaded_file {
	char *path; /* absolute; the last component may be a link */
	struct file_state state;
};

struct loaded_files {
	int fd; /* inotify, non-blocking, close-on-exec; readable when something may have changed;
		   -1: nothing is watched */
	struct loaded_file *list;
	size_t count;
};

/* Nothing is watched yet. 0 or a negative errno: then nothing will be. _fini() in any case. */
int loaded_files_init(struct loaded_files *files);
/* Ends watching. Twice is once. */
void loaded_files_fini(struct loaded_files *files);

/* Watches a file, which was in that state before it was loaded. 0 or a negative errno. */
int loaded_files_add(struct loaded_files *files, const char *path, struct file_state state);

/* Takes what is to be read, and looks at all files: the path of one that has changed, or NULL. One
 * that is not there has not changed: it may be on its way. */
const char *loaded_files_changed(struct loaded_files *files);
