/* SPDX-License-Identifier: MIT */
/*
 * The daemon as a whole: the loop, the core, and all that they are connected to.
 *
 * One turn of the loop: callbacks read and tell the core what happened, executing its actions at
 * once; before the loop sleeps again, the prepare hook frees what has ended, lets the core hand out
 * work, and flushes every output that has something, once. Peers and channels are freed there and
 * nowhere else.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "core/core.h"
#include "io/acceptor.h"
#include "io/admission.h"
#include "io/cgroup.h"
#include "io/config.h"
#include "io/input.h"
#include "io/launch_watch.h"
#include "io/notify.h"

struct channel;
struct creator;
struct peer;

TAILQ_HEAD(peer_list, peer);
TAILQ_HEAD(channel_list, channel);

struct server {
	struct ev_loop *loop;
	const struct config_source *source; /* what the configuration is read from; borrowed */
	struct config *config;              /* the caller's, whose contents io/reload.c replaces */
	struct core core;
	rlim_t runtime_descriptors; /* soft limit of runtimes; 0: the daemon's own */
	char *native_runtime[2];    /* argv; owned */
	char *socket_variable;      /* of runtimes: PROCPOOL_SOCKET=...; owned; or NULL */
	unsigned cpus;              /* that the daemon may use */
	struct cgroup cgroup;
	bool limits_memory; /* it was looked for a cgroup */
	struct launch_watch launch_watch;
	struct notify notify;
	struct input_scratch *scratch;
	uint64_t now_us; /* of this turn, monotonic */
	uint64_t turn;   /* its number */
	uint64_t started_us;
	uint64_t notifications; /* received from clients, and ignored */
	struct denials denials;

	struct acceptor acceptors[LISTENER_PASSED_MAX];
	size_t acceptor_count;
	ev_timer open_timer; /* when it is not waited for pools any longer */
	bool ready;          /* every pool has settled */
	bool open;           /* connections are accepted */
	bool starved;        /* they are not, for want of descriptors */

	struct peer_list peers;
	struct peer_list dirty_peers;
	struct peer_list blocked_peers;
	struct peer_list eager_peers; /* have used up their time of this turn */
	struct peer_list ended_peers;
	struct channel_list channels;
	struct channel_list dirty_channels;
	struct channel_list ended_channels;
	struct channel_list checked_channels;

	ev_prepare prepare;
	ev_check check;
	ev_idle go_on; /* active while peers are eager: the loop does not sleep */
	ev_periodic no_wakeup;
	ev_timer trim_timer; /* gives memory back when a busy time is over */
	uint64_t busy_bytes; /* received or forgotten since it last did */
	uint64_t trim_bytes; /* busy_bytes when the timer was set */
	ev_timer timer;      /* the core's next */
	uint64_t timer_us;   /* what it is set to */
	ev_signal signals[3];
	bool ends_at_hangup; /* SIGHUP ends it, as the end of its terminal does; else it reloads */
	ev_timer last_timer; /* when what a creator has left must be gone */
	bool is_private;     /* it belongs to a creator */
	bool stopping;
	bool abandoned; /* it ends at once, and some process does not */
	bool failed;    /* it has ended because it could not go on */
};

/* Of a zeroed server whose acceptors have their listeners, and which has its launcher: starts the
 * pools of the config, which was read from the source. 0 or a negative errno; server_fini() in any
 * case. */
int server_init(struct server *server, const struct config_source *source, struct config *config);
void server_fini(struct server *server);

/* Ends it, in server_run(), when the creator has ended: at once, with all that runs. */
void server_belong(struct server *server, struct creator *creator);

/* Ends it at once, because it cannot go on. */
void server_fail(struct server *server);

/* Runs until a signal, or its creator's end, has ended it. */
void server_run(struct server *server);

/* Executes what the core wants done. After each thing told to it. */
void server_execute(struct server *server);

/* What the processes of a runtime are started with. */
char *const *server_runtime_argv(const struct server *server, const struct runtime *runtime);

/* So many bytes were received, or freed all at once. */
void server_busy(struct server *server, uint64_t bytes);

/* Now; server->now_us is when the turn began. */
uint64_t server_clock_us(void);
