/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: its bytes in both directions, and what it is allowed to leave unread.
 *
 * A peer with too much unsent output is blocked: neither read nor served until it has read. One
 * that has ended is only marked; the server frees it in its prepare hook.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "core/session.h"
#include "io/input.h"
#include "io/output.h"
#include "proto/reply.h"

struct action;
struct server;

struct peer {
	struct server *server;
	struct session *session;
	int fd;
	ev_io reader;
	ev_io writer;
	ev_timer frame_timer; /* a message begun must end by then */
	ev_timer stall_timer; /* output must have moved by then */
	struct input input;
	struct output output;
	uint64_t frame_number;   /* input.ended when frame_timer was started */
	uint64_t stall_total;    /* output.total when stall_timer was started */
	uint64_t charged_output; /* to the session's account */
	uint64_t charged_input;  /* likewise, of a message that has not ended: as queued bytes */
	enum error_form error_form;
	bool dirty;
	bool blocked;
	bool ended;
	bool eager;    /* has more to be handled, in the next turn */
	bool farewell; /* ends when its output is sent */

	TAILQ_ENTRY(peer) in_server;
	TAILQ_ENTRY(peer) in_dirty;
	TAILQ_ENTRY(peer) in_blocked;
	TAILQ_ENTRY(peer) in_eager;
	TAILQ_ENTRY(peer) in_ended;
};

/* Serves a connection (taken over, whatever happens), or says why it is not served. */
void peer_accept(struct server *server, int fd);

/* Ends the session and frees it. */
void peer_destroy(struct peer *peer);

/* Ends it: in the next prepare hook, unsent output is dropped. */
void peer_end(struct peer *peer);

/* Where messages are built (output_writer). Followed by peer_written(). */
struct procpool_writer *peer_writer(struct peer *peer);
/* Appends a value to the message being built; a large one in a blob is not copied. */
void peer_append(struct peer *peer, struct span value);
/* A message is complete. */
void peer_written(struct peer *peer);

/* Replies and pushes that the core wants sent. */
void peer_execute(struct peer *peer, const struct action *action);

/* What a process of a pool of its own has printed; worker 0: the runtime's first process. */
void peer_push_output(struct peer *peer, const char *pool, unsigned worker, const char *stream,
		      const void *data, size_t size);

/* Sends what it can. */
void peer_flush(struct peer *peer);

/* Whether its user has time left in this turn. */
bool peer_may_go_on(const struct peer *peer);

/* Handles more of what an eager peer has sent. */
void peer_go_on(struct peer *peer);

/* Serves a blocked peer again if its output has become small enough. */
void peer_check_blocked(struct peer *peer);
