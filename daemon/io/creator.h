/* SPDX-License-Identifier: MIT */
/*
 * The process that a private daemon belongs to, and whose end is the daemon's.
 *
 * It is watched by a pidfd: that means the process and not a thread of it, so that the thread that
 * started the daemon may end (PR_SET_PDEATHSIG would fire then), and it is not fooled by children
 * of the process that hold its descriptors (a pipe would be).
 */
#pragma once

#include <ev.h>

struct creator {
	int fd; /* owned pidfd, close-on-exec; -1: none */
	ev_io watcher;
	void (*on_end)(void *data);
	void *data;
};

/*
 * The creator by a pidfd that was handed over, which is taken, or with fd -1 the parent of this
 * process. 0; -EBADF: it is none; or a negative errno. A process that has ended is a creator, too:
 * on_end comes at once then. (A parent that ended before this was called cannot be told from the
 * one that took its children over: who must be sure hands a pidfd over.)
 */
int creator_init(struct creator *creator, int fd);
/* Takes one that is zeroed but for fd -1, too. */
void creator_fini(struct creator *creator);

/* Calls on_end once, in the loop, when it has ended. */
void creator_watch(struct creator *creator, struct ev_loop *loop, void (*on_end)(void *data),
		   void *data);
