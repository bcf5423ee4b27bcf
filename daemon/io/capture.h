/* SPDX-License-Identifier: MIT */
/*
 * What a runtime process writes to its standard output and error: the reading ends of two pipes.
 *
 * It goes to the log by lines, each with the pool, the worker and the job that ran when it was
 * read. A worker that writes more than rate_limit.h allows is read slowly for the rest of the
 * second, and what it says is dropped and counted: its pipe throttles it, and it delays nobody.
 *
 * Of a pool that a session has opened, it goes to the session instead, as it came and without loss:
 * before the message of the channel that was written after it. While the session is blocked,
 * because it does not read, neither are the pipes, nor a channel that has something in its pipes.
 *
 * The end of standard error is kept, for the error of a task that is lost with its worker. Order is
 * kept within a stream, not between the two. Part of a channel.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/line_splitter.h"
#include "io/rate_limit.h"
#include "io/tail.h"

struct channel;

/* Of its watchers: what was written before the message of a channel is read before it, where both
 * come in one turn. */
#define CAPTURE_PRIORITY 1

enum {
	CAPTURE_OUTPUT,
	CAPTURE_ERROR,
	CAPTURE_STREAM_COUNT,
};

struct capture_stream {
	struct capture *capture;
	const char *name;
	int fd; /* non-blocking; owned; -1: none, or it has ended */
	ev_io watcher;
	struct line_splitter splitter;
	uint64_t job_id; /* that ran when the line begun in the splitter was; 0: none */
};

struct capture {
	struct channel *channel;
	struct capture_stream streams[CAPTURE_STREAM_COUNT];
	bool throttled; /* read by the timer, and dropped */
	ev_timer timer; /* else: when a line without an end is logged all the same */
	struct rate_limit limit;
	struct tail tail; /* of standard error */
};

/* Without pipes. */
void capture_init(struct capture *capture, struct channel *channel);

/* Makes the pipes and watches them; the writing ends are the caller's. 0 or a negative errno. */
int capture_open(struct capture *capture, int ret_outputs[CAPTURE_STREAM_COUNT]);

/* Whether the process may log so many bytes more by a message of its channel: it counts as what it
 * prints does. */
bool capture_admits(struct capture *capture, size_t bytes);

/* Before messages of the channel are handled: what was written before them goes to the owner. */
void capture_drain(struct capture *capture);

/* Whether there is something that the owner, who is blocked, cannot be sent now. */
bool capture_is_stuck(const struct capture *capture);

/* Watches the pipes, or does not, when the owner is no longer blocked, or is. */
void capture_watch(struct capture *capture);

/* The process has ended: reads what it left and closes the pipes, whoever else may hold them. */
void capture_finish(struct capture *capture);

/* Closes the pipes; drops what was not logged. */
void capture_fini(struct capture *capture);

/* The channel's worker has answered a task; it was sent one while it had none. */
void capture_answered(struct capture *capture);
void capture_begins(struct capture *capture);
