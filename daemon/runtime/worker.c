/* SPDX-License-Identifier: MIT */
#include "runtime/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/worker.h"
#include "runtime/channel.h"
#include "runtime/log.h"
#include "runtime/printed.h"
#include "runtime/task_runner.h"

struct worker {
	struct task_runner runner;
	const struct registry *registry;
	const struct function *last; /* what the task before called */
};

/* [18, error]. */
static int say_failed(struct task_runner *runner)
{
	struct procpool_writer *w = &runner->message;
	procpool_writer_reset(w);
	procpool_write_array(w, 2);
	procpool_write_int(w, MSG_FAILED);
	runner->call.error = ERR_INITIALIZER_FAILED;
	call_write_error(&runner->call, w);
	int r = outbox_add(&runner->outbox, procpool_writer_value(w), (struct procpool_value){0});
	return r < 0 ? r : outbox_flush(&runner->outbox);
}

static int say_ready(struct task_runner *runner)
{
	static const uint8_t ready[] = {0x91, MSG_READY};
	int r = outbox_add(&runner->outbox, (struct procpool_value){ready, sizeof(ready)},
			   (struct procpool_value){0});
	return r < 0 ? r : outbox_flush(&runner->outbox);
}

/* With the pool's initargs as arguments. -1: it failed, and runner->call says why. */
static int run_initializer(struct task_runner *runner, const char *name, procpool_function_fn fn)
{
	struct procpool_call *call = &runner->call;
	struct procpool_value dropped;
	struct procpool_iter initargs = procpool_iter(call->settings->initargs);
	call_begin(call, name, initargs.next, initargs.end, initargs.remaining);
	int status = task_runner_call(runner, fn);
	return call_value(call, status, &dropped);
}

/* The modules' own initializers in the order of loading, then the pool's. */
static int initialize(struct task_runner *runner, const struct registry *registry)
{
	for (size_t i = 0; i < registry->module_count; i++) {
		const struct procpool_module *module = registry->modules[i]->exported;
		char name[REGISTRY_NAME_MAX + sizeof("'s initializer")];
		snprintf(name, sizeof(name), "%s's initializer", module->name);
		if (module->initializer && run_initializer(runner, name, module->initializer) < 0)
			return -1;
	}
	const char *name = runner->call.settings->initializer;
	if (!name)
		return 0;
	const struct function *f = registry_find(registry, name, strlen(name));
	if (!f)
		return call_fail(&runner->call, ERR_UNKNOWN_FUNCTION, NULL,
				 "no module exports the initializer %s", name);
	return run_initializer(runner, f->name, f->fn);
}

static void finalize(const struct registry *registry)
{
	for (size_t i = registry->module_count; i > 0; i--)
		if (registry->modules[i - 1]->exported->finalizer)
			registry->modules[i - 1]->exported->finalizer();
}

/* Everything that can be sent is sent before waiting, and log lines can be while waiting. */
static int fill(struct task_runner *runner, struct channel *channel)
{
	int r = flusher_flush(&runner->flusher);
	if (r < 0)
		return r;
	lock_release(&runner->flusher.lock);
	r = channel_fill(channel);
	lock_take(&runner->flusher.lock);
	flusher_restart_clock(&runner->flusher);
	return r;
}

/* Usually the function that the task before called. */
static const struct function *find(struct worker *worker, const struct task *task)
{
	const struct function *f = worker->last;
	if (f && f->name_size == task->name_size && memcmp(f->name, task->name, f->name_size) == 0)
		return f;
	f = registry_find(worker->registry, task->name, task->name_size);
	if (f)
		worker->last = f;
	return f;
}

/* What is called where there is no such function. */
static int refuse_name(struct procpool_call *call)
{
	const struct task *task = task_runner_of(call)->task;
	return call_fail(call, ERR_UNKNOWN_FUNCTION, NULL, "there is no function %.*s in this pool",
			 (int)task->name_size, task->name);
}

static int refuse_kwargs(struct procpool_call *call)
{
	return procpool_arg_fail(call, "%s takes no named arguments", call->function);
}

static int run(struct worker *worker, const struct task *task)
{
	const struct function *f = find(worker, task);
	if (!f)
		return task_runner_run(&worker->runner, task, "an unknown function", refuse_name);
	if (task->kwargs.size > 0)
		return task_runner_run(&worker->runner, task, f->name, refuse_kwargs);
	return task_runner_run(&worker->runner, task, f->name, f->fn);
}

/* Runs tasks until the channel ends: 0, or negative errno. */
static int serve(struct worker *worker, struct channel *channel)
{
	for (;;) {
		struct procpool_value message;
		struct task task;
		int r = channel_next(channel, &message);
		if (r == CHANNEL_EMPTY)
			r = fill(&worker->runner, channel);
		else if (r == CHANNEL_MESSAGE && message.size > 1 && message.data[1] == MSG_TASK &&
			 task_parse(message, &task))
			r = run(worker, &task);
		else
			r = -EPROTO;
		if (r == CHANNEL_EOF)
			return 0;
		if (r < 0)
			return r;
	}
}

static int load(struct registry *registry, struct task_runner *runner)
{
	struct procpool_iter it = procpool_iter(runner->call.settings->modules);
	struct procpool_value name;
	if (registry->module_count > 0)
		return 0;
	while (procpool_iter_next(&it, &name))
		if (registry_load_value(registry, name) < 0)
			return call_fail(&runner->call, ERR_INITIALIZER_FAILED, NULL, "%s",
					 registry->error);
	return 0;
}

static int start_and_serve(struct worker *worker, struct registry *registry,
			   struct channel *channel)
{
	struct task_runner *runner = &worker->runner;
	bool started = load(registry, runner) == 0 && initialize(runner, registry) == 0;
	printed_flush();
	if (!started) {
		say_failed(runner);
		return EXIT_FAILURE;
	}
	call_end(&runner->call);
	int r = say_ready(runner);
	if (r == 0)
		r = serve(worker, channel);
	/* The daemon is gone, or does not want this worker any more. */
	if (r == 0 || r == -EPIPE) {
		lock_release(&runner->flusher.lock);
		finalize(registry);
		lock_take(&runner->flusher.lock);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "procpool-runtime: worker %u: %s\n", runner->call.settings->worker,
		strerror(-r));
	return EXIT_FAILURE;
}

int worker_run(const struct settings *settings, struct registry *registry, int fd,
	       struct page *page)
{
	struct channel channel;
	/* Never freed, because the flusher's thread and log lines of modules' threads may come to
	 * the end. */
	struct worker *worker = malloc(sizeof(*worker));
	bool shared = page != NULL;
	if (!shared)
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!worker || page == MAP_FAILED || channel_init(&channel, fd, false) < 0) {
		fprintf(stderr, "procpool-runtime: worker %u: out of memory\n", settings->worker);
		return EXIT_FAILURE;
	}
	*worker = (struct worker){.registry = registry};
	task_runner_init(&worker->runner, settings, fd, page, shared);
	lock_take(&worker->runner.flusher.lock);
	log_attach(&worker->runner.flusher);
	int status = start_and_serve(worker, registry, &channel);
	task_runner_fini(&worker->runner);
	channel_fini(&channel);
	return status;
}
