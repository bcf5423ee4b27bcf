/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of the launcher (launcher.h): starts processes as other users than its own.
 *
 * Nothing here waits: what the socket has no room for is kept, with duplicates of its descriptors,
 * and sent when it has. A process is known by an id that is never used again. When the launcher has
 * ended so have all its processes, killed: the daemon cannot go on.
 *
 * The owner watches fd for readability, and for writability while launch_flush() says
 * LAUNCH_BLOCKED or launch_is_blocked(); after both he looks for news.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct launch;
struct launched;
struct process;
struct process_exit;
struct process_spec;

enum launch_status {
	LAUNCH_IDLE = 0,    /* nothing more to send, or to receive */
	LAUNCH_BLOCKED = 1, /* the launcher has to read first */
	LAUNCH_GONE = 2,    /* it has ended */
};

/*
 * The launcher that has started this process, as its environment says, where it is not said any
 * more; *ret is NULL where there is none. 0 or a negative errno, and for people why (to be freed;
 * NULL without memory).
 */
int launch_open(struct launch **ret, char **ret_error);

/* Ends the launcher, and with it what it has started. NULL is none. */
void launch_close(struct launch *launch);

/* Once it is gone, and fd is not watched any more: how it ended, as wait(2) has it. */
int launch_wait(struct launch *launch);

int launch_fd(const struct launch *launch);
pid_t launch_pid(const struct launch *launch);
bool launch_is_blocked(const struct launch *launch);

/* For process.c, as process_fork.h: 0 or a negative errno. */
int launch_start(struct launch *launch, struct process *process, const struct process_spec *spec,
		 char *const *environment, int status);
int launch_signal(struct launched *launched, int signal);

/* Whether it has ended, and how. */
bool launch_ended(const struct launched *launched, struct process_exit *ret);

/* Where the launcher has refused it: a negative errno, and for people why (to be freed; NULL
 * without memory). Else 0. */
int launch_refusal(const struct launched *launched, char **ret_error);

/* It is nobody's any more: killed, if it lives. */
void launch_forget(struct launched *launched);

/* What it was started as: that user's number. */
uid_t launch_uid(const struct launched *launched);

/* Send what was kept, and receive what there is. Return enum launch_status. */
int launch_flush(struct launch *launch);
int launch_receive(struct launch *launch);

/* A process of which a pid is known now, or that has ended, or both; NULL: no more. */
struct process *launch_next_news(struct launch *launch);
