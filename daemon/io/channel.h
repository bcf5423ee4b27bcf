/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of a socket to a runtime process (WORKER.md), and the process itself where the
 * daemon started it: a spawner, a worker forked by it, or a worker that is a process of its
 * own.
 *
 * All that comes from a worker is hostile: what does not fit ends it. Its end is final when its
 * exit is known, by the spawner's report or the process's own; what it had sent until then is read
 * first, then what it had finished but not sent is taken from the page.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "core/pool.h"
#include "io/capture.h"
#include "io/input.h"
#include "io/output.h"
#include "io/page_memory.h"
#include "io/process.h"

struct chunk;
struct server;
struct session;

struct channel {
	struct server *server;
	struct pool *pool;
	struct runtime *runtime;
	struct worker *
		worker; /* NULL: the runtime's spawner, or a process that has not said what it is */
	int fd;         /* -1: it could not be started */
	ev_io reader;
	ev_io writer;
	struct input input;
	struct output output;
	struct page_memory page;
	struct capture capture;
	struct process process;   /* of those that the daemon started */
	pid_t pid;                /* likewise, also when it was reaped; 0: not known yet */
	struct cgroup_leaf *leaf; /* a worker's own; owned; NULL: none */
	ev_io exit_watcher;
	bool greeted;  /* it has said hello */
	bool pipes;    /* a spawner: its workers are given standard output and error */
	bool loaded;   /* a worker: it has said ready */
	bool hung_up;  /* it has ended its side of the channel */
	bool shut;     /* it gets end of file when its output is sent */
	bool killed;   /* by the daemon */
	bool rejected; /* it broke the protocol, and is not listened to */
	bool held;     /* not read, because its pool's owner does not read what it has printed */
	bool orphaned; /* its worker was forgotten with the spawner */
	bool dirty;
	bool ended;     /* its end is known; to be told to the core and freed */
	bool transient; /* it could not be started for want of resources */
	bool checked;   /* it is in the server's list of those to be looked at */
	struct worker_end end;
	char *reason;    /* why it could not be started, for people; owned */
	char *complaint; /* what of its hello cannot be accepted, to follow its name; owned */

	TAILQ_ENTRY(channel) in_server;
	TAILQ_ENTRY(channel) in_dirty;
	TAILQ_ENTRY(channel) in_checked;
	TAILQ_ENTRY(channel) in_ended;
};

/* Whether it is a process that the daemon started, also when that has ended: not forked by a
 * spawner. */
static inline bool channel_is_own_process(const struct channel *channel)
{
	return channel->process.started;
}

/* Starts a runtime's first process, or a worker. Failures are told to the core in the next prepare
 * hook. */
void channel_start_runtime(struct server *server, struct runtime *runtime);
void channel_start_worker(struct server *server, struct worker *worker);

/* For these: a channel without an end, NULL without memory; and the daemon's end of its socket,
 * which it takes over. */
struct channel *channel_create(struct server *server, struct runtime *runtime,
			       struct worker *worker);
void channel_watch(struct channel *channel, int fd);

/* End of file for the other side. */
void channel_shut(struct channel *channel);
void channel_kill(struct channel *channel);

/* What it runs was asked to stop in its page: wakes it, and sends the signal that it wants. */
void channel_stop_task(struct channel *channel);

/* Sends a task message: its items go on as they came. */
void channel_send_task(struct channel *channel, const struct chunk *chunk);

/* Its process has ended, or has a pid only now. */
void channel_heed_process(struct channel *channel);

/* Something was appended to its output. */
void channel_mark_dirty(struct channel *channel);
void channel_flush(struct channel *channel);

/* The session is blocked, because it does not read, or no longer: what the workers of its own pools
 * print waits until it is not. */
void channel_heed_owner(struct server *server, const struct session *owner);

/* Its end is known, and stands in channel->end: channel_finish() follows in the prepare hook. */
void channel_end(struct channel *channel);

/* Why a pool's runtime has ended, takes what it said of that; held. */
struct outcome channel_explain_end(struct channel *channel);

/* Its hello names another version of the protocol: what is to be said of that. */
const char *channel_refuse_protocol(struct channel *channel, struct procpool_value hello);

/* In the prepare hook: hears it out, tells the core of the end, and frees it. */
void channel_finish(struct channel *channel);
