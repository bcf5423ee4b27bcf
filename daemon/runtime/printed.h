/* SPDX-License-Identifier: MIT */
/*
 * What the process prints by the C library goes into pipes, which are read by the daemon: a line as
 * soon as it ends, and what has no end yet before an answer leaves or the process forks.
 */
#pragma once

#include <stdio.h>
#include <stdio_ext.h>

/* Before anything is printed. */
static inline void printed_by_lines(void)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

/* Free of locks and calls of the system where there is nothing. */
static inline void printed_flush(void)
{
	if (__fpending(stdout) > 0)
		fflush(stdout);
	if (__fpending(stderr) > 0)
		fflush(stderr);
}
