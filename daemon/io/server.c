/* SPDX-License-Identifier: MIT */
#include "io/server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"
#include "io/channel.h"
#include "io/cpu_count.h"
#include "io/creator.h"
#include "io/launch.h"
#include "io/log.h"
#include "io/peer.h"
#include "io/reload.h"
#include "io/report.h"
#include "io/worker_process.h"

uint64_t server_clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- what the core wants done ---- */

/* What is found may only be told when all actions have been executed. */
static void note_check(struct server *server, struct channel *channel)
{
	if (channel->checked || channel->ended)
		return;
	channel->checked = true;
	TAILQ_INSERT_TAIL(&server->checked_channels, channel, in_checked);
}

static void execute(struct server *server, const struct action *action)
{
	switch (action->type) {
	case ACTION_REPLY:
	case ACTION_PUSH_RESULT:
	case ACTION_PUSH_ITEMS:
	case ACTION_PUSH_VALUES:
	case ACTION_PUSH_EVENT:
		if (action->session->peer)
			peer_execute(action->session->peer, action);
		break;
	case ACTION_NOTE_SLOW:
		report_slow_task(server, action);
		break;
	case ACTION_NOTE_END:
		report_job_end(action);
		break;
	case ACTION_START_RUNTIME:
		channel_start_runtime(server, action->runtime);
		break;
	case ACTION_STOP_RUNTIME:
		if (action->runtime->channel)
			channel_shut(action->runtime->channel);
		break;
	case ACTION_KILL_RUNTIME:
		if (action->runtime->channel)
			channel_kill(action->runtime->channel);
		break;
	case ACTION_START_WORKER:
		channel_start_worker(server, action->worker);
		break;
	case ACTION_STOP_WORKER:
		if (action->worker->channel)
			channel_shut(action->worker->channel);
		break;
	case ACTION_KILL_WORKER:
		if (action->worker->channel)
			channel_kill(action->worker->channel);
		break;
	case ACTION_STOP_TASK:
		if (action->worker->channel)
			channel_stop_task(action->worker->channel);
		break;
	case ACTION_SEND_TASK:
		if (action->worker->channel)
			channel_send_task(action->worker->channel, action->chunk);
		break;
	case ACTION_UPDATED:
		reload_finish(server, &action->outcome);
		break;
	case ACTION_CHECK_WORKER:
		if (action->worker->channel)
			note_check(server, action->worker->channel);
		break;
	}
}

void server_execute(struct server *server)
{
	struct action action;
	while (core_next_action(&server->core, &action)) {
		execute(server, &action);
		action_fini(&action);
	}
}

/* ---- the turn ---- */

static void free_ended(struct server *server)
{
	struct channel *channel;
	struct peer *peer;
	while ((channel = TAILQ_FIRST(&server->ended_channels)))
		channel_finish(channel);
	while ((peer = TAILQ_FIRST(&server->ended_peers))) {
		peer_destroy(peer);
		server_execute(server);
	}
}

static void check_workers(struct server *server)
{
	struct channel *channel;
	while ((channel = TAILQ_FIRST(&server->checked_channels))) {
		TAILQ_REMOVE(&server->checked_channels, channel, in_checked);
		channel->checked = false;
		worker_process_check(channel);
		server_execute(server);
	}
}

static void check_blocked(struct server *server)
{
	struct peer *peer, *next;
	for (peer = TAILQ_FIRST(&server->blocked_peers); peer; peer = next) {
		next = TAILQ_NEXT(peer, in_blocked);
		peer_check_blocked(peer);
	}
}

static void flush_dirty(struct server *server)
{
	struct channel *channel;
	struct peer *peer;
	while ((channel = TAILQ_FIRST(&server->dirty_channels))) {
		TAILQ_REMOVE(&server->dirty_channels, channel, in_dirty);
		channel->dirty = false;
		channel_flush(channel);
	}
	while ((peer = TAILQ_FIRST(&server->dirty_peers))) {
		TAILQ_REMOVE(&server->dirty_peers, peer, in_dirty);
		peer->dirty = false;
		peer_flush(peer);
	}
}

static bool has_more(const struct server *server)
{
	return !TAILQ_EMPTY(&server->ended_channels) || !TAILQ_EMPTY(&server->ended_peers) ||
	       !TAILQ_EMPTY(&server->dirty_channels) || !TAILQ_EMPTY(&server->dirty_peers) ||
	       !STAILQ_EMPTY(&server->core.dirty) || !STAILQ_EMPTY(&server->core.ended);
}

static void set_timer(struct server *server)
{
	uint64_t next_us = core_next_timer(&server->core), log_us = log_due_us();
	if (log_us < next_us)
		next_us = log_us;
	if (next_us == server->timer_us)
		return;
	server->timer_us = next_us;
	ev_timer_stop(server->loop, &server->timer);
	if (next_us == TIME_NEVER)
		return;
	uint64_t now_us = server_clock_us();
	double delay = next_us > now_us ? (double)(next_us - now_us) / 1e6 : 0.;
	ev_now_update(server->loop);
	ev_timer_set(&server->timer, delay, 0.);
	ev_timer_start(server->loop, &server->timer);
}

/* Whether some answer is still to be sent to one who reads it. */
static bool has_unsent(const struct server *server)
{
	const struct peer *peer;
	TAILQ_FOREACH (peer, &server->peers, in_server)
		if (!peer->ended && output_size(&peer->output) > 0)
			return true;
	return false;
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, prepare);
	(void)events;
	do {
		free_ended(server);
		check_workers(server);
		core_schedule(&server->core, server->now_us);
		server_execute(server);
		flush_dirty(server);
		/* Last, because no event may follow what was flushed. */
		check_blocked(server);
	} while (has_more(server));
	acceptors_turn(server);
	set_timer(server);
	launch_watch_turn(&server->launch_watch, server->loop);
	notify_turn(&server->notify);
	if (core_stopped(&server->core) && (server->core.grace_over || !has_unsent(server)))
		ev_break(loop, EVBREAK_ALL);
}

static void serve_eager(struct server *server)
{
	struct peer *peer, *next, *last = TAILQ_LAST(&server->eager_peers, peer_list);
	/* Each once: they may be eager again. Who does not get his turn stays before those. */
	for (peer = TAILQ_FIRST(&server->eager_peers); peer; peer = next) {
		next = peer == last ? NULL : TAILQ_NEXT(peer, in_eager);
		if (peer_may_go_on(peer))
			peer_go_on(peer);
	}
	if (TAILQ_EMPTY(&server->eager_peers))
		ev_idle_stop(server->loop, &server->go_on);
}

/* Before all other events of the turn. */
static void on_check(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, check);
	(void)loop, (void)events;
	server->now_us = server_clock_us();
	server->turn++;
	serve_eager(server);
}

static void on_idle(struct ev_loop *loop, ev_idle *watcher, int events)
{
	(void)loop, (void)watcher, (void)events;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, timer);
	(void)loop, (void)events;
	uint64_t before = server->core.forgotten_bytes;
	server->timer_us = TIME_NEVER;
	log_tell_lost();
	core_timers(&server->core, server->now_us);
	server_execute(server);
	/* Results that had their time leave as much as a busy time does. */
	server_busy(server, server->core.forgotten_bytes - before);
}

static void on_never(struct ev_loop *loop, ev_periodic *watcher, int events)
{
	(void)loop, (void)watcher, (void)events;
}

/*
 * Without a periodic watcher libev wakes up once a minute to see whether somebody set the clock;
 * with one, the kernel tells it (timerfd). So there is one, for a time that never comes.
 */
static void sleep_undisturbed(struct server *server)
{
	const double years = 1e9;
	ev_periodic_init(&server->no_wakeup, on_never, 0., years, NULL);
	ev_periodic_start(server->loop, &server->no_wakeup);
}

/* ---- memory ---- */

/* From so many bytes on, free memory may be worth giving back; after a pause, because the next
 * large message would only fetch it again. */
#define TRIM_BYTES         (UINT64_C(1) << 20)
#define TRIM_AFTER_SECONDS 1.

static void start_trim_timer(struct server *server)
{
	server->trim_bytes = server->busy_bytes;
	ev_timer_set(&server->trim_timer, TRIM_AFTER_SECONDS, 0.);
	ev_timer_start(server->loop, &server->trim_timer);
}

void server_busy(struct server *server, uint64_t bytes)
{
	server->busy_bytes += bytes;
	if (server->busy_bytes >= TRIM_BYTES && !ev_is_active(&server->trim_timer))
		start_trim_timer(server);
}

static void on_trim(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, trim_timer);
	(void)loop, (void)events;
	if (server->busy_bytes != server->trim_bytes) {
		start_trim_timer(server);
		return;
	}
	server->busy_bytes = 0;
	malloc_trim(0);
}

/* ---- ending ---- */

/* How long processes may take to end that were killed, until they are left to the kernel. */
#define LAST_SECONDS 1.

static void stop(struct server *server, unsigned grace_seconds)
{
	server->stopping = true;
	acceptors_shut(server);
	core_stop(&server->core, (uint64_t)grace_seconds * 1000000, server->now_us);
	notify_stopping(&server->notify);
	server_execute(server);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct server *server = watcher->data;
	(void)loop, (void)events;
	if (server->stopping)
		return;
	log_info("%s: ending, with %u seconds for what runs", strsignal(watcher->signum),
		 server->config->grace_seconds);
	stop(server, server->config->grace_seconds);
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct server *server = watcher->data;
	struct outcome error;
	if (server->ends_at_hangup) {
		on_signal(loop, watcher, events);
		return;
	}
	if (!server->stopping && !reload_begin(server, NULL, 0, &error))
		outcome_fini(&error);
	server_execute(server);
}

/* Such as a spawner that was stopped by a signal: it gets SIGKILL when this process ends, and its
 * workers when it does. */
static void on_last_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, last_timer);
	(void)events;
	server->abandoned = true;
	ev_break(loop, EVBREAK_ALL);
}

static void stop_at_once(struct server *server)
{
	stop(server, 0);
	ev_timer_init(&server->last_timer, on_last_timer, LAST_SECONDS, 0.);
	ev_timer_start(server->loop, &server->last_timer);
}

static void on_creator_end(void *data)
{
	log_info("the program that this daemon belongs to has ended: ending");
	stop_at_once(data);
}

void server_fail(struct server *server)
{
	server->failed = true;
	stop_at_once(server);
}

void server_belong(struct server *server, struct creator *creator)
{
	server->is_private = true;
	creator_watch(creator, server->loop, on_creator_end, server);
}

/* ---- life ---- */

/*
 * SIGHUP tells a service to read its configuration again, and a program that its terminal is gone.
 * Which of these it is can only be told from how it was started: one that a person started in a
 * terminal, and not with nohup(1), ends with that.
 */
static bool ends_at_hangup(const struct server *server)
{
	struct sigaction before;
	if (server->source->is_private)
		return true;
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return sigaction(SIGHUP, NULL, &before) < 0 || before.sa_handler != SIG_IGN;
}

static void watch_signals(struct server *server)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	server->ends_at_hangup = ends_at_hangup(server);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ev_signal_init(&server->signals[i], numbers[i] == SIGHUP ? on_hangup : on_signal,
			       numbers[i]);
		server->signals[i].data = server;
		ev_signal_start(server->loop, &server->signals[i]);
	}
	signal(SIGPIPE, SIG_IGN);
}

static int add_pools(struct server *server)
{
	const struct config *config = server->config;
	if (core_set_access(&server->core, &config->access) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < config->pool_count; i++)
		if (!core_add_pool(&server->core, config->pools[i], server->now_us))
			return -ENOMEM;
	server_execute(server);
	return 0;
}

char *const *server_runtime_argv(const struct server *server, const struct runtime *runtime)
{
	char *const *argv = runtime->spec->runtime;
	return argv[0] ? argv : server->native_runtime;
}

/* Where the native runtime is: installed, or where the build put it. */
static int find_native_runtime(struct server *server)
{
	const char *directory = getenv("PROCPOOL_RUNTIME_DIR");
	if (!directory || !*directory)
		directory = PROCPOOL_LIBEXECDIR;
	return asprintf(&server->native_runtime[0], "%s/procpool-runtime", directory) < 0 ? -ENOMEM
											  : 0;
}

/* What tells the processes of pools where this daemon is: the first of its sockets with a place. */
static int find_socket(struct server *server)
{
	char *place;
	int r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < server->acceptor_count; i++)
		r = listener_place(&server->acceptors[i].listener, &place);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = asprintf(&server->socket_variable, "PROCPOOL_SOCKET=%s", place) < 0 ? -ENOMEM : 0;
	if (r < 0)
		server->socket_variable = NULL;
	free(place);
	return r;
}

static int init_core(struct server *server)
{
	uint64_t first_id, seed;
	if (getrandom(&first_id, sizeof(first_id), 0) != sizeof(first_id) ||
	    getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	/* From the lower half, so that ids can go on for ever. */
	int r = core_init(&server->core, &server->config->limits, geteuid(),
			  1 + first_id % (JOB_ID_MAX / 2), seed);
	server->core.notes_ends = log_enabled(LOG_LEVEL_DEBUG);
	return r;
}

int server_init(struct server *server, const struct config_source *source, struct config *config)
{
	server->source = source;
	server->config = config;
	server->cpus = cpu_count();
	STAILQ_INIT(&server->cgroup.emptied);
	TAILQ_INIT(&server->peers);
	TAILQ_INIT(&server->dirty_peers);
	TAILQ_INIT(&server->blocked_peers);
	TAILQ_INIT(&server->eager_peers);
	TAILQ_INIT(&server->ended_peers);
	TAILQ_INIT(&server->channels);
	TAILQ_INIT(&server->dirty_channels);
	TAILQ_INIT(&server->ended_channels);
	TAILQ_INIT(&server->checked_channels);
	server->now_us = server->started_us = server_clock_us();
	server->timer_us = TIME_NEVER;
	int r = init_core(server);
	if (r < 0)
		return r;
	errno = 0;
	server->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!server->loop)
		return errno > 0 ? -errno : -ENOMEM; /* such as for want of descriptors */
	server->scratch = malloc(sizeof(*server->scratch));
	if (!server->scratch)
		return -ENOMEM;
	r = find_native_runtime(server);
	if (r == 0)
		r = find_socket(server);
	if (r == 0)
		r = notify_init(&server->notify, &server->core, server->loop);
	if (r < 0)
		return r;
	ev_prepare_init(&server->prepare, on_prepare);
	ev_prepare_start(server->loop, &server->prepare);
	ev_check_init(&server->check, on_check);
	ev_set_priority(&server->check, EV_MAXPRI);
	ev_check_start(server->loop, &server->check);
	ev_idle_init(&server->go_on, on_idle);
	ev_init(&server->timer, on_timer);
	ev_init(&server->trim_timer, on_trim);
	watch_signals(server);
	sleep_undisturbed(server);
	acceptors_init(server);
	launch_watch_start(&server->launch_watch, server->loop);
	/* Before any process is started. */
	worker_process_limit_memory(server);
	return add_pools(server);
}

void server_run(struct server *server)
{
	ev_run(server->loop, 0);
}

void server_fini(struct server *server)
{
	struct peer *peer;
	if (server->abandoned) { /* the process ends, and with it all but the files */
		acceptors_fini(server);
		return;
	}
	while ((peer = TAILQ_FIRST(&server->peers))) {
		peer_destroy(peer);
		struct action action;
		while (core_next_action(&server->core, &action))
			action_fini(&action);
	}
	core_fini(&server->core);
	acceptors_fini(server);
	notify_fini(&server->notify);
	launch_watch_fini(&server->launch_watch, server->loop);
	if (server->loop)
		ev_loop_destroy(server->loop);
	cgroup_fini(&server->cgroup);
	free(server->native_runtime[0]);
	free(server->socket_variable);
	free(server->scratch);
}
