/* SPDX-License-Identifier: MIT */
#include "io/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/child.h"
#include "io/environment.h"
#include "proto/worker.h"

#define STATUS_FD (WORKER_FD + 1) /* where the child keeps the pipe until exec closes it */

/* What a channel holds in each direction: a large message takes a sixth of the turns of writer and
 * reader then. The system may allow less (net.core.wmem_max). */
#define SOCKET_BYTES (1 << 20)

void process_init(struct process *process)
{
	*process = (struct process){.pidfd = -1, .exec_status = -1};
}

void process_reset_signals(void)
{
	sigset_t none;
	for (int i = 1; i < _NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

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

static int limit_descriptors(rlim_t soft)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
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
	return spec->descriptors > 0 ? limit_descriptors(spec->descriptors) : 0;
}

/* The child. Returns only if it cannot become the program. */
static struct child_failure become(const struct process_spec *spec, char *const *environment,
				   pid_t parent, int *status)
{
	struct child_failure failure = {.step = CHILD_PREPARE};
	failure.error = settle_in(spec, parent, status);
	if (failure.error == 0 && child_apply(spec->settings, &failure) == 0) {
		execvpe(spec->argv[0], spec->argv, environment);
		failure = (struct child_failure){.step = CHILD_EXEC, .error = -errno};
	}
	return failure;
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

/* status is the write end of the pipe. The child never returns. */
static int fork_and_exec(struct process *process, const struct process_spec *spec,
			 char *const *environment, int status)
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

/* Keeps what an error would name. 0 or -ENOMEM. */
static int note_names(struct process *process, const struct process_spec *spec)
{
	const char *cwd = spec->settings ? spec->settings->cwd : NULL;
	process->program = strdup(spec->argv[0]);
	process->cwd = cwd ? strdup(cwd) : NULL;
	return process->program && (process->cwd || !cwd) ? 0 : -ENOMEM;
}

int process_start(struct process *process, const struct process_spec *spec)
{
	int status[2];
	process_init(process);
	char *const *added = spec->settings ? spec->settings->environment : NULL;
	bool clear = spec->settings && spec->settings->env_clear;
	char **environment = environment_make(added, clear, spec->threads, spec->socket);
	int r = environment ? note_names(process, spec) : -ENOMEM;
	if (r == 0)
		r = pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0) {
		process->exec_status = status[0];
		r = fork_and_exec(process, spec, environment, status[1]);
		close(status[1]);
	}
	free(environment);
	if (r < 0)
		process_fini(process);
	return r;
}

int process_exec_error(struct process *process, char **ret_error)
{
	struct child_failure failure = {0};
	if (process->exec_status < 0 ||
	    read(process->exec_status, &failure, sizeof(failure)) != sizeof(failure) ||
	    failure.error == 0)
		return 0;
	process->refused = child_was_refused(&failure);
	*ret_error = child_explain(&failure, process->program, process->cwd);
	return failure.error;
}

int process_signal(struct process *process, int signal)
{
	if (process->pid == 0)
		return -ESRCH;
	return pidfd_send_signal(process->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static uint64_t microseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

int process_reap(struct process *process, struct process_exit *ret)
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

void process_fini(struct process *process)
{
	if (process->pid > 0) {
		kill(process->pid, SIGKILL);
		while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (process->pidfd >= 0)
		close(process->pidfd);
	if (process->exec_status >= 0)
		close(process->exec_status);
	free(process->program);
	free(process->cwd);
	process_init(process);
}

int process_channel(int *ret_daemon, int *ret_runtime)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		int error = errno;
		close(fds[0]);
		close(fds[1]);
		return -error;
	}
	*ret_daemon = fds[0];
	*ret_runtime = fds[1];
	return 0;
}
