/* SPDX-License-Identifier: MIT */
/*
 * A process that the daemon has started: a runtime (WORKER.md, "Starting"). It is a child of the
 * daemon, started by fork and exec (process_fork.h), or where there is a launcher a child of that
 * (launch.h), and then another user's.
 *
 * It has /dev/null as standard input, what it is given as standard output and error, its channel as
 * descriptor WORKER_FD, and no other descriptor. It leads a session of its own, has default
 * signals, can gain no privileges, and is killed when the daemon dies. The daemon must be
 * single-threaded: PDEATHSIG follows the thread that forked.
 *
 * Starting never waits. Whether exec worked is known once the channel says something or ends:
 * process_exec_error() then tells why not. A launched process's pid is known later, before
 * launch_next_news() has named it.
 *
 * The owner must wait with process_reap(). Of a child of the daemon he watches pidfd for
 * readability, and must not let the loop reap everything (libev's default loop does so on SIGCHLD:
 * use another); of a launched process launch_next_news() tells.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct launch;
struct launched;
struct process_settings;

struct process {
	bool started;              /* it is one, or was until it was reaped */
	struct launched *launched; /* what the launcher knows it by; NULL: not by it, or reaped */
	pid_t pid;                 /* 0: none, not known yet, or reaped */
	int pidfd;       /* owned; readable when the process has ended; -1: none, or launched */
	int exec_status; /* owned, read end of the pipe that tells why exec failed; -1: known */
	char *program;   /* owned */
	char *cwd;       /* owned; NULL: the daemon's */
	bool refused;    /* process_exec_error() found that the system refuses its settings */
	int error;       /* the launcher's, which has refused it; 0: it has not */
	char *refusal;   /* owned; for people */
};

/* What to start. All borrowed. */
struct process_spec {
	char *const *argv; /* NULL-terminated; argv[0] is searched in PATH unless it has a slash */
	const struct process_settings *settings; /* NULL: all as the daemon */
	unsigned threads;      /* that libraries are told to start (environment.h); 0: not told */
	char *socket;          /* "PROCPOOL_SOCKET=..." (environment.h); NULL: not told */
	struct launch *launch; /* NULL: as the daemon's user, and its child */
	const char *user, *group; /* that the launcher is to start it as; group "": the user's */
	int channel;              /* becomes WORKER_FD; stays the caller's to close */
	int outputs[2];           /* become standard output and error, likewise */
	rlim_t descriptors; /* soft limit on open descriptors, where the daemon has raised its own:
			     * programs that use select() need the usual one; 0: the daemon's */
};

/* How a process ended. */
struct process_exit {
	int signal;      /* 0: it exited */
	int exit_status; /* if signal is 0 */
	uint64_t user_us, system_us;
	uint64_t max_rss_kib;
};

/* A process that is none. */
void process_init(struct process *process);

/* 0, or a negative errno of fork, pipe or memory: nothing was started then. Process must stay where
 * it is until process_fini(). */
int process_start(struct process *process, const struct process_spec *spec);

/*
 * Once the channel has ended: 0 where the program was started, or the negative errno with which it
 * could not be, and *ret_error says what failed, such as with the program's name (to be freed; NULL
 * without memory).
 */
int process_exec_error(struct process *process, char **ret_error);

/* Whether it was started and not reaped. */
bool process_is_running(const struct process *process);

/* Sends a signal, also to a process that has ended and was not reaped. 0 or a negative errno. */
int process_signal(struct process *process, int signal);

enum process_status {
	PROCESS_ENDED = 0,   /* reaped; *ret is filled in */
	PROCESS_RUNNING = 1, /* it has not ended */
};

/* Reaps it if it has ended. Returns enum process_status or a negative errno. */
int process_reap(struct process *process, struct process_exit *ret);

/* Closes the descriptors. A process that was not reaped is killed, and if it is a child of the
 * daemon reaped, first. */
void process_fini(struct process *process);

/* Of this process: all signals do what they do by default, and none is blocked. */
void process_reset_signals(void);

/*
 * A channel: a pair of connected stream sockets, both close-on-exec, the daemon's end non-blocking,
 * the runtime's blocking. 0 or a negative errno.
 */
int process_channel(int *ret_daemon, int *ret_runtime);
