/* SPDX-License-Identifier: MIT */
#include "io/channel.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/core.h"
#include "io/about.h"
#include "io/launch.h"
#include "io/log.h"
#include "io/report.h"
#include "io/runtime_messages.h"
#include "io/salvage.h"
#include "io/server.h"
#include "io/worker_process.h"
#include "proto/page.h"
#include "proto/worker.h"

/* Receives from a dead process: more than its socket can hold, and an end to what others write to
 * it. */
#define HEAR_OUT_MAX 32

/* ---- output ---- */

void channel_mark_dirty(struct channel *channel)
{
	if (channel->dirty || channel->ended)
		return;
	channel->dirty = true;
	TAILQ_INSERT_TAIL(&channel->server->dirty_channels, channel, in_dirty);
}

/* Of a task message; returns how many there are. Written only with something in it. */
static uint32_t count_options(const struct chunk *chunk)
{
	return (job_kwargs(chunk->job).size > 0) + (job_pickle(chunk->job).size > 0) +
	       (job_timeout_us(chunk->job) > 0) + (chunk->attempt > 1);
}

/* Bytes of the job's request: shared where they are many. */
static void append_request(struct channel *channel, const struct job *job, const uint8_t *data,
			   size_t size)
{
	output_append_blob(&channel->output, job->request, (size_t)(data - job->request->data),
			   size);
}

static void write_value_option(struct channel *channel, const struct job *job, const char *key,
			       struct procpool_value value)
{
	if (value.size == 0)
		return;
	procpool_write_string(output_writer(&channel->output), key);
	append_request(channel, job, value.data, value.size);
}

static void write_options(struct channel *channel, const struct chunk *chunk, uint32_t count)
{
	const struct job *job = chunk->job;
	struct procpool_writer *w = output_writer(&channel->output);
	procpool_write_map(w, count);
	if (job_timeout_us(job) > 0) {
		procpool_write_string(w, "timeout");
		procpool_write_double(w, (double)job_timeout_us(job) / 1e6);
	}
	if (chunk->attempt > 1) {
		procpool_write_string(w, "attempt");
		procpool_write_uint(w, chunk->attempt);
	}
	write_value_option(channel, job, "kwargs", job_kwargs(job));
	write_value_option(channel, job, "pickle", job_pickle(job));
}

void channel_send_task(struct channel *channel, const struct chunk *chunk)
{
	struct procpool_writer *w = output_writer(&channel->output);
	const struct job *job = chunk->job;
	uint32_t options = count_options(chunk);
	if (channel->worker->pending == 1)
		capture_begins(&channel->capture);
	procpool_write_array(w, options > 0 ? 7 : 6);
	procpool_write_int(w, MSG_TASK);
	procpool_write_uint(w, chunk->seq);
	procpool_write_uint(w, job->id);
	procpool_write_string_n(w, job->function->name, job->function->name_size);
	procpool_write_bool(w, job->star);
	procpool_write_array(w, chunk->range.count);
	append_request(channel, job, chunk->range.data, chunk->range.size);
	if (options > 0)
		write_options(channel, chunk, options);
	channel_mark_dirty(channel);
}

void channel_flush(struct channel *channel)
{
	if (channel->ended || channel->fd < 0)
		return;
	int r = output_flush(&channel->output, channel->fd, OUTPUT_BUDGET);
	if (r == OUTPUT_EMPTY || r < 0)
		ev_io_stop(channel->server->loop, &channel->writer);
	else
		ev_io_start(channel->server->loop, &channel->writer);
	/* The other end is gone: its exit report or end of file follows. */
	if (r == OUTPUT_EMPTY && channel->shut)
		shutdown(channel->fd, SHUT_WR);
}

void channel_shut(struct channel *channel)
{
	channel->shut = true;
	channel_mark_dirty(channel);
}

/* ---- ending ---- */

/* A forked worker's goes by its spawner, who knows whether the pid is still its own. */
static void send_signal(struct channel *channel, int number)
{
	if (process_is_running(&channel->process)) {
		process_signal(&channel->process, number);
	} else if (channel->worker && channel->runtime->channel) {
		struct channel *spawner = channel->runtime->channel;
		struct procpool_writer *w = output_writer(&spawner->output);
		procpool_write_array(w, 3);
		procpool_write_int(w, MSG_KILL);
		procpool_write_uint(w, channel->worker->number);
		procpool_write_int(w, number);
		channel_mark_dirty(spawner);
	}
}

void channel_kill(struct channel *channel)
{
	if (channel->ended)
		return;
	if (channel->hung_up && !channel->end.reason)
		channel->end.reason = "closed its channel and did not exit";
	channel->killed = true;
	send_signal(channel, SIGKILL);
}

void channel_stop_task(struct channel *channel)
{
	int signal = channel->runtime->abilities.stop_signal;
	page_memory_wake(&channel->page);
	if (signal != 0 && !channel->ended)
		send_signal(channel, signal);
}

/* It did what no runtime may do. */
static void reject(struct channel *channel, const char *what)
{
	struct log_fields fields = about_channel(channel);
	/* Its end follows, and tells it. */
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_event(LOG_LEVEL_DEBUG, &fields, "pool %s: %s %ld %s; killing it", fields.pool,
			  channel->worker ? "worker" : "runtime", (long)fields.pid, what);
	if (!channel->end.reason)
		channel->end.reason = what;
	ev_io_stop(channel->server->loop, &channel->reader);
	channel->rejected = true;
	if (channel->worker)
		pool_kill_worker(channel->worker, channel->server->now_us);
	else
		channel_kill(channel);
	server_execute(channel->server);
}

/* Handles frames until there are no more. */
static void handle_frames(struct channel *channel)
{
	struct frame frame;
	int r;
	capture_drain(&channel->capture);
	while ((r = input_next(&channel->input, &frame)) == FRAME_DONE) {
		const char *problem = runtime_message(channel, &frame);
		server_execute(channel->server);
		if (problem) {
			reject(channel, problem);
			return;
		}
	}
	if (r != FRAME_MORE)
		reject(channel, r == FRAME_TOO_LARGE  ? "sent a message that is too large"
				: r == FRAME_TOO_DEEP ? "sent a message that nests too deep"
						      : "sent what is not MessagePack");
}

/* Reads once. False: nothing more will come. */
static bool receive(struct channel *channel, bool *ret_again)
{
	uint64_t before = channel->input.received;
	int r = input_receive(&channel->input, channel->fd, channel->server->scratch);
	server_busy(channel->server, channel->input.received - before);
	*ret_again = r == INPUT_BYTES;
	if (r == INPUT_BYTES)
		handle_frames(channel);
	return r == INPUT_BYTES || r == INPUT_BLOCKED;
}

/* Takes from the page what the dead worker had finished and not sent. */
static void salvage(struct channel *channel)
{
	struct page *page = channel->page.page;
	if (!page || channel->rejected)
		return;
	uint8_t *bytes = malloc(PAGE_OUTBOX_BYTES);
	size_t size = bytes ? salvage_outbox(page, channel->input.received, bytes) : 0;
	if (size > 0 &&
	    input_feed(&channel->input, bytes, size, channel->server->scratch) == INPUT_BYTES)
		handle_frames(channel);
	free(bytes);
}

/*
 * Everything that a dead process can still tell. Not before the prepare hook: its end may be told
 * by a message of another channel that lies in the scratch buffer.
 */
static void hear_out(struct channel *channel)
{
	bool again = channel->fd >= 0;
	for (int i = 0; i < HEAR_OUT_MAX && again && !channel->rejected; i++)
		receive(channel, &again);
	salvage(channel);
	capture_finish(&channel->capture);
}

void channel_end(struct channel *channel)
{
	if (channel->ended)
		return;
	channel->ended = true;
	ev_io_stop(channel->server->loop, &channel->reader);
	ev_io_stop(channel->server->loop, &channel->writer);
	ev_io_stop(channel->server->loop, &channel->exit_watcher);
	TAILQ_INSERT_TAIL(&channel->server->ended_channels, channel, in_ended);
}

static void destroy(struct channel *channel)
{
	struct server *server = channel->server;
	TAILQ_REMOVE(&server->ended_channels, channel, in_ended);
	TAILQ_REMOVE(&server->channels, channel, in_server);
	if (channel->dirty)
		TAILQ_REMOVE(&server->dirty_channels, channel, in_dirty);
	if (channel->checked)
		TAILQ_REMOVE(&server->checked_channels, channel, in_checked);
	cgroup_release(&server->cgroup, channel->leaf);
	outcome_fini(&channel->end.error);
	capture_fini(&channel->capture);
	output_fini(&channel->output);
	input_fini(&channel->input);
	page_memory_fini(&channel->page);
	process_fini(&channel->process);
	if (channel->fd >= 0)
		close(channel->fd);
	free(channel->reason);
	free(channel->complaint);
	free(channel);
	acceptors_descriptor_freed(server);
}

/* Whether that was not wanted, and it has not said itself why. */
static bool ended_silently(const struct channel *channel)
{
	return channel->end.error.value.size == 0 && !channel->transient && !channel->shut &&
	       !channel->server->stopping && !pool_needs_no_workers(channel->pool);
}

static void finish_worker(struct channel *channel)
{
	struct worker_end end = channel->end;
	char tail[TAIL_TEXT_SIZE];
	channel->end.error = (struct outcome){0};
	channel->worker->channel = NULL;
	end.transient = channel->transient;
	if (!end.reason)
		end.reason = channel->reason;
	end.stderr_tail = tail;
	worker_process_ended(channel, &end);
	tail_text(&channel->capture.tail, tail);
	report_worker_end(channel, &end);
	pool_worker_exited(channel->worker, end, channel->server->now_us);
}

static enum runtime_end runtime_end(const struct channel *channel)
{
	if (channel->transient)
		return RUNTIME_END_TRANSIENT;
	return channel->end.signal == SIGKILL && !channel->killed && ended_silently(channel)
		       ? RUNTIME_END_KILLED
		       : RUNTIME_END_FAILED;
}

/* Of a worker that dies with its spawner, whose end is told: what is lost with it. */
static void report_orphan(const struct channel *channel)
{
	char tail[TAIL_TEXT_SIZE];
	struct worker_end end = {
		.signal = SIGKILL, .reason = "the pool's spawner ended", .stderr_tail = tail};
	tail_text(&channel->capture.tail, tail);
	if (worker_newest(channel->worker).chunk)
		report_worker_end(channel, &end);
}

/* Its workers die with it: each is heard out, then the core forgets them all. */
static void orphan_workers(const struct channel *spawner)
{
	struct channel *channel;
	TAILQ_FOREACH (channel, &spawner->server->channels, in_server) {
		if (channel->runtime != spawner->runtime || !channel->worker)
			continue;
		channel_end(channel);
		hear_out(channel);
		channel->worker->channel = NULL;
		channel->orphaned = true;
	}
}

static void finish_runtime(struct channel *spawner)
{
	struct channel *channel, *next;
	struct channel_list *channels = &spawner->server->channels;
	orphan_workers(spawner);
	bool told_to = spawner->runtime->state == RUNTIME_STOPPING;
	bool silent = ended_silently(spawner) && !told_to;
	enum runtime_end how = runtime_end(spawner);
	struct outcome error = channel_explain_end(spawner);
	if (silent)
		report_runtime_end(spawner, &error);
	TAILQ_FOREACH (channel, channels, in_server)
		if (channel->orphaned)
			report_orphan(channel);
	spawner->runtime->channel = NULL;
	runtime_exited(spawner->runtime, error, how, spawner->server->now_us);
	for (channel = TAILQ_FIRST(channels); channel; channel = next) {
		next = TAILQ_NEXT(channel, in_server);
		if (channel->orphaned)
			destroy(channel);
	}
}

void channel_finish(struct channel *channel)
{
	struct server *server = channel->server;
	/* Its hello may be among it, and with that what it is. */
	hear_out(channel);
	if (channel->worker)
		finish_worker(channel);
	else
		finish_runtime(channel);
	destroy(channel);
	server_execute(server);
}

/* ---- the owner of a pool ---- */

void channel_heed_owner(struct server *server, const struct session *owner)
{
	struct channel *channel;
	TAILQ_FOREACH (channel, &server->channels, in_server) {
		if (channel->pool->owner != owner || channel->ended)
			continue;
		capture_watch(&channel->capture);
		if (channel->held && !capture_is_stuck(&channel->capture)) {
			channel->held = false;
			ev_io_start(server->loop, &channel->reader);
		}
	}
}

/* ---- watchers ---- */

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct channel *channel = container_of(watcher, struct channel, reader);
	bool again;
	(void)events;
	if (channel->worker && capture_is_stuck(&channel->capture)) {
		channel->held = true;
		ev_io_stop(loop, watcher);
		return;
	}
	if (receive(channel, &again))
		return;
	/* It closed its end; what counts is its exit, which must follow. */
	ev_io_stop(loop, watcher);
	channel->hung_up = true;
	if (channel->worker)
		pool_worker_leaves(channel->worker, channel->server->now_us);
	else
		runtime_leaves(channel->runtime, channel->server->now_us);
	server_execute(channel->server);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	channel_flush(container_of(watcher, struct channel, writer));
}

/* What it says is not heard before it is known who it is. */
static void take_pid(struct channel *channel)
{
	if (channel->pid != 0 || channel->process.pid == 0)
		return;
	channel->pid = channel->process.pid;
	channel->runtime->spec->uid = launch_uid(channel->process.launched);
	ev_io_start(channel->server->loop, &channel->reader);
}

void channel_heed_process(struct channel *channel)
{
	struct process_exit status;
	if (channel->ended)
		return;
	take_pid(channel);
	if (process_reap(&channel->process, &status) != PROCESS_ENDED)
		return;
	if (!channel->reason)
		process_exec_error(&channel->process, &channel->reason);
	channel->end.signal = status.signal;
	channel->end.exit_status = status.exit_status;
	channel->end.max_rss_bytes = status.max_rss_kib * 1024;
	channel_end(channel);
}

static void on_exited(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	channel_heed_process(container_of(watcher, struct channel, exit_watcher));
}

/* ---- beginning ---- */

struct channel *channel_create(struct server *server, struct runtime *runtime,
			       struct worker *worker)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	channel->server = server;
	channel->pool = runtime->pool;
	channel->runtime = runtime;
	channel->worker = worker;
	channel->fd = -1;
	channel->page.fd = -1;
	capture_init(&channel->capture, channel);
	process_init(&channel->process);
	const struct limits *limits = &server->core.limits;
	/* Two levels of envelope around a value. */
	input_init(&channel->input, limits->message_bytes + 1024,
		   (unsigned)limits->value_depth + 2);
	output_init(&channel->output);
	ev_init(&channel->reader, on_readable);
	ev_init(&channel->writer, on_writable);
	ev_init(&channel->exit_watcher, on_exited);
	TAILQ_INSERT_TAIL(&server->channels, channel, in_server);
	if (worker)
		worker->channel = channel;
	return channel;
}

void channel_watch(struct channel *channel, int fd)
{
	channel->fd = fd;
	ev_io_set(&channel->reader, fd, EV_READ);
	ev_io_set(&channel->writer, fd, EV_WRITE);
	ev_io_start(channel->server->loop, &channel->reader);
}
