/* SPDX-License-Identifier: MIT */
#include "io/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/container.h"
#include "core/pool.h"
#include "io/about.h"
#include "io/channel.h"
#include "io/log.h"
#include "io/peer.h"
#include "io/server.h"

/* What a pipe holds, unless its writer has asked for more. */
#define READ_BYTES 65536
/* Of so many bytes, until a pipe is empty: no pipe holds more. */
#define READS_MAX 16
/* How often a throttled worker's pipes are emptied. */
#define THROTTLED_SECONDS .005
/* How long a line may wait for its end. */
#define LINGER_SECONDS .25

/* ---- the log ---- */

/* "worker 2 (pid 4242, job 71001, stderr)", with what is known of it. */
static void describe_source(const struct channel *channel, uint64_t job_id, const char *what,
			    char *text, size_t size)
{
	pid_t pid = channel->worker ? channel->worker->pid : channel->pid;
	char who[32] = "runtime", process[32] = "", job[48] = "";
	if (channel->worker)
		snprintf(who, sizeof(who), "worker %u", channel->worker->number);
	if (pid > 0)
		snprintf(process, sizeof(process), "pid %ld, ", (long)pid);
	if (job_id > 0)
		snprintf(job, sizeof(job), "job %llu, ", (unsigned long long)job_id);
	snprintf(text, size, "%s (%s%s%s)", who, process, job, what);
}

/* A line, and which job runs now. */
struct logging {
	struct capture_stream *stream;
	uint64_t job_id;
};

static void log_text(void *data, const char *line, size_t size)
{
	struct logging *logging = data;
	struct capture_stream *stream = logging->stream;
	struct channel *channel = stream->capture->channel;
	char source[128];
	if (rate_limit_take(&stream->capture->limit, size, channel->server->now_us)) {
		struct log_fields fields = about_channel(channel);
		fields.stream = stream->name;
		fields.job = stream->job_id;
		describe_source(channel, stream->job_id, stream->name, source, sizeof(source));
		log_event(LOG_LEVEL_INFO, &fields, "pool %s: %s: %.*s", fields.pool, source,
			  (int)size, line);
	}
	stream->job_id = logging->job_id;
}

static void log_rest(struct capture_stream *stream)
{
	struct logging logging = {stream, 0};
	line_splitter_end(&stream->splitter, log_text, &logging);
}

static void log_dropped(struct capture *capture)
{
	char source[128];
	if (capture->limit.dropped == 0)
		return;
	struct log_fields fields = about_channel(capture->channel);
	describe_source(capture->channel, 0, "all that it says", source, sizeof(source));
	log_event(LOG_LEVEL_INFO, &fields,
		  "pool %s: %s: dropped %llu lines: more than %u lines or %u bytes in a second",
		  fields.pool, source, (unsigned long long)capture->limit.dropped, RATE_LINES_MAX,
		  RATE_BYTES_MAX);
	capture->limit.dropped = 0;
}

static uint64_t current_job(const struct channel *channel)
{
	const struct chunk *chunk = channel->worker ? worker_current(channel->worker) : NULL;
	return chunk ? chunk->job->id : 0;
}

static uint64_t count_lines(const uint8_t *bytes, size_t size)
{
	uint64_t count = 0;
	const uint8_t *end = bytes + size;
	while ((bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
		count++;
		bytes++;
	}
	return count;
}

static void log_bytes(struct capture_stream *stream, const uint8_t *bytes, size_t size)
{
	struct capture *capture = stream->capture;
	if (capture->throttled) {
		capture->limit.dropped += count_lines(bytes, size);
		return;
	}
	struct logging logging = {stream, current_job(capture->channel)};
	if (!line_splitter_has_rest(&stream->splitter))
		stream->job_id = logging.job_id;
	line_splitter_feed(&stream->splitter, bytes, size, log_text, &logging);
}

/* ---- the owner ---- */

/* Who gets what is written instead of the log; or NULL. */
static const struct session *owner_of(const struct capture *capture)
{
	return capture->channel->pool->owner;
}

/* NULL: it has gone, and its pool is about to. */
static struct peer *owners_peer(const struct capture *capture)
{
	const struct session *owner = owner_of(capture);
	return owner ? owner->peer : NULL;
}

static bool owner_is_blocked(const struct capture *capture)
{
	const struct peer *peer = owners_peer(capture);
	return peer && peer->blocked;
}

static void push_bytes(const struct capture_stream *stream, const uint8_t *bytes, size_t size)
{
	const struct channel *channel = stream->capture->channel;
	struct peer *peer = owners_peer(stream->capture);
	if (peer)
		peer_push_output(peer, channel->pool->spec->name,
				 channel->worker ? channel->worker->number : 0, stream->name, bytes,
				 size);
}

bool capture_is_stuck(const struct capture *capture)
{
	int size;
	if (!owner_is_blocked(capture))
		return false;
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++)
		if (capture->streams[i].fd >= 0 &&
		    ioctl(capture->streams[i].fd, FIONREAD, &size) == 0 && size > 0)
			return true;
	return false;
}

/* ---- reading ---- */

void capture_watch(struct capture *capture)
{
	struct ev_loop *loop = capture->channel->server->loop;
	bool wanted = !capture->throttled && !owner_is_blocked(capture);
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		struct capture_stream *stream = &capture->streams[i];
		if (stream->fd >= 0 && wanted)
			ev_io_start(loop, &stream->watcher);
		else
			ev_io_stop(loop, &stream->watcher);
	}
}

static void close_stream(struct capture_stream *stream)
{
	if (stream->fd < 0)
		return;
	ev_io_stop(stream->capture->channel->server->loop, &stream->watcher);
	close(stream->fd);
	stream->fd = -1;
	acceptors_descriptor_freed(stream->capture->channel->server);
}

/* Reads once. Whether there may be more. */
static bool read_stream(struct capture_stream *stream)
{
	struct capture *capture = stream->capture;
	uint8_t bytes[READ_BYTES];
	if (stream->fd < 0)
		return false;
	ssize_t n = read(stream->fd, bytes, sizeof(bytes));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		log_rest(stream);
		close_stream(stream);
	}
	if (n <= 0)
		return false;
	if (stream == &capture->streams[CAPTURE_ERROR])
		tail_add(&capture->tail, bytes, (size_t)n, capture->channel->server->turn);
	if (owner_of(capture))
		push_bytes(stream, bytes, (size_t)n);
	else
		log_bytes(stream, bytes, (size_t)n);
	return (size_t)n == sizeof(bytes);
}

static void set_timer(struct capture *capture, double seconds)
{
	struct ev_loop *loop = capture->channel->server->loop;
	ev_timer_stop(loop, &capture->timer);
	ev_timer_set(&capture->timer, seconds, 0.);
	ev_timer_start(loop, &capture->timer);
}

static bool has_rest(const struct capture *capture)
{
	return line_splitter_has_rest(&capture->streams[CAPTURE_OUTPUT].splitter) ||
	       line_splitter_has_rest(&capture->streams[CAPTURE_ERROR].splitter);
}

/* After something was read: whether to go on so, and when to look again. */
static void settle(struct capture *capture)
{
	uint64_t now_us = capture->channel->server->now_us;
	bool throttled = rate_limit_is_over(&capture->limit, now_us);
	if (throttled && !capture->throttled)
		for (int i = 0; i < CAPTURE_STREAM_COUNT; i++)
			line_splitter_fini(&capture->streams[i].splitter);
	if (!throttled)
		log_dropped(capture);
	capture->throttled = throttled;
	capture_watch(capture);
	if (throttled)
		set_timer(capture, THROTTLED_SECONDS);
	else if (!has_rest(capture))
		ev_timer_stop(capture->channel->server->loop, &capture->timer);
	else if (!ev_is_active(&capture->timer))
		set_timer(capture, LINGER_SECONDS);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct capture *capture = container_of(watcher, struct capture_stream, watcher)->capture;
	(void)events;
	/* Of what comes together, output first: it is the usual order. */
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		ev_clear_pending(loop, &capture->streams[i].watcher);
		read_stream(&capture->streams[i]);
	}
	settle(capture);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct capture *capture = container_of(timer, struct capture, timer);
	(void)loop, (void)events;
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		if (capture->throttled && !owner_is_blocked(capture))
			read_stream(&capture->streams[i]);
		else if (!capture->throttled)
			log_rest(&capture->streams[i]);
	}
	settle(capture);
}

/* As much as any pipe holds, and an end to what is written meanwhile. */
static void read_all(struct capture_stream *stream)
{
	int reads = 0;
	while (read_stream(stream) && ++reads < READS_MAX)
		;
}

void capture_drain(struct capture *capture)
{
	/* Of a worker nothing is received while that is so: its answers come after what it printed.
	 */
	bool held_back = owner_is_blocked(capture) && !capture->channel->worker;
	if (!owner_of(capture) || held_back)
		return;
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++)
		read_all(&capture->streams[i]);
}

bool capture_admits(struct capture *capture, size_t bytes)
{
	if (rate_limit_take(&capture->limit, bytes, capture->channel->server->now_us))
		return true;
	if (!capture->throttled)
		settle(capture);
	return false;
}

/* ---- tasks ---- */

void capture_answered(struct capture *capture)
{
	if (!tail_is_empty(&capture->tail))
		tail_answered(&capture->tail, capture->channel->server->turn);
}

void capture_begins(struct capture *capture)
{
	tail_clear(&capture->tail);
}

/* ---- life ---- */

void capture_init(struct capture *capture, struct channel *channel)
{
	static const char *const names[CAPTURE_STREAM_COUNT] = {"stdout", "stderr"};
	capture->channel = channel;
	ev_init(&capture->timer, on_timer);
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		struct capture_stream *stream = &capture->streams[i];
		stream->capture = capture;
		stream->name = names[i];
		stream->fd = -1;
		ev_init(&stream->watcher, on_readable);
		ev_set_priority(&stream->watcher, CAPTURE_PRIORITY);
	}
}

/* A pipe whose reading end does not block. */
static int open_stream(struct capture_stream *stream, int *ret_writer)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Programs open /dev/stderr, which is this pipe: another user's must be allowed to. */
	bool shared = stream->capture->channel->server->launch_watch.launch != NULL;
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 || (shared && fchmod(fds[1], 0666) < 0)) {
		int error = errno;
		close(fds[0]);
		close(fds[1]);
		return -error;
	}
	stream->fd = fds[0];
	ev_io_set(&stream->watcher, fds[0], EV_READ);
	*ret_writer = fds[1];
	return 0;
}

int capture_open(struct capture *capture, int ret_outputs[CAPTURE_STREAM_COUNT])
{
	int writers[CAPTURE_STREAM_COUNT];
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		int r = open_stream(&capture->streams[i], &writers[i]);
		if (r < 0) {
			while (i-- > 0)
				close(writers[i]);
			capture_fini(capture);
			return r;
		}
	}
	memcpy(ret_outputs, writers, sizeof(writers));
	capture_watch(capture);
	return 0;
}

void capture_finish(struct capture *capture)
{
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		struct capture_stream *stream = &capture->streams[i];
		read_all(stream);
		log_rest(stream);
		close_stream(stream);
	}
	log_dropped(capture);
	ev_timer_stop(capture->channel->server->loop, &capture->timer);
}

void capture_fini(struct capture *capture)
{
	ev_timer_stop(capture->channel->server->loop, &capture->timer);
	for (int i = 0; i < CAPTURE_STREAM_COUNT; i++) {
		close_stream(&capture->streams[i]);
		line_splitter_fini(&capture->streams[i].splitter);
	}
	tail_fini(&capture->tail);
}
