/* SPDX-License-Identifier: MIT */
#include "io/process_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/child.h"
#include "io/process.h"
#include "proto/worker.h"

#define STATUS_FD (WORKER_FD + 1) /* where the child keeps the pipe until exec closes it */

/* ---- starting ---- */

/* A duplicate out of the way of the places to be taken. */
static int move_up(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STATUS_FD + 1);
}

/*
 * Puts each descriptor in its place and closes all others. 0 or a negative errno; *status stays the
 * pipe on the way.
 */
static int arrange_descriptors(const struct process_spec *spec, int *status)
{
	int high = move_up(*status);
	if (high < 0)
		return -errno;
	*status = high;
	int null = move_up(open("/dev/null", O_RDWR | O_CLOEXEC)), channel = move_up(spec->channel);
	int output = move_up(spec->outputs[0]), error = move_up(spec->outputs[1]);
	if (null < 0 || channel < 0 || output < 0 || error < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(error, STDERR_FILENO) < 0 || dup2(channel, WORKER_FD) < 0 ||
	    dup3(*status, STATUS_FD, O_CLOEXEC) < 0)
		return -errno;
	*status = STATUS_FD;
	return close_range(STATUS_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* What a child of the daemon is, whatever it will run. 0 or a negative errno. */
static int settle_in(const struct process_spec *spec, pid_t parent, int *status)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* The daemon died before the signal was armed. */
	if (getppid() != parent)
		return -ESRCH;
	if (setsid() < 0)
		return -errno;
	int r = arrange_descriptors(spec, status);
	if (r < 0)
		return r;
	process_reset_signals();
	return 0;
}

/* The child. Returns only if it cannot become the program. */
static struct child_failure become(const struct process_spec *spec, char *const *environment,
				   pid_t parent, int *status)
{
	struct child_failure failure = {.step = CHILD_PREPARE};
	failure.error = settle_in(spec, parent, status);
	return failure.error < 0
		       ? failure
		       : child_become(spec->settings, spec->descriptors, spec->argv, environment);
}

/* Forks with all signals blocked, so that no handler of the daemon's runs in the child. */
static pid_t fork_quietly(void)
{
	sigset_t all, usual;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &usual);
	pid_t pid = fork();
	int error = errno;
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &usual, NULL);
	errno = error;
	return pid;
}

int process_fork(struct process *process, const struct process_spec *spec, char *const *environment,
		 int status)
{
	pid_t parent = getpid();
	pid_t pid = fork_quietly();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		struct child_failure failure = become(spec, environment, parent, &status);
		(void)!write(status, &failure, sizeof(failure));
		_exit(127);
	}
	process->pid = pid;
	process->pidfd = pidfd_open(pid, 0);
	return process->pidfd < 0 ? -errno : 0;
}

/* ---- what is a child ---- */

int process_fork_signal(struct process *process, int signal)
{
	if (process->pid == 0)
		return -ESRCH;
	return pidfd_send_signal(process->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static uint64_t microseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

int process_fork_reap(struct process *process, struct process_exit *ret)
{
	siginfo_t info = {.si_pid = 0};
	struct rusage usage;
	if (process->pid == 0)
		return -ECHILD;
	/* The C library's waitid() has no usage. */
	if (syscall(SYS_waitid, P_PIDFD, process->pidfd, &info, WEXITED | WNOHANG, &usage) < 0)
		return -errno;
	if (info.si_pid == 0)
		return PROCESS_RUNNING;
	process->pid = 0;
	bool exited = info.si_code == CLD_EXITED;
	*ret = (struct process_exit){
		.signal = exited ? 0 : info.si_status,
		.exit_status = exited ? info.si_status : 0,
		.user_us = microseconds(usage.ru_utime),
		.system_us = microseconds(usage.ru_stime),
		.max_rss_kib = (uint64_t)usage.ru_maxrss,
	};
	return PROCESS_ENDED;
}

void process_fork_end(struct process *process)
{
	if (process->pid == 0)
		return;
	kill(process->pid, SIGKILL);
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
