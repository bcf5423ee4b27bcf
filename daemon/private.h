/* SPDX-License-Identifier: MIT */
/*
 * The life of a private daemon around its server (procpoold --private): it belongs to one program,
 * its creator, and must neither be in that program's way nor outlive it.
 *
 * So it goes to the background, as daemon(7) has it: the process that the creator has started waits
 * until the daemon serves and ends, and the creator has no child that a wait() of its own would
 * meet. The daemon leads a session of its own, where no signal of a terminal reaches it, has
 * default signals, /dev/null as standard input, and of the creator's descriptors only standard
 * error and the pidfd of the creator (io/creator.h). Its socket lies in a directory of its own.
 */
#pragma once

#include "io/creator.h"

struct private_life {
	struct creator creator;
	char *directory; /* owned, as is what it names; NULL: none */
	char *socket;    /* owned: the path to listen at, in the directory */
	int lock;        /* owned: the directory, locked; -1: none */
	int launcher;    /* owned: the pipe to the process that was started; -1: none */
};

/*
 * Goes to the background: returns in the daemon alone, once. creator: a pidfd that was handed over,
 * or -1 for the parent. 0, or a negative errno and *ret_error, a sentence to be freed (NULL without
 * memory); private_fini() in any case. The process that was started exits with 0 after
 * private_tell(), and as the daemon does where that ends before.
 */
int private_begin(struct private_life *life, int creator, char **ret_error);

/* The daemon listens: prints the path of its socket on standard output, as a line, and lets go of
 * it. 0; -EPIPE: nobody wants to know it any more; or a negative errno. */
int private_tell(struct private_life *life);

/* After the socket has been removed: removes the directory. */
void private_fini(struct private_life *life);
