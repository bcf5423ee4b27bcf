/* SPDX-License-Identifier: MIT */
#include "runtime/python/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/worker.h"
#include "runtime/process.h"
#include "runtime/python/hooks.h"
#include "runtime/python/inbox.h"
#include "runtime/python/object.h"
#include "runtime/python/target.h"
#include "runtime/settings.h"
#include "runtime/task_runner.h"

/* Arguments that need no memory of their own. */
#define FEW_ARGUMENTS 16U

struct server {
	struct task_runner runner;
	struct inbox inbox;
	struct settings settings; /* of which calls need the limits */
	struct hooks hooks;
	struct target target;
	PyObject *kept; /* what the answer of the call may lie in, owned; NULL: nothing */
	pthread_t thread;
	bool running;     /* a call runs */
	bool interrupted; /* it was told that it is asked to stop */
	bool gil_left;    /* the loop's own thread does not have the GIL */
};

/* What this process serves. Not a child that a function has forked. */
static struct server *serving;

static struct server *server_of(struct procpool_call *call)
{
	struct task_runner *runner = task_runner_of(call);
	return (struct server *)((char *)runner - offsetof(struct server, runner));
}

static bool is_own_thread(const struct server *server)
{
	return pthread_equal(server->thread, pthread_self());
}

/* The loop's own thread leaves the GIL meanwhile; where others write, they do not have it. */
static int send_without_gil(int fd, struct iovec *iov, size_t count)
{
	if (!serving || !is_own_thread(serving) || serving->gil_left)
		return channel_send(fd, iov, count);
	int r;
	Py_BEGIN_ALLOW_THREADS;
	r = channel_send(fd, iov, count);
	Py_END_ALLOW_THREADS;
	return r;
}

/* Positional arguments from the call, then named ones from the task. -1: `count` of them are there,
 * and an exception is set. */
static int read_arguments(struct server *server, struct procpool_call *call, PyObject **arguments,
			  size_t *count)
{
	const struct target *target = &server->target;
	struct procpool_iter kwargs = procpool_iter(target->task->kwargs);
	struct procpool_value key, value;
	const uint8_t *p = call->args;
	*count = 0;
	for (size_t i = 0; i < call->arg_count; i++) {
		value = (struct procpool_value){p, frame_value_size(p, call->args_end)};
		p += value.size;
		arguments[i] = object_of_value(&server->hooks, &server->inbox, value);
		if (!arguments[i])
			return -1;
		++*count;
	}
	while (target->keywords && procpool_iter_next_pair(&kwargs, &key, &value)) {
		arguments[*count] = object_of_value(&server->hooks, &server->inbox, value);
		if (!arguments[*count])
			return -1;
		++*count;
	}
	return 0;
}

/* Calls with arguments in `room`, whose first place is the callee's. */
static PyObject *call_in(struct server *server, struct procpool_call *call, PyObject **room)
{
	PyObject **arguments = room + 1, *value = NULL;
	size_t count;
	if (read_arguments(server, call, arguments, &count) == 0)
		value = PyObject_Vectorcall(server->target.callable, arguments,
					    call->arg_count | PY_VECTORCALL_ARGUMENTS_OFFSET,
					    server->target.keywords);
	while (count > 0)
		Py_DECREF(arguments[--count]);
	return value;
}

static PyObject *call_object(struct server *server, struct procpool_call *call)
{
	size_t count = call->arg_count;
	if (server->target.keywords)
		count += (size_t)PyTuple_GET_SIZE(server->target.keywords);
	if (count <= FEW_ARGUMENTS) {
		PyObject *room[1 + FEW_ARGUMENTS];
		return call_in(server, call, room);
	}
	PyObject **room = PyMem_New(PyObject *, 1 + count);
	if (!room)
		return PyErr_NoMemory();
	PyObject *value = call_in(server, call, room);
	PyMem_Free(room);
	return value;
}

static int call_and_return(struct server *server, struct procpool_call *call)
{
	bool pickle = server->target.pickle;
	if (target_find(&server->target, &server->hooks, &server->inbox, call) < 0)
		return -1;
	PyObject *value = call_object(server, call);
	if (!value)
		return hooks_fail(&server->hooks, call, pickle, &server->kept);
	int r = object_return(&server->hooks, call, value, pickle, &server->kept);
	Py_DECREF(value);
	return r < 0 ? hooks_fail(&server->hooks, call, pickle, &server->kept) : 0;
}

/* A child that a function has forked and that came back from it is no worker. */
static _Noreturn void end_child(const struct server *server)
{
	hooks_flush(&server->hooks);
	_exit(EXIT_SUCCESS);
}

/* The function of all tasks. */
static int run_element(struct procpool_call *call)
{
	struct server *server = server_of(call);
	Py_CLEAR(server->kept);
	server->interrupted = false;
	server->running = true;
	int r = call_and_return(server, call);
	server->running = false;
	if (serving != server)
		end_child(server);
	if (hooks_are_dirty(&server->hooks))
		hooks_flush(&server->hooks);
	return r;
}

static int run(struct server *server, struct procpool_value message)
{
	struct task task;
	if (message.size < 2 || message.data[1] != MSG_TASK || !task_parse(message, &task))
		return -EPROTO;
	int r = target_begin(&server->target, &task);
	if (r == 0)
		r = task_runner_run(&server->runner, &task, server->target.name, run_element);
	lock_leave(&server->runner.flusher.lock);
	Py_CLEAR(server->kept);
	target_end(&server->target);
	inbox_end(&server->inbox);
	lock_take(&server->runner.flusher.lock);
	return r;
}

/* Everything that can be sent is sent before waiting, and other threads can send while waiting. */
static int fill(struct server *server)
{
	struct flusher *flusher = &server->runner.flusher;
	int r = flusher_flush(flusher);
	if (r < 0)
		return r;
	lock_release(&flusher->lock);
	r = inbox_fill(&server->inbox);
	lock_take(&flusher->lock);
	flusher_restart_clock(flusher);
	return r;
}

/*
 * Between two tasks, or where a signal has ended the waiting for one. A handler's exception has no
 * function that it could end: SystemExit ends the loop, what else there is is only reported. -1: it
 * is set.
 */
static int handle_signals(struct server *server)
{
	lock_leave(&server->runner.flusher.lock);
	int r = PyErr_CheckSignals();
	if (r < 0 && !PyErr_ExceptionMatches(PyExc_SystemExit)) {
		PyErr_WriteUnraisable(NULL);
		r = 0;
	}
	lock_take(&server->runner.flusher.lock);
	return r;
}

/* Runs tasks until the channel ends: 0; negative errno; or 1, and an exception is set. */
static int loop(struct server *server)
{
	for (;;) {
		struct procpool_value message;
		int r = inbox_next(&server->inbox, &message);
		if (r == CHANNEL_EMPTY)
			r = fill(server);
		else if (r == CHANNEL_MESSAGE)
			r = run(server, message);
		if (r == CHANNEL_EOF)
			return 0;
		if (r < 0)
			return r;
		if (handle_signals(server) < 0)
			return 1;
	}
}

/* The flusher's thread and messages of other threads may still come: they write nowhere. */
static void detach(struct server *server)
{
	serving = NULL;
	server->runner.outbox.fd = -1;
	task_runner_fini(&server->runner);
	lock_release(&server->runner.flusher.lock);
}

static int serve_with(struct server *server, uint64_t sent)
{
	struct task_runner *runner = &server->runner;
	server->thread = pthread_self();
	runner->outbox.send = send_without_gil;
	lock_take(&runner->flusher.lock);
	serving = server;
	outbox_start_at(&runner->outbox, sent);
	int r = loop(server);
	if (r == 1)
		flusher_flush(&runner->flusher);
	detach(server);
	target_fini(&server->target);
	Py_CLEAR(server->kept);
	return r;
}

static struct page *map_page(int fd)
{
	struct page *page = NULL;
	int r = 0;
	if (fd >= 0) {
		r = process_map_page(fd, &page);
	} else {
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		r = page == MAP_FAILED ? -errno : 0;
	}
	if (r == 0)
		return page;
	errno = -r;
	PyErr_SetFromErrno(PyExc_OSError);
	return NULL;
}

static int init(struct server *server, int fd, int page_fd, PyObject *hooks)
{
	if (hooks_init(&server->hooks, hooks) < 0)
		return -1;
	struct page *page = map_page(page_fd);
	if (!page)
		return -1;
	if (page_fd >= 0)
		close(page_fd);
	server->settings.message_bytes = server->hooks.message_bytes;
	server->settings.value_depth = server->hooks.value_depth;
	task_runner_init(&server->runner, &server->settings, fd, page, page_fd >= 0);
	return 0;
}

static void fini(struct server *server)
{
	inbox_fini(&server->inbox);
	hooks_fini(&server->hooks);
}

/* NULL: an exception is set. */
static struct server *create(int fd, int page_fd, PyObject *hooks)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server || inbox_init(&server->inbox, fd) < 0) {
		free(server);
		PyErr_NoMemory();
		return NULL;
	}
	if (init(server, fd, page_fd, hooks) == 0)
		return server;
	fini(server);
	free(server);
	return NULL;
}

int serve(int fd, int page_fd, PyObject *hooks, uint64_t sent)
{
	if (serving) {
		PyErr_SetString(PyExc_RuntimeError, "serve() runs already");
		return -1;
	}
	/* Not freed once it has served, as threads may still come to it. */
	struct server *server = create(fd, page_fd, hooks);
	if (!server)
		return -1;
	int r = serve_with(server, sent);
	fini(server);
	/* The daemon is gone, or does not want this worker any more. */
	if (r == 0 || r == -EPIPE)
		return 0;
	if (r < 0) {
		errno = -r;
		PyErr_SetFromErrno(PyExc_OSError);
	}
	return -1;
}

void serve_forget(void)
{
	serving = NULL;
}

struct procpool_call *serve_call(void)
{
	return serving && serving->running ? &serving->runner.call : NULL;
}

bool serve_interrupt(void)
{
	struct procpool_call *call = serve_call();
	if (!call || serving->interrupted || !procpool_call_stopped(call))
		return false;
	serving->interrupted = true;
	return true;
}

/* Around what waits for the flusher's lock. */
#define WITHOUT_GIL(server, statement)                                                             \
	do {                                                                                       \
		bool own_ = is_own_thread(server);                                                 \
		(server)->gil_left |= own_;                                                        \
		Py_BEGIN_ALLOW_THREADS;                                                            \
		statement;                                                                         \
		Py_END_ALLOW_THREADS;                                                              \
		if (own_)                                                                          \
			(server)->gil_left = false;                                                \
	} while (0)

bool serve_send(struct procpool_value message)
{
	struct server *server = serving;
	if (server)
		WITHOUT_GIL(server, flusher_send(&server->runner.flusher, message));
	return server != NULL;
}

int serve_progress(struct procpool_value value)
{
	struct procpool_call *call = serve_call();
	int r = 0;
	if (call)
		WITHOUT_GIL(serving, r = procpool_progress(call, value));
	return r;
}
