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

#include "proto/worker.h"

#define STATUS_FD (WORKER_FD + 1) /* where the child keeps the pipe until exec closes it */

/* What a service manager says to the daemon alone. */
static const char *const daemons_own[] = {
	"LISTEN_FDS",    "LISTEN_FDNAMES", "LISTEN_PID",
	"NOTIFY_SOCKET", "WATCHDOG_PID",   "WATCHDOG_USEC",
};

void process_init(struct process *process)
{
	*process = (struct process){.pidfd = -1, .exec_status = -1};
}

/* Whether both are of one variable: the same up to the '='. */
static bool same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

static bool is_passed_on(const char *variable, char *const *replaced)
{
	for (size_t i = 0; i < sizeof(daemons_own) / sizeof(*daemons_own); i++)
		if (same_variable(variable, daemons_own[i]))
			return false;
	for (; *replaced; replaced++)
		if (same_variable(variable, *replaced))
			return false;
	return true;
}

/* The environment of the child: a new array of borrowed strings, NULL without memory. */
static char **make_environment(char *const *added)
{
	char *const none[] = {NULL};
	size_t n = 0, count = 1;
	if (!added)
		added = none;
	for (char **e = environ; *e; e++)
		count++;
	for (char *const *e = added; *e; e++)
		count++;
	char **result = calloc(count, sizeof(*result));
	if (!result)
		return NULL;
	for (char **e = environ; *e; e++)
		if (is_passed_on(*e, added))
			result[n++] = *e;
	for (char *const *e = added; *e; e++)
		result[n++] = *e;
	return result;
}

static void reset_signals(void)
{
	sigset_t none;
	for (int i = 1; i < _NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Puts each descriptor in its place and closes all others. 0 or a negative errno; *status stays the
 * pipe on the way.
 */
static int arrange_descriptors(int channel, int *status)
{
	/* First out of the way of the places to be taken. */
	int high = fcntl(*status, F_DUPFD_CLOEXEC, STATUS_FD + 1);
	if (high < 0)
		return -errno;
	*status = high;
	channel = fcntl(channel, F_DUPFD_CLOEXEC, STATUS_FD + 1);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (channel < 0 || null < 0)
		return -errno;
	int output = fcntl(STDERR_FILENO, F_GETFD) < 0 ? null : STDERR_FILENO;
	if (dup2(output, STDOUT_FILENO) < 0 || dup2(STDOUT_FILENO, STDERR_FILENO) < 0 ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(channel, WORKER_FD) < 0 ||
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

/* The child. Returns only if it cannot become the program, with a negative errno. */
static int become(const struct process_spec *spec, char *const *environment, pid_t parent,
		  int *status)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	/* The daemon died before the signal was armed. */
	if (getppid() != parent)
		return -ESRCH;
	if (setsid() < 0)
		return -errno;
	int r = arrange_descriptors(spec->channel, status);
	if (r < 0)
		return r;
	reset_signals();
	if (spec->descriptors > 0) {
		r = limit_descriptors(spec->descriptors);
		if (r < 0)
			return r;
	}
	execvpe(spec->argv[0], spec->argv, environment);
	return -errno;
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
		int error = become(spec, environment, parent, &status);
		(void)!write(status, &error, sizeof(error));
		_exit(127);
	}
	process->pid = pid;
	process->pidfd = pidfd_open(pid, 0);
	return process->pidfd < 0 ? -errno : 0;
}

int process_start(struct process *process, const struct process_spec *spec)
{
	int status[2];
	process_init(process);
	process->program = strdup(spec->argv[0]);
	char **environment = make_environment(spec->environment);
	int r = process->program && environment ? 0 : -ENOMEM;
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
	int error = 0;
	if (process->exec_status >= 0 &&
	    read(process->exec_status, &error, sizeof(error)) != sizeof(error))
		error = 0;
	if (error != 0 &&
	    asprintf(ret_error, "cannot start %s: %s", process->program, strerror(-error)) < 0)
		*ret_error = NULL;
	return error;
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
	process_init(process);
}

int process_channel(int *ret_daemon, int *ret_runtime)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
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
