/* SPDX-License-Identifier: MIT */
/*
 * How channels begin: a runtime's process is started, or a spawner is asked for a worker, with the
 * socket, the page and the pipes that the other end gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"
#include "io/about.h"
#include "io/channel.h"
#include "io/log.h"
#include "io/server.h"
#include "proto/worker.h"

static void start_failed(struct channel *channel, const char *what, int error)
{
	if (asprintf(&channel->reason, "%s: %s", what, strerror(error)) < 0)
		channel->reason = NULL;
	struct log_fields fields = about_channel(channel);
	log_event(LOG_LEVEL_ERROR, &fields, "pool %s: %s: %s", fields.pool, what, strerror(error));
	channel->transient = true;
	channel->end.exit_status = -1;
	channel_end(channel);
}

/* A worker's share of the processors. */
static unsigned threads_per_worker(const struct server *server, const struct runtime *runtime)
{
	const struct pool *pool = runtime->pool;
	unsigned cpus = process_settings_cpus(&runtime->spec->process);
	if (cpus == 0 || cpus > server->cpus)
		cpus = server->cpus;
	return cpus > pool->max ? cpus / pool->max : 1;
}

static void start_process(struct channel *channel)
{
	struct server *server = channel->server;
	struct process_spec spec = {.argv = server_runtime_argv(server, channel->runtime),
				    .settings = &channel->runtime->spec->process,
				    .threads = threads_per_worker(server, channel->runtime),
				    .socket = server->socket_variable,
				    .launch = server->launch_watch.launch,
				    .user = channel->runtime->spec->user,
				    .group = channel->runtime->spec->group,
				    .descriptors = server->runtime_descriptors};
	int ours;
	int r = process_channel(&ours, &spec.channel);
	if (r < 0) {
		start_failed(channel, "no socket for the runtime", -r);
		return;
	}
	channel_watch(channel, ours);
	r = capture_open(&channel->capture, spec.outputs);
	if (r < 0) {
		close(spec.channel);
		start_failed(channel, "no pipes for the runtime", -r);
		return;
	}
	r = process_start(&channel->process, &spec);
	close(spec.channel);
	close(spec.outputs[CAPTURE_OUTPUT]);
	close(spec.outputs[CAPTURE_ERROR]);
	if (r < 0) {
		start_failed(channel, "the runtime cannot be started", -r);
		return;
	}
	if (spec.launch) { /* channel_heed_process() follows */
		ev_io_stop(server->loop, &channel->reader);
		return;
	}
	channel->pid = channel->process.pid;
	ev_io_set(&channel->exit_watcher, channel->process.pidfd, EV_READ);
	ev_io_start(server->loop, &channel->exit_watcher);
}

void channel_start_runtime(struct server *server, struct runtime *runtime)
{
	struct channel *channel = channel_create(server, runtime, NULL);
	if (!channel)
		abort(); /* at the start, or nothing is left to serve with */
	runtime->channel = channel;
	start_process(channel);
}

/* Asks the spawner. */
static void fork_worker(struct channel *channel)
{
	struct channel *spawner = channel->runtime->channel;
	int ours, fds[OUTPUT_FDS_MAX];
	size_t fd_count = 1;
	int r = process_channel(&ours, &fds[0]);
	if (r < 0) {
		start_failed(channel, "no socket for a worker", -r);
		return;
	}
	channel_watch(channel, ours);
	if (channel->runtime->abilities.page) {
		r = page_memory_init(&channel->page);
		if (r < 0) {
			close(fds[0]);
			start_failed(channel, "no page for a worker", -r);
			return;
		}
		channel->worker->page = channel->page.page;
		fds[fd_count++] = page_memory_take_fd(&channel->page);
	}
	if (spawner->pipes) {
		r = capture_open(&channel->capture, &fds[fd_count]);
		if (r < 0) {
			for (size_t i = 0; i < fd_count; i++)
				close(fds[i]);
			start_failed(channel, "no pipes for a worker", -r);
			return;
		}
		fd_count += CAPTURE_STREAM_COUNT;
	}
	output_attach_fds(&spawner->output, fds, fd_count);
	struct procpool_writer *w = output_writer(&spawner->output);
	procpool_write_array(w, 2);
	procpool_write_int(w, MSG_FORK);
	procpool_write_uint(w, channel->worker->number);
	channel_mark_dirty(spawner);
}

void channel_start_worker(struct server *server, struct worker *worker)
{
	struct channel *channel = channel_create(server, worker->runtime, worker);
	if (!channel)
		abort();
	if (worker->runtime->state == RUNTIME_EXEC)
		start_process(channel);
	else
		fork_worker(channel);
}
