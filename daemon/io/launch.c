/* SPDX-License-Identifier: MIT */
#include "io/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hash.h"
#include "io/launch_refusal.h"
#include "io/launch_spec.h"
#include "io/process.h"
#include "launcher.h"
#include "proto/worker.h"

_Static_assert(LAUNCH_PLACE(LAUNCH_CHANNEL) == WORKER_FD, "where runtimes find their channel");

/* Replies in one turn, so that many that end together delay nobody. */
#define RECEIVES_MAX 256

/* How it is said that a process has not been started. */
#define NOT_STARTED W_EXITCODE(127, 0)

struct launched {
	struct launch *launch;
	uint64_t id;
	struct process *process; /* NULL: forgotten */
	uid_t uid;
	char *user, *group; /* owned; as asked for */
	int refusal, error; /* enum launch_refusal and an errno; 0: none */
	bool ended;
	struct process_exit exit;
	bool is_news;
	TAILQ_ENTRY(launched) in_news;
	UT_hash_handle hh; /* by id, until it has ended */
};

/* Kept until there is room. */
struct waiting {
	struct launch_request request;
	int fds[LAUNCH_FD_COUNT]; /* owned */
	int fd_count;
	STAILQ_ENTRY(waiting) next;
};

struct launch {
	int fd;    /* -1: it was closed */
	pid_t pid; /* a child of this process; 0: it was waited for */
	uint64_t last_id;
	struct launched *living;
	TAILQ_HEAD(, launched) news;
	STAILQ_HEAD(, waiting) waiting;
};

/* ---- the launcher ---- */

static bool is_launcher(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

int launch_open(struct launch **ret, char **ret_error)
{
	const char *text = getenv(LAUNCHER_VARIABLE);
	int fd, pid, end = 0;
	*ret = NULL;
	*ret_error = NULL;
	if (!text)
		return 0;
	if (sscanf(text, "%d:%d%n", &fd, &pid, &end) != 2 || text[end] != '\0' || fd < 0 ||
	    pid <= 1 || !is_launcher(fd)) {
		if (asprintf(ret_error,
			     LAUNCHER_VARIABLE " is '%s', which is no launcher: "
					       "it is set by procpool-launcher and by nobody else",
			     text) < 0)
			*ret_error = NULL;
		return -EINVAL;
	}
	struct launch *launch = calloc(1, sizeof(*launch));
	if (!launch)
		return -ENOMEM;
	*launch = (struct launch){.fd = fd, .pid = pid};
	TAILQ_INIT(&launch->news);
	STAILQ_INIT(&launch->waiting);
	unsetenv(LAUNCHER_VARIABLE);
	*ret = launch;
	return 0;
}

static void free_waiting(struct waiting *waiting)
{
	for (int i = 0; i < waiting->fd_count; i++)
		close(waiting->fds[i]);
	free(waiting);
}

static void free_launched(struct launched *launched)
{
	if (launched->is_news)
		TAILQ_REMOVE(&launched->launch->news, launched, in_news);
	if (!launched->ended)
		HASH_DELETE(hh, launched->launch->living, launched);
	free(launched->user);
	free(launched->group);
	free(launched);
}

static void free_all_waiting(struct launch *launch)
{
	struct waiting *waiting;
	while ((waiting = STAILQ_FIRST(&launch->waiting))) {
		STAILQ_REMOVE_HEAD(&launch->waiting, next);
		free_waiting(waiting);
	}
}

int launch_wait(struct launch *launch)
{
	int status = 0;
	/* It may be another build's, which does not end before this does. */
	if (launch->fd >= 0)
		close(launch->fd);
	launch->fd = -1;
	while (launch->pid > 0 && waitpid(launch->pid, &status, 0) < 0 && errno == EINTR)
		;
	launch->pid = 0;
	return status;
}

void launch_close(struct launch *launch)
{
	struct launched *launched, *next;
	if (!launch)
		return;
	launch_wait(launch);
	HASH_ITER (hh, launch->living, launched, next)
		free_launched(launched);
	free_all_waiting(launch);
	free(launch);
}

int launch_fd(const struct launch *launch)
{
	return launch->fd;
}

pid_t launch_pid(const struct launch *launch)
{
	return launch->pid;
}

/* ---- sending ---- */

bool launch_is_blocked(const struct launch *launch)
{
	return !STAILQ_EMPTY(&launch->waiting);
}

/* 0 or a negative errno; -EAGAIN: there is no room. */
static int send_request(struct launch *launch, const struct launch_request *request, const int *fds,
			int fd_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(LAUNCH_FD_COUNT * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;
	if (fd_count > 0) {
		size_t bytes = (size_t)fd_count * sizeof(*fds);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.header), fds, bytes);
	}
	do
		n = sendmsg(launch->fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* With descriptors of its own. 0 or a negative errno. */
static int keep_request(struct launch *launch, const struct launch_request *request, const int *fds,
			int fd_count)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	if (!waiting)
		return -ENOMEM;
	waiting->request = *request;
	for (int i = 0; i < fd_count; i++, waiting->fd_count++) {
		waiting->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (waiting->fds[i] < 0) {
			int error = errno;
			free_waiting(waiting);
			return -error;
		}
	}
	STAILQ_INSERT_TAIL(&launch->waiting, waiting, next);
	return 0;
}

/* Now or later, but in the order in which they were made. 0 or a negative errno. */
static int send_or_keep(struct launch *launch, const struct launch_request *request, const int *fds,
			int fd_count)
{
	int r = launch_is_blocked(launch) ? -EAGAIN : send_request(launch, request, fds, fd_count);
	return r == -EAGAIN ? keep_request(launch, request, fds, fd_count) : r;
}

static void note_news(struct launched *launched)
{
	if (launched->is_news || !launched->process)
		return;
	launched->is_news = true;
	TAILQ_INSERT_TAIL(&launched->launch->news, launched, in_news);
}

/* The launcher will say no more of it. */
static void note_end(struct launched *launched, const struct process_exit *exit)
{
	HASH_DELETE(hh, launched->launch->living, launched);
	launched->ended = true;
	launched->exit = *exit;
	if (launched->process)
		note_news(launched);
	else
		free_launched(launched);
}

static void note_refusal(struct launched *launched, int refusal, int error)
{
	launched->refusal = refusal;
	launched->error = error;
	note_end(launched, &(struct process_exit){.exit_status = 127});
}

static struct launched *find(struct launch *launch, uint64_t id)
{
	struct launched *launched;
	HASH_FIND(hh, launch->living, &id, sizeof(id), launched);
	return launched;
}

int launch_flush(struct launch *launch)
{
	struct waiting *waiting;
	while ((waiting = STAILQ_FIRST(&launch->waiting))) {
		int r = send_request(launch, &waiting->request, waiting->fds, waiting->fd_count);
		if (r == -EAGAIN)
			return LAUNCH_BLOCKED;
		if (r == -EPIPE || r == -ECONNRESET)
			return LAUNCH_GONE;
		struct launched *launched = find(launch, waiting->request.id);
		if (r < 0 && launched && waiting->request.type == LAUNCH_START)
			note_refusal(launched, LAUNCH_FORK_FAILED, -r);
		STAILQ_REMOVE_HEAD(&launch->waiting, next);
		free_waiting(waiting);
	}
	return LAUNCH_IDLE;
}

/* ---- processes ---- */

static struct launched *create(struct launch *launch, struct process *process,
			       const struct process_spec *spec)
{
	struct launched *launched = calloc(1, sizeof(*launched));
	if (!launched)
		return NULL;
	launched->launch = launch;
	launched->id = ++launch->last_id;
	launched->process = process;
	launched->uid = (uid_t)-1;
	HASH_ADD(hh, launch->living, id, sizeof(launched->id), launched);
	launched->user = strdup(spec->user ? spec->user : LAUNCH_DEFAULT_USER);
	launched->group = strdup(spec->group ? spec->group : "");
	if (!launched->user || !launched->group) {
		free_launched(launched);
		return NULL;
	}
	return launched;
}

/* 0 or a negative errno. */
static int ask(struct launched *launched, const struct process_spec *spec, char *const *environment,
	       int status)
{
	struct launch_request start = {.type = LAUNCH_START, .id = launched->id};
	struct launch_spec what = {.argv = (char **)spec->argv,
				   .environment = (char **)environment,
				   .descriptors = spec->descriptors};
	int fds[LAUNCH_FD_COUNT] = {spec->outputs[0], spec->outputs[1], spec->channel, status};
	if (strlen(launched->user) >= sizeof(start.user) ||
	    strlen(launched->group) >= sizeof(start.group))
		return -ENAMETOOLONG;
	strcpy(start.user, launched->user);
	strcpy(start.group, launched->group);
	if (spec->settings)
		what.settings = *spec->settings;
	int r = launch_spec_write(&what, &fds[LAUNCH_SPEC]);
	if (r < 0)
		return r;
	r = send_or_keep(launched->launch, &start, fds, LAUNCH_FD_COUNT);
	close(fds[LAUNCH_SPEC]);
	return r;
}

int launch_start(struct launch *launch, struct process *process, const struct process_spec *spec,
		 char *const *environment, int status)
{
	struct launched *launched = create(launch, process, spec);
	if (!launched)
		return -ENOMEM;
	int r = ask(launched, spec, environment, status);
	if (r < 0)
		free_launched(launched);
	else
		process->launched = launched;
	return r;
}

int launch_signal(struct launched *launched, int signal)
{
	struct launch_request kill = {.type = LAUNCH_KILL, .id = launched->id, .signal = signal};
	return launched->ended ? 0 : send_or_keep(launched->launch, &kill, NULL, 0);
}

bool launch_ended(const struct launched *launched, struct process_exit *ret)
{
	if (launched->ended)
		*ret = launched->exit;
	return launched->ended;
}

int launch_refusal(const struct launched *launched, char **ret_error)
{
	if (launched->refusal == 0)
		return 0;
	*ret_error = launch_refusal_explain(launched->refusal, launched->error, launched->user,
					    launched->group);
	return launched->error > 0 ? -launched->error : -EPERM;
}

void launch_forget(struct launched *launched)
{
	if (launched->ended) {
		free_launched(launched);
		return;
	}
	launch_signal(launched, SIGKILL);
	if (launched->is_news)
		TAILQ_REMOVE(&launched->launch->news, launched, in_news);
	launched->is_news = false;
	launched->process = NULL;
}

uid_t launch_uid(const struct launched *launched)
{
	return launched->uid;
}

/* ---- receiving ---- */

static struct process_exit read_exit(const struct launch_reply *reply)
{
	bool signalled = WIFSIGNALED(reply->status);
	return (struct process_exit){
		.signal = signalled ? WTERMSIG(reply->status) : 0,
		.exit_status = signalled ? 0 : WEXITSTATUS(reply->status),
		.user_us = reply->user_us,
		.system_us = reply->system_us,
		.max_rss_kib = reply->max_rss_kib,
	};
}

static void handle(struct launch *launch, const struct launch_reply *reply)
{
	struct launched *launched = find(launch, reply->id);
	struct process_exit exit = read_exit(reply);
	if (!launched)
		return;
	switch (reply->type) {
	case LAUNCH_STARTED:
		launched->uid = reply->uid;
		if (launched->process)
			launched->process->pid = reply->pid;
		note_news(launched);
		break;
	case LAUNCH_REFUSED:
		note_refusal(launched, reply->refusal, reply->error);
		break;
	case LAUNCH_ENDED:
		note_end(launched, &exit);
		break;
	}
}

/* The kernel has killed them, or is about to. */
static void end_all(struct launch *launch)
{
	struct launched *launched, *next;
	HASH_ITER (hh, launch->living, launched, next)
		note_end(launched, &(struct process_exit){.signal = SIGKILL});
	free_all_waiting(launch);
}

int launch_receive(struct launch *launch)
{
	struct launch_reply reply;
	for (int i = 0; i < RECEIVES_MAX; i++) {
		ssize_t n = recv(launch->fd, &reply, sizeof(reply), 0);
		if (n < 0 && errno == EAGAIN)
			return LAUNCH_IDLE;
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(reply)) {
			end_all(launch);
			return LAUNCH_GONE;
		}
		handle(launch, &reply);
	}
	return LAUNCH_IDLE;
}

struct process *launch_next_news(struct launch *launch)
{
	struct launched *launched = TAILQ_FIRST(&launch->news);
	if (!launched)
		return NULL;
	TAILQ_REMOVE(&launch->news, launched, in_news);
	launched->is_news = false;
	return launched->process;
}
