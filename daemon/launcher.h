/* SPDX-License-Identifier: MIT */
/*
 * What the daemon and the launcher (launcher.c) say to each other: each message is one of these
 * structs, whole, on a pair of SOCK_SEQPACKET sockets. Both programs are of one build.
 *
 * Adding a field touches: launcher.c, which must check it, io/launch.c,
 * tests/io/test_launch.c and tests/e2e/separation.py.
 */
#pragma once

#include <stdint.h>

/* Says to the daemon which descriptor the launcher is at, and its process: "FD:PID". */
#define LAUNCHER_VARIABLE "PROCPOOL_LAUNCHER"

/* Who runs the daemon where root starts the launcher. */
#define LAUNCH_DAEMON_USER "procpool"
/* Processes are started as members of this group and as nobody else; by default as the user of
 * that name. */
#define LAUNCH_GROUP        "procpool-worker"
#define LAUNCH_DEFAULT_USER "procpool-worker"

/* Of a user or group, with its end. */
#define LAUNCH_NAME_BYTES 256
/* At one time. What these fork does not count. */
#define LAUNCH_CHILDREN_MAX 8192

/* What comes with a start, in this order. They become descriptors 1 to 5 of the process. */
enum {
	LAUNCH_OUTPUT,
	LAUNCH_ERROR,
	LAUNCH_CHANNEL,
	LAUNCH_STATUS, /* a pipe, for a struct child_failure */
	LAUNCH_SPEC,   /* io/launch_spec.h */
	LAUNCH_FD_COUNT,
};
#define LAUNCH_PLACE(which) (1 + (which))

enum launch_request_type {
	LAUNCH_START = 1, /* with the descriptors */
	LAUNCH_KILL = 2,  /* if it has not ended */
};

struct launch_request {
	uint32_t type;
	int32_t signal;                /* of a kill */
	uint64_t id;                   /* of the process: one that no living one has */
	char user[LAUNCH_NAME_BYTES];  /* of a start */
	char group[LAUNCH_NAME_BYTES]; /* likewise; "": the user's own */
};

enum launch_reply_type {
	LAUNCH_STARTED = 1,
	LAUNCH_REFUSED = 2, /* it was not started */
	LAUNCH_ENDED = 3,   /* after it was started, once */
};

enum launch_refusal {
	LAUNCH_FULL = 1,        /* there are LAUNCH_CHILDREN_MAX */
	LAUNCH_FORK_FAILED,     /* see error */
	LAUNCH_LOOKUP_FAILED,   /* likewise: the system's list of users cannot be read */
	LAUNCH_UNKNOWN_USER,    /* there is none of that name */
	LAUNCH_UNKNOWN_GROUP,   /* likewise */
	LAUNCH_NO_WORKER_GROUP, /* there is no LAUNCH_GROUP */
	LAUNCH_IS_ROOT,         /* the user, or one of its groups */
	LAUNCH_IS_DAEMON,       /* likewise */
	LAUNCH_NOT_ALLOWED,     /* the user is no member of LAUNCH_GROUP */
	LAUNCH_NOT_ITS_GROUP,   /* the user is no member of the group that was asked for */
};

struct launch_reply {
	uint32_t type;
	int32_t pid;     /* where it was started */
	uint32_t uid;    /* likewise */
	int32_t refusal; /* where it was not: enum launch_refusal */
	int32_t error;   /* and an errno, or 0 */
	int32_t status;  /* where it has ended: as wait(2) has it */
	uint64_t id;
	uint64_t user_us, system_us;
	uint64_t max_rss_kib;
};

/* How far a process had come that could not become its program. */
enum child_step {
	CHILD_PREPARE,
	CHILD_USER, /* of those that the launcher starts */
	CHILD_SPEC, /* likewise */
	CHILD_NICE,
	CHILD_AFFINITY,
	CHILD_CWD,
	CHILD_LIMIT,
	CHILD_EXEC,
};

/* What it leaves in its status pipe. */
struct child_failure {
	int error; /* a negative errno; 0: none */
	enum child_step step;
	int resource; /* of CHILD_LIMIT: RLIMIT_CORE, … */
};
