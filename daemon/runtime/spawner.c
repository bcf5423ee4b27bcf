/* SPDX-License-Identifier: MIT */
#include "runtime/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/worker.h"
#include "runtime/channel.h"
#include "runtime/children.h"
#include "runtime/loaded_files.h"
#include "runtime/preload.h"
#include "runtime/printed.h"
#include "runtime/process.h"
#include "runtime/worker.h"

#define FORK_FAILED_STATUS 127

struct spawner {
	struct channel channel;
	struct settings settings;
	struct registry registry; /* empty where workers load after the fork */
	struct children children;
	int signal_fd; /* SIGCHLD */
	struct loaded_files files;
	int worker_status;
	bool is_worker; /* this process is a forked worker that has ended */
};

/* Sends a message and empties the writer. */
static int send_message(struct spawner *spawner, struct procpool_writer *w)
{
	struct procpool_value message = procpool_writer_value(w);
	struct iovec iov = {(void *)message.data, message.size};
	int r = message.size > 0 ? channel_send(spawner->channel.fd, &iov, 1) : -ENOMEM;
	procpool_writer_fini(w);
	return r;
}

static struct procpool_writer message(enum worker_message number, size_t size)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, size);
	procpool_write_int(&w, number);
	return w;
}

__attribute__((format(printf, 3, 4))) static int
send_log(struct spawner *spawner, const char *level, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	struct procpool_writer w = message(MSG_LOG, 3);
	procpool_write_string(&w, level);
	procpool_write_string(&w, line);
	return send_message(spawner, &w);
}

static int send_hello(struct spawner *spawner)
{
	struct procpool_writer w = message(MSG_HELLO, 2);
	procpool_write_map(&w, 7);
	procpool_write_string(&w, "protocol");
	procpool_write_int(&w, WORKER_PROTOCOL_VERSION);
	procpool_write_string(&w, "runtime");
	procpool_write_string(&w, "native");
	procpool_write_string(&w, "version");
	procpool_write_string(&w, PROCPOOL_VERSION);
	procpool_write_string(&w, "fork");
	procpool_write_bool(&w, true);
	procpool_write_string(&w, "page");
	procpool_write_bool(&w, true);
	procpool_write_string(&w, "stop");
	procpool_write_bool(&w, true);
	procpool_write_string(&w, "output");
	procpool_write_bool(&w, true);
	return send_message(spawner, &w);
}

static int send_failed(struct spawner *spawner, const char *text)
{
	struct procpool_writer w = message(MSG_FAILED, 2);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "code");
	procpool_write_string(&w, error_name(ERR_INITIALIZER_FAILED));
	procpool_write_string(&w, "message");
	procpool_write_string(&w, text ? text : "out of memory while loading modules");
	return send_message(spawner, &w);
}

static struct procpool_writer ready_message(const struct registry *registry)
{
	struct procpool_writer w = message(MSG_READY, 2);
	procpool_write_array(&w, registry->function_count);
	for (size_t i = 0; i < registry->function_count; i++) {
		procpool_write_array(&w, 2);
		procpool_write_string_n(&w, registry->functions[i].name,
					registry->functions[i].name_size);
		procpool_write_string(&w, registry->functions[i].doc);
	}
	return w;
}

/* [23, worker, {exit_status or signal, user_us, system_us, max_rss_kib}] */
static int send_exited(struct spawner *spawner, uint32_t worker, int status,
		       const struct rusage *usage)
{
	struct procpool_writer w = message(MSG_EXITED, 3);
	procpool_write_uint(&w, worker);
	procpool_write_map(&w, 4);
	procpool_write_string(&w, WIFSIGNALED(status) ? "signal" : "exit_status");
	procpool_write_int(&w, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	procpool_write_string(&w, "user_us");
	procpool_write_int(&w, usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec);
	procpool_write_string(&w, "system_us");
	procpool_write_int(&w, usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec);
	procpool_write_string(&w, "max_rss_kib");
	procpool_write_int(&w, usage->ru_maxrss);
	return send_message(spawner, &w);
}

static int reap(struct spawner *spawner)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status, r = 0;
	if (read(spawner->signal_fd, &info, sizeof(info)) < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	for (pid_t pid; r == 0 && (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
		struct child *child = children_find_pid(&spawner->children, pid);
		if (!child)
			continue; /* a module started it while it was loaded */
		uint32_t worker = child->worker;
		children_remove(&spawner->children, child);
		r = send_exited(spawner, worker, status, &usage);
	}
	return r;
}

/* In the forked process: becomes the worker and stays it until its end. */
static int be_worker(struct spawner *spawner, uint32_t worker, pid_t parent,
		     const int fds[CHANNEL_FDS_MAX])
{
	const struct process_fds taken = {fds[0], fds[1], fds[2], fds[3]};
	struct page *page = NULL;
	int r = process_become_worker(parent, &taken, &page);
	if (r < 0) {
		fprintf(stderr, "procpool-runtime: worker %u: %s\n", worker, strerror(-r));
		return EXIT_FAILURE;
	}
	spawner->settings.worker = worker;
	return worker_run(&spawner->settings, &spawner->registry, WORKER_FD, page);
}

/* Forked, or not; its descriptors are closed here by now, so that they end with the worker. */
static int say_forked(struct spawner *spawner, uint32_t worker, pid_t pid, int error)
{
	if (pid < 0) {
		struct rusage none = {0};
		int r = send_log(spawner, "error", "cannot fork worker %u: %s", worker,
				 strerror(error));
		return r < 0 ? r
			     : send_exited(spawner, worker, W_EXITCODE(FORK_FAILED_STATUS, 0),
					   &none);
	}
	children_add(&spawner->children, worker, pid);
	struct procpool_writer w = message(MSG_FORKED, 3);
	procpool_write_uint(&w, worker);
	procpool_write_int(&w, pid);
	return send_message(spawner, &w);
}

static int handle_fork(struct spawner *spawner, uint32_t worker)
{
	int fds[CHANNEL_FDS_MAX];
	channel_take_fds(&spawner->channel, fds);
	if (fds[0] < 0 || children_find_worker(&spawner->children, worker))
		return -EPROTO;
	/* Else every worker would print it once more. */
	printed_flush();
	pid_t self = getpid(), pid = -1;
	int error = ENOMEM;
	if (children_reserve(&spawner->children) == 0) {
		pid = fork();
		error = errno;
	}
	if (pid == 0) {
		spawner->is_worker = true;
		spawner->signal_fd = -1; /* closed with all others */
		spawner->files.fd = -1;
		spawner->worker_status = be_worker(spawner, worker, self, fds);
		return CHANNEL_EOF;
	}
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return say_forked(spawner, worker, pid, error);
}

static int handle_kill(struct spawner *spawner, uint32_t worker, struct procpool_value message)
{
	uint64_t number;
	if (!procpool_value_uint(procpool_value_at(message, 2), &number) || number < 1 ||
	    number >= NSIG)
		return -EPROTO;
	/* Not reaped yet, so the pid is still its own. */
	const struct child *child = children_find_worker(&spawner->children, worker);
	if (child)
		kill(child->pid, (int)number);
	return 0;
}

static int handle_message(struct spawner *spawner, struct procpool_value message)
{
	uint64_t number, worker;
	if (!procpool_value_uint(procpool_value_at(message, 0), &number) ||
	    !procpool_value_uint(procpool_value_at(message, 1), &worker) || worker > UINT32_MAX)
		return -EPROTO;
	if (number == MSG_FORK)
		return handle_fork(spawner, (uint32_t)worker);
	if (number == MSG_KILL)
		return handle_kill(spawner, (uint32_t)worker, message);
	return -EPROTO;
}

/* One read, and all messages that it completed. CHANNEL_EMPTY, CHANNEL_EOF or negative errno. */
static int handle_input(struct spawner *spawner)
{
	struct procpool_value message;
	int r = channel_fill(&spawner->channel);
	while (r == CHANNEL_EMPTY &&
	       (r = channel_next(&spawner->channel, &message)) == CHANNEL_MESSAGE) {
		r = handle_message(spawner, message);
		if (r == 0)
			r = CHANNEL_EMPTY;
		else
			return r;
	}
	return r;
}

/* Says it if a file has changed, once: what follows would be no news. */
static int check_files(struct spawner *spawner)
{
	const char *path = loaded_files_changed(&spawner->files);
	if (!path)
		return 0;
	struct procpool_writer w = message(MSG_STALE, 2);
	procpool_write_string(&w, path);
	loaded_files_fini(&spawner->files);
	return send_message(spawner, &w);
}

/* Where workers load after the fork: what they will find now. */
static int watch_configured(struct spawner *spawner)
{
	struct procpool_iter it = procpool_iter(spawner->settings.modules);
	struct procpool_value module;
	int r = 0;
	while (r == 0 && procpool_iter_next(&it, &module)) {
		const void *bytes;
		size_t size;
		if (!procpool_value_bytes(module, &bytes, &size))
			continue;
		char *name = strndup(bytes, size);
		char *path = name ? registry_find_file(&spawner->registry, name) : NULL;
		if (path)
			r = loaded_files_add(&spawner->files, path, file_state_of(path));
		free(path);
		free(name);
	}
	return r;
}

/* Watches the files of the modules, where the system can. */
static int watch_files(struct spawner *spawner)
{
	const struct registry *registry = &spawner->registry;
	int r = loaded_files_init(&spawner->files);
	for (size_t i = 0; r == 0 && i < registry->module_count; i++)
		r = loaded_files_add(&spawner->files, registry->modules[i]->path,
				     registry->modules[i]->state);
	if (r == 0 && registry->module_count == 0)
		r = watch_configured(spawner);
	/* What has changed while it was loaded. */
	if (r == 0)
		return check_files(spawner);
	loaded_files_fini(&spawner->files);
	return send_log(spawner, "debug", "cannot watch the files of the modules: %s",
			strerror(-r));
}

/* 0: the channel has ended, or this process is a worker that has; or negative errno. */
static int serve(struct spawner *spawner)
{
	struct pollfd fds[] = {
		{.fd = spawner->channel.fd, .events = POLLIN},
		{.fd = spawner->signal_fd, .events = POLLIN},
		{.fd = spawner->files.fd, .events = POLLIN},
	};
	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return -errno;
		int r = fds[1].revents ? reap(spawner) : 0;
		if (r == 0 && fds[2].revents) {
			r = check_files(spawner);
			fds[2].fd = spawner->files.fd;
		}
		if (r == 0 && fds[0].revents)
			r = handle_input(spawner);
		if (r < 0 || r == CHANNEL_EOF)
			return r < 0 ? r : 0;
	}
}

/* A fresh spawner, whose predecessor found that the modules start threads. */
static int resume(struct spawner *spawner, int fd)
{
	struct procpool_writer start, ready;
	int r = preload_resume(fd, &start, &ready);
	if (r < 0)
		return r;
	close_range(WORKER_FD + 1, ~0U, 0); /* what the modules had opened */
	r = settings_init(&spawner->settings, procpool_writer_value(&start));
	procpool_writer_fini(&start);
	return r < 0 ? r : send_message(spawner, &ready);
}

/* Says ready; or starts anew where a module has left threads. */
static int announce(struct spawner *spawner, int preload_status, struct procpool_value threaded)
{
	struct procpool_writer ready = ready_message(&spawner->registry);
	const void *name = "";
	size_t size = 0;
	if (preload_status == PRELOAD_DONE)
		return send_message(spawner, &ready);
	procpool_value_bytes(threaded, &name, &size);
	int r = send_log(spawner, "warning",
			 "module %.*s starts threads while it is loaded, which a fork does not "
			 "copy: every worker "
			 "loads the pool's modules anew",
			 (int)size, (const char *)name);
	if (r == 0)
		r = ready.error
			    ? -ENOMEM
			    : preload_restart(&spawner->settings, procpool_writer_value(&ready));
	procpool_writer_fini(&ready);
	return r;
}

/* From hello to ready. CHANNEL_EOF where it ended before, or where loading failed and was said so.
 */
static int begin(struct spawner *spawner)
{
	struct procpool_value start, threaded = {0};
	int r = send_hello(spawner);
	if (r == 0)
		r = channel_wait(&spawner->channel, &start);
	if (r == CHANNEL_MESSAGE)
		r = settings_init(&spawner->settings, start);
	if (r != 0)
		return r;
	r = preload(&spawner->registry, &spawner->settings, &threaded);
	printed_flush();
	if (r >= 0)
		return announce(spawner, r, threaded);
	r = send_failed(spawner, spawner->registry.error);
	return r < 0 ? r : CHANNEL_EOF;
}

static int watch_children(struct spawner *spawner)
{
	sigset_t child;
	/* A module that ignores it would have the kernel reap the workers, and nobody tell. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
		return -errno;
	spawner->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return spawner->signal_fd < 0 ? -errno : 0;
}

/* The workers die with this process anyway; this way they are gone before it is. */
static void end_children(struct spawner *spawner)
{
	for (size_t i = 0; i < spawner->children.count; i++)
		kill(spawner->children.list[i].pid, SIGKILL);
	for (size_t i = 0; i < spawner->children.count; i++)
		while (waitpid(spawner->children.list[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
}

static void spawner_fini(struct spawner *spawner)
{
	if (spawner->signal_fd >= 0)
		close(spawner->signal_fd);
	loaded_files_fini(&spawner->files);
	children_fini(&spawner->children);
	registry_fini(&spawner->registry);
	settings_fini(&spawner->settings);
	channel_fini(&spawner->channel);
}

int spawner_run(int resume_fd)
{
	struct spawner spawner = {.signal_fd = -1, .files = {.fd = -1}};
	registry_init(&spawner.registry);
	int r = channel_init(&spawner.channel, WORKER_FD, true);
	if (r == 0)
		r = resume_fd >= 0 ? resume(&spawner, resume_fd) : begin(&spawner);
	if (r == 0)
		r = watch_children(&spawner);
	if (r == 0)
		r = watch_files(&spawner);
	if (r == 0)
		r = serve(&spawner);
	bool failed = r < 0 && r != -EPIPE;
	int status = failed ? EXIT_FAILURE : EXIT_SUCCESS;
	if (spawner.is_worker)
		status = spawner.worker_status;
	else
		end_children(&spawner);
	if (failed)
		fprintf(stderr, "procpool-runtime: %s\n", strerror(-r));
	spawner_fini(&spawner);
	return status;
}
