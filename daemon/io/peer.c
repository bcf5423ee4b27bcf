/* SPDX-License-Identifier: MIT */
#include "io/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/core.h"
#include "io/about.h"
#include "io/admission.h"
#include "io/channel.h"
#include "io/log.h"
#include "io/requests.h"
#include "io/server.h"
#include "proto/request.h"

/* How long the requests of one user, by whatever many connections, are handled before it is others'
 * turn. */
#define TURN_US 2000

static void log_peer(const struct peer *peer, enum log_level level, const char *what)
{
	struct log_fields fields = about_session(peer->session);
	if (log_enabled(level))
		log_event(level, &fields, "session %llu of user %u: %s",
			  (unsigned long long)fields.session, (unsigned)fields.uid, what);
}

/* ---- output ---- */

struct procpool_writer *peer_writer(struct peer *peer)
{
	return output_writer(&peer->output);
}

void peer_append(struct peer *peer, struct span value)
{
	if (value.blob && value.size > OUTPUT_COPY_MAX)
		output_append_blob(&peer->output, value.blob,
				   (size_t)(value.data - value.blob->data), value.size);
	else
		output_append(&peer->output, value.data, value.size);
}

static uint64_t output_limit(const struct peer *peer)
{
	return peer->server->core.limits.output_bytes_session;
}

/* Brings the account up to date with what is unsent, and with it what the peer may do. */
static void account_output(struct peer *peer)
{
	struct account *account = &peer->session->account;
	uint64_t size = output_size(&peer->output);
	if (size > peer->charged_output)
		account_force(account, RESOURCE_OUTPUT_BYTES, size - peer->charged_output);
	else
		account_release(account, RESOURCE_OUTPUT_BYTES, peer->charged_output - size);
	peer->charged_output = size;
	peer->session->lossy = size > output_limit(peer) / 2;
}

static void block(struct peer *peer)
{
	if (peer->blocked)
		return;
	peer->blocked = true;
	TAILQ_INSERT_TAIL(&peer->server->blocked_peers, peer, in_blocked);
	core_session_block(&peer->server->core, peer->session, true);
	channel_heed_owner(peer->server, peer->session);
	ev_io_stop(peer->server->loop, &peer->reader);
	/* Nothing is read, so nothing can come in time. */
	ev_timer_stop(peer->server->loop, &peer->frame_timer);
}

void peer_written(struct peer *peer)
{
	if (!peer->dirty) {
		peer->dirty = true;
		TAILQ_INSERT_TAIL(&peer->server->dirty_peers, peer, in_dirty);
	}
	account_output(peer);
	if (account_exceeded(&peer->session->account, RESOURCE_OUTPUT_BYTES))
		block(peer);
}

static void watch_stall(struct peer *peer)
{
	struct server *server = peer->server;
	if (output_size(&peer->output) == 0) {
		ev_timer_stop(server->loop, &peer->stall_timer);
	} else if (!ev_is_active(&peer->stall_timer)) {
		peer->stall_total = peer->output.total;
		ev_timer_set(&peer->stall_timer, (double)server->core.limits.stall_seconds, 0.);
		ev_timer_start(server->loop, &peer->stall_timer);
	}
}

void peer_flush(struct peer *peer)
{
	if (peer->ended)
		return;
	int r = output_flush(&peer->output, peer->fd, OUTPUT_BUDGET);
	account_output(peer);
	if (r == -ENOMEM)
		log_peer(peer, LOG_LEVEL_WARNING, "no memory for its answers; closing it");
	if (r < 0 || (r == OUTPUT_EMPTY && peer->farewell)) {
		peer_end(peer);
		return;
	}
	if (r == OUTPUT_EMPTY)
		ev_io_stop(peer->server->loop, &peer->writer);
	else
		ev_io_start(peer->server->loop, &peer->writer);
	watch_stall(peer);
}

static void write_error(struct peer *peer, const struct action *action)
{
	reply_error_value(peer_writer(peer), action->msgid, peer->error_form,
			  span_value(action->outcome.value));
}

static void write_result_push(struct peer *peer, const struct action *action)
{
	struct procpool_writer *w = peer_writer(peer);
	push_begin(w, "result", 4);
	procpool_write_uint(w, action->job_id);
	if (action->outcome.code == ERR_NONE) {
		procpool_write_nil(w);
		peer_append(peer, action->outcome.value);
	} else {
		error_write(w, peer->error_form, span_value(action->outcome.value));
		procpool_write_nil(w);
	}
	procpool_write_map(w, 4);
	procpool_write_string(w, "pool");
	procpool_write_string(w, action->function->pool->spec->name);
	procpool_write_string(w, "function");
	procpool_write_string_n(w, action->function->name, action->function->name_size);
	procpool_write_string(w, "waited");
	procpool_write_double(w, (double)action->waited_us / 1e6);
	procpool_write_string(w, "ran");
	procpool_write_double(w, (double)action->ran_us / 1e6);
}

void peer_execute(struct peer *peer, const struct action *action)
{
	struct procpool_writer *w = peer_writer(peer);
	/* Nothing comes after the error with which a connection closes. */
	if (peer->ended || peer->farewell)
		return;
	switch (action->type) {
	case ACTION_REPLY:
		if (action->outcome.code == ERR_NONE) {
			reply_begin_result(w, action->msgid);
			peer_append(peer, action->outcome.value);
		} else {
			write_error(peer, action);
		}
		break;
	case ACTION_PUSH_RESULT:
		write_result_push(peer, action);
		break;
	case ACTION_PUSH_ITEMS:
		push_begin(w, "items", 3);
		procpool_write_uint(w, action->job_id);
		procpool_write_uint(w, action->first);
		peer_append(peer, action->outcome.value);
		break;
	case ACTION_PUSH_VALUES:
		push_begin(w, "values", 3);
		procpool_write_uint(w, action->job_id);
		procpool_write_uint(w, action->first);
		procpool_write_array(w, action->count);
		peer_append(peer, action->outcome.value);
		break;
	default:
		push_begin(w, "event", 1);
		peer_append(peer, action->outcome.value);
		break;
	}
	peer_written(peer);
}

void peer_push_output(struct peer *peer, const char *pool, unsigned worker, const char *stream,
		      const void *data, size_t size)
{
	struct procpool_writer *w = peer_writer(peer);
	if (peer->ended || peer->farewell)
		return;
	push_begin(w, "output", 4);
	procpool_write_string(w, pool);
	procpool_write_uint(w, worker);
	procpool_write_string(w, stream);
	procpool_write_bytes(w, data, size);
	peer_written(peer);
}

/* ---- input ---- */

/* The stream cannot be followed any more: say why, then close. */
static void reject_stream(struct peer *peer, enum error_code code, const char *message)
{
	struct procpool_writer *w = peer_writer(peer);
	struct log_fields fields = about_session(peer->session);
	log_event(LOG_LEVEL_INFO, &fields, "session %llu of user %u: %s; closing it",
		  (unsigned long long)fields.session, (unsigned)fields.uid, message);
	push_begin(w, "error", 1);
	if (peer->error_form == ERROR_FORM_TEXT) {
		struct procpool_writer map;
		procpool_writer_init(&map);
		error_begin(&map, code, message, 0);
		error_write(w, peer->error_form, procpool_writer_value(&map));
		procpool_writer_fini(&map);
	} else {
		error_begin(w, code, message, 0);
	}
	ev_io_stop(peer->server->loop, &peer->reader);
	ev_timer_stop(peer->server->loop, &peer->frame_timer);
	peer->farewell = true;
	peer_written(peer);
}

static void reply_bad(struct peer *peer, uint32_t msgid, enum error_code code, const char *message)
{
	reply_error(peer_writer(peer), msgid, peer->error_form, code, message);
	peer_written(peer);
}

static void handle_frame(struct peer *peer, const struct frame *frame)
{
	struct request request;
	switch (request_decode(frame->data, frame->size, &request)) {
	case REQUEST_CALL:
		requests_handle(peer, &request, frame->blob);
		break;
	case REQUEST_NOTIFICATION:
		peer->server->notifications++;
		break;
	case REQUEST_BAD:
		reply_bad(peer, request.msgid, ERR_BAD_REQUEST, request.problem.text);
		break;
	case REQUEST_RESPONSE:
		reject_stream(peer, ERR_BAD_REQUEST, "a client sends no responses");
		break;
	case REQUEST_VIOLATION:
		reject_stream(peer, ERR_BAD_REQUEST, request.problem.text);
		break;
	}
}

static struct outcome too_large(void)
{
	return error_outcome(ERR_TOO_LARGE, "the message is larger than message_bytes: pass less, "
					    "or a path instead of contents");
}

static struct outcome no_room(const char *limit)
{
	struct error_builder b;
	error_builder_begin(&b, ERR_BUSY,
			    "the limit %s is reached: try again when some jobs have ended", limit);
	error_builder_add_string(&b, "limit", limit);
	return error_builder_end(&b);
}

/* Why the rest of the message that begins so is skipped (error taken over), unless the stream is at
 * its end. */
static void handle_skipped(struct peer *peer, const struct frame *frame, struct outcome error)
{
	struct request request;
	switch (request_begin(frame->data, frame->size, &request)) {
	case REQUEST_CALL:
		reply_error_value(peer_writer(peer), request.msgid, peer->error_form,
				  span_value(error.value));
		peer_written(peer);
		break;
	case REQUEST_NOTIFICATION:
		peer->server->notifications++;
		break;
	case REQUEST_RESPONSE:
		reject_stream(peer, ERR_BAD_REQUEST, "a client sends no responses");
		break;
	default:
		reject_stream(peer, ERR_BAD_REQUEST, request.problem.text);
		break;
	}
	outcome_fini(&error);
}

static void release_input(struct peer *peer)
{
	account_release(&peer->session->account, RESOURCE_QUEUED_BYTES, peer->charged_input);
	peer->charged_input = 0;
}

/* A message that has begun takes memory as the job does that it may become. */
static void account_input(struct peer *peer)
{
	struct frame frame;
	uint64_t held = input_held(&peer->input);
	if (held == peer->charged_input)
		return;
	release_input(peer);
	const char *limit = account_charge(&peer->session->account, RESOURCE_QUEUED_BYTES, held);
	if (!limit) {
		peer->charged_input = held;
		return;
	}
	input_skip(&peer->input, &frame);
	handle_skipped(peer, &frame, no_room(limit));
}

/* ---- turns ---- */

/* What is left of its user's time in this turn. */
static uint64_t time_left(const struct peer *peer)
{
	const struct user *user = peer->session->user;
	if (user->turn != peer->server->turn)
		return TURN_US;
	return user->spent_us < TURN_US ? TURN_US - user->spent_us : 0;
}

static void spend(struct peer *peer, uint64_t us)
{
	struct user *user = peer->session->user;
	if (user->turn != peer->server->turn)
		user->spent_us = 0;
	user->turn = peer->server->turn;
	user->spent_us += us;
}

static void await_turn(struct peer *peer)
{
	struct server *server = peer->server;
	if (peer->eager)
		return;
	peer->eager = true;
	TAILQ_INSERT_TAIL(&server->eager_peers, peer, in_eager);
	ev_idle_start(server->loop, &server->go_on);
}

/* The rest of what was received waits for a next turn, so that nobody waits for all of it. */
static int yield(struct peer *peer)
{
	await_turn(peer);
	ev_io_stop(peer->server->loop, &peer->reader);
	return input_pause(&peer->input) < 0 ? -ENOMEM : FRAME_MORE;
}

/* Splits what was received. Returns the last status of the input. */
static int handle_frames(struct peer *peer, uint64_t end_us)
{
	struct frame frame;
	int r;
	for (;;) {
		r = input_next(&peer->input, &frame);
		if (r != FRAME_MORE)
			release_input(peer);
		if (r == FRAME_DONE)
			handle_frame(peer, &frame);
		else if (r == FRAME_TOO_LARGE)
			handle_skipped(peer, &frame, too_large());
		else
			return r;
		server_execute(peer->server);
		if (peer->ended || peer->farewell)
			return FRAME_MORE;
		if (peer->blocked)
			return input_pause(&peer->input) < 0 ? -ENOMEM : FRAME_MORE;
		if (server_clock_us() >= end_us)
			return yield(peer);
	}
}

static void watch_frame(struct peer *peer)
{
	struct server *server = peer->server;
	if (!input_in_frame(&peer->input)) {
		ev_timer_stop(server->loop, &peer->frame_timer);
	} else if (!ev_is_active(&peer->frame_timer) || peer->frame_number != peer->input.ended) {
		peer->frame_number = peer->input.ended;
		ev_timer_stop(server->loop, &peer->frame_timer);
		ev_timer_set(&peer->frame_timer, (double)server->core.limits.frame_seconds, 0.);
		ev_timer_start(server->loop, &peer->frame_timer);
	}
}

static void receive_until(struct peer *peer, uint64_t end_us)
{
	static const char no_memory[] =
		"the daemon has no memory for a message of this size: send less at a time";
	uint64_t before = peer->input.received;
	int r = input_receive(&peer->input, peer->fd, peer->server->scratch);
	server_busy(peer->server, peer->input.received - before);
	if (r == INPUT_BLOCKED)
		return;
	if (r != INPUT_BYTES) {
		/* What was answered in this turn is still sent, if the client reads. */
		if (r == INPUT_EOF)
			peer_flush(peer);
		if (r == -ENOMEM)
			reject_stream(peer, ERR_OUT_OF_MEMORY, no_memory);
		else
			peer_end(peer);
		return;
	}
	switch (handle_frames(peer, end_us)) {
	case FRAME_MORE:
		account_input(peer);
		break;
	case FRAME_INVALID:
		reject_stream(peer, ERR_BAD_REQUEST, "the byte 0xc1 is not MessagePack");
		return;
	case FRAME_TOO_DEEP:
		reject_stream(peer, ERR_BAD_REQUEST, "a message nests deeper than 32 levels");
		return;
	default:
		reject_stream(peer, ERR_OUT_OF_MEMORY, no_memory);
		return;
	}
	if (!peer->ended && !peer->blocked && !peer->farewell)
		watch_frame(peer);
}

static void receive(struct peer *peer)
{
	uint64_t begin_us = server_clock_us();
	receive_until(peer, begin_us + time_left(peer));
	spend(peer, server_clock_us() - begin_us);
}

/* Now, or when it is its user's turn again. */
static void receive_in_turn(struct peer *peer)
{
	if (time_left(peer) > 0)
		receive(peer);
	else
		await_turn(peer);
}

static void leave_eager(struct peer *peer)
{
	if (!peer->eager)
		return;
	peer->eager = false;
	TAILQ_REMOVE(&peer->server->eager_peers, peer, in_eager);
}

void peer_go_on(struct peer *peer)
{
	leave_eager(peer);
	if (peer->ended || peer->farewell || peer->blocked)
		return;
	ev_io_start(peer->server->loop, &peer->reader);
	receive(peer);
}

bool peer_may_go_on(const struct peer *peer)
{
	return time_left(peer) > 0;
}

void peer_check_blocked(struct peer *peer)
{
	if (output_size(&peer->output) > output_limit(peer) / 2 ||
	    account_exceeded(&peer->session->account, RESOURCE_OUTPUT_BYTES))
		return;
	peer->blocked = false;
	TAILQ_REMOVE(&peer->server->blocked_peers, peer, in_blocked);
	core_session_block(&peer->server->core, peer->session, false);
	channel_heed_owner(peer->server, peer->session);
	if (peer->farewell || peer->ended)
		return;
	ev_io_start(peer->server->loop, &peer->reader);
	if (!input_paused(&peer->input))
		watch_frame(peer);
	else
		receive_in_turn(peer);
}

/* ---- watchers ---- */

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct peer *peer = container_of(watcher, struct peer, reader);
	(void)loop, (void)events;
	if (!peer->eager) /* else in its order with the user's others */
		receive_in_turn(peer);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	peer_flush(container_of(watcher, struct peer, writer));
}

static void on_frame_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	reject_stream(container_of(timer, struct peer, frame_timer), ERR_BAD_REQUEST,
		      "a message did not end within frame_seconds");
}

static void on_stall_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct peer *peer = container_of(timer, struct peer, stall_timer);
	(void)loop, (void)events;
	if (peer->output.total != peer->stall_total) {
		watch_stall(peer);
		return;
	}
	log_peer(peer, LOG_LEVEL_INFO, "it has not read for stall_seconds; closing it");
	peer_end(peer);
}

/* ---- life ---- */

void peer_accept(struct server *server, int fd)
{
	struct identity identity;
	const char *limit = NULL;
	if (admission_identify(fd, &identity) < 0) {
		admission_refuse_busy(fd, NULL);
		return;
	}
	if (!core_admits(&server->core, &identity)) {
		denials_note(&server->denials, identity.uid, server->now_us);
		identity_fini(&identity);
		admission_refuse_denied(fd);
		return;
	}
	struct peer *peer = calloc(1, sizeof(*peer));
	struct session *session =
		peer ? core_session_open(&server->core, &identity, peer, &limit) : NULL;
	if (!session) {
		identity_fini(&identity);
		free(peer);
		admission_refuse_busy(fd, limit);
		return;
	}
	peer->server = server;
	peer->session = session;
	peer->fd = fd;
	input_init(&peer->input, server->core.limits.message_bytes, FRAME_DEPTH_MAX);
	output_init(&peer->output);
	ev_io_init(&peer->reader, on_readable, fd, EV_READ);
	ev_io_init(&peer->writer, on_writable, fd, EV_WRITE);
	ev_init(&peer->frame_timer, on_frame_timeout);
	ev_init(&peer->stall_timer, on_stall_timeout);
	ev_io_start(server->loop, &peer->reader);
	TAILQ_INSERT_TAIL(&server->peers, peer, in_server);
	log_peer(peer, LOG_LEVEL_DEBUG, "begins");
}

void peer_end(struct peer *peer)
{
	struct server *server = peer->server;
	if (peer->ended)
		return;
	peer->ended = true;
	ev_io_stop(server->loop, &peer->reader);
	ev_io_stop(server->loop, &peer->writer);
	ev_timer_stop(server->loop, &peer->frame_timer);
	ev_timer_stop(server->loop, &peer->stall_timer);
	TAILQ_INSERT_TAIL(&server->ended_peers, peer, in_ended);
}

void peer_destroy(struct peer *peer)
{
	struct server *server = peer->server;
	peer_end(peer);
	TAILQ_REMOVE(&server->ended_peers, peer, in_ended);
	TAILQ_REMOVE(&server->peers, peer, in_server);
	if (peer->dirty)
		TAILQ_REMOVE(&server->dirty_peers, peer, in_dirty);
	if (peer->blocked) {
		TAILQ_REMOVE(&server->blocked_peers, peer, in_blocked);
		peer->blocked = false;
		channel_heed_owner(server, peer->session);
	}
	leave_eager(peer);
	log_peer(peer, LOG_LEVEL_DEBUG, "ends");
	account_release(&peer->session->account, RESOURCE_OUTPUT_BYTES, peer->charged_output);
	release_input(peer);
	core_session_close(&server->core, peer->session, server->now_us);
	output_fini(&peer->output);
	input_fini(&peer->input);
	close(peer->fd);
	free(peer);
	acceptors_descriptor_freed(server);
}
