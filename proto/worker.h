/* SPDX-License-Identifier: MIT */
/* The worker protocol's numbers (WORKER.md is the authority). */
#pragma once

#define WORKER_PROTOCOL_VERSION 1
#define WORKER_FD               3 /* where a runtime finds its channel */

enum worker_message {
	/* daemon to runtime */
	MSG_START = 1, /* [1, {settings}] */
	MSG_FORK = 2,  /* [2, worker] + descriptors: channel, page, output, error */
	MSG_KILL = 3,  /* [3, worker, signal] */
	MSG_TASK = 4,  /* [4, seq, job, function, star, items, options?] */

	/* runtime to daemon */
	MSG_HELLO = 16,    /* [16, {protocol, runtime, version, and what it can}] */
	MSG_READY = 17,    /* [17, functions] */
	MSG_FAILED = 18,   /* [18, error] */
	MSG_RESULT = 19,   /* [19, seq, first, microseconds, values] */
	MSG_ERROR = 20,    /* [20, seq, index, microseconds, error] */
	MSG_LOG = 21,      /* [21, level, text] */
	MSG_FORKED = 22,   /* [22, worker, pid] */
	MSG_EXITED = 23,   /* [23, worker, {exit_status or signal, rusage}] */
	MSG_PROGRESS = 24, /* [24, seq, index, value] */
	MSG_STALE = 25,    /* [25, path] */
};
