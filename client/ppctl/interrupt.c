/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int pipe_fds[2] = {-1, -1};

/* The pipe never fills: only the first signal is written. */
static void on_signal(int number)
{
	int saved = errno;
	if (!caught) {
		caught = number;
		if (write(pipe_fds[1], "", 1) < 0)
			_exit(128 + number);
	}
	errno = saved;
}

int interrupt_init(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		/* Without SA_RESTART: a write that blocks must end. */
		struct sigaction action = {.sa_handler = on_signal}, before;
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int interrupt_fd(void)
{
	return pipe_fds[0];
}

int interrupt_signal(void)
{
	return caught;
}

void interrupt_die(int number)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, number);
	signal(number, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}
