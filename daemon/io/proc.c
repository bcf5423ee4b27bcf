/* SPDX-License-Identifier: MIT */
#include "io/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looking at each costs the daemon some microseconds. */
#define THREADS_MAX 256

/* Of a stat file, what is wanted here. */
struct stat_line {
	char state;
	long parent, session, threads, rss_pages;
};

static int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, size - 1);
	int r = n < 0 ? -errno : 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return r;
}

static int read_stat(const char *path, struct stat_line *ret)
{
	char text[1024];
	int r = read_text(path, text, sizeof(text));
	if (r < 0)
		return r;
	/* The name in parentheses may have some itself. */
	const char *p = strrchr(text, ')');
	if (!p ||
	    sscanf(p,
		   ") %c %ld %*d %ld %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld"
		   " %*d %*u %*u %ld",
		   &ret->state, &ret->parent, &ret->session, &ret->threads, &ret->rss_pages) != 5)
		return -EPROTO;
	return 0;
}

/* The state of a thread that runs or may soon, else that of the process. */
static char busiest_state(pid_t pid, char state)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
	DIR *directory = opendir(path);
	if (!directory)
		return state;
	for (struct dirent *entry; (entry = readdir(directory));) {
		struct stat_line thread;
		char stat[sizeof(path) + sizeof(entry->d_name) + 8];
		snprintf(stat, sizeof(stat), "%s/%s/stat", path, entry->d_name);
		if (entry->d_name[0] != '.' && read_stat(stat, &thread) == 0 &&
		    (thread.state == 'R' || thread.state == 'D')) {
			state = thread.state;
			break;
		}
	}
	closedir(directory);
	return state;
}

static int read_stat_of(pid_t pid, struct stat_line *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	return read_stat(path, ret);
}

pid_t proc_parent(pid_t pid)
{
	struct stat_line line;
	return read_stat_of(pid, &line) == 0 ? (pid_t)line.parent : 0;
}

int proc_read(pid_t pid, struct proc_status *ret)
{
	struct stat_line line;
	int r = read_stat_of(pid, &line);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (line.session != pid)
		return -ESRCH;
	ret->state = line.state;
	if (line.state == 'S' && line.threads > THREADS_MAX)
		ret->state = 'R';
	else if (line.state == 'S' && line.threads > 1)
		ret->state = busiest_state(pid, line.state);
	ret->rss_bytes =
		line.rss_pages > 0 ? (uint64_t)line.rss_pages * (uint64_t)getpagesize() : 0;
	return 0;
}
