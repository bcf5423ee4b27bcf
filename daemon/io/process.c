/* SPDX-License-Identifier: MIT */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/child.h"
#include "io/environment.h"
#include "io/launch.h"
#include "io/process_fork.h"

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

/* Keeps what an error would name. 0 or -ENOMEM. */
static int note_names(struct process *process, const struct process_spec *spec)
{
	const char *cwd = spec->settings ? spec->settings->cwd : NULL;
	process->program = strdup(spec->argv[0]);
	process->cwd = cwd ? strdup(cwd) : NULL;
	return process->program && (process->cwd || !cwd) ? 0 : -ENOMEM;
}

/* status is the write end of the pipe. */
static int start_by(struct process *process, const struct process_spec *spec,
		    char *const *environment, int status)
{
	return spec->launch ? launch_start(spec->launch, process, spec, environment, status)
			    : process_fork(process, spec, environment, status);
}

int process_start(struct process *process, const struct process_spec *spec)
{
	int status[2];
	process_init(process);
	const struct process_settings *settings = spec->settings;
	char **environment = environment_make(settings ? settings->environment : NULL,
					      settings && settings->env_clear, spec->launch != NULL,
					      spec->threads, spec->socket);
	int r = environment ? note_names(process, spec) : -ENOMEM;
	if (r == 0)
		r = pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0) {
		process->exec_status = status[0];
		r = start_by(process, spec, environment, status[1]);
		close(status[1]);
	}
	free(environment);
	process->started = r == 0;
	if (r < 0)
		process_fini(process);
	return r;
}

int process_exec_error(struct process *process, char **ret_error)
{
	struct child_failure failure = {0};
	if (process->error < 0) {
		process->refused = true;
		*ret_error = process->refusal;
		process->refusal = NULL;
		return process->error;
	}
	if (process->exec_status < 0 ||
	    read(process->exec_status, &failure, sizeof(failure)) != sizeof(failure) ||
	    !child_is_failure(&failure))
		return 0;
	process->refused = child_was_refused(&failure);
	*ret_error = child_explain(&failure, process->program, process->cwd);
	return failure.error;
}

bool process_is_running(const struct process *process)
{
	return process->launched || process->pid != 0;
}

int process_signal(struct process *process, int signal)
{
	if (process->launched)
		return launch_signal(process->launched, signal);
	return process_fork_signal(process, signal);
}

int process_reap(struct process *process, struct process_exit *ret)
{
	if (!process->launched)
		return process_fork_reap(process, ret);
	if (!launch_ended(process->launched, ret))
		return PROCESS_RUNNING;
	process->error = launch_refusal(process->launched, &process->refusal);
	launch_forget(process->launched);
	process->launched = NULL;
	process->pid = 0;
	return PROCESS_ENDED;
}

void process_fini(struct process *process)
{
	if (process->launched)
		launch_forget(process->launched);
	else
		process_fork_end(process);
	if (process->pidfd >= 0)
		close(process->pidfd);
	if (process->exec_status >= 0)
		close(process->exec_status);
	free(process->program);
	free(process->cwd);
	free(process->refusal);
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
