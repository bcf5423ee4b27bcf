/* SPDX-License-Identifier: MIT */
#include "io/acceptor.h"

#include "core/container.h"
#include "core/status.h"
#include "io/admission.h"
#include "io/log.h"
#include "io/notify.h"
#include "io/peer.h"
#include "io/server.h"

/* Connections accepted in one turn, so that a storm of them delays nobody. */
#define ACCEPTS_PER_TURN 64
/* What pools may take to load while connections wait for it. */
#define LOAD_SECONDS 5.

/* ---- accepting ---- */

static void watch(struct server *server, bool open)
{
	for (size_t i = 0; i < server->acceptor_count; i++) {
		if (open)
			ev_io_start(server->loop, &server->acceptors[i].watcher);
		else
			ev_io_stop(server->loop, &server->acceptors[i].watcher);
	}
}

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct acceptor *acceptor = container_of(watcher, struct acceptor, watcher);
	struct server *server = acceptor->server;
	(void)loop, (void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd;
		switch (listener_accept(&acceptor->listener, &fd)) {
		case LISTENER_ACCEPTED:
			peer_accept(server, fd);
			break;
		case LISTENER_FULL:
			log_warning("no descriptor is left for a connection; refusing it");
			admission_refuse_busy(fd, NULL);
			listener_refill(&acceptor->listener);
			break;
		case LISTENER_BLOCKED:
			return;
		default:
			server->starved = true;
			watch(server, false);
			return;
		}
	}
}

void acceptors_descriptor_freed(struct server *server)
{
	if (!server->starved)
		return;
	server->starved = false;
	for (size_t i = 0; i < server->acceptor_count; i++)
		listener_refill(&server->acceptors[i].listener);
	if (server->open)
		watch(server, true);
}

/* ---- opening ---- */

static void open_all(struct server *server)
{
	ev_timer_stop(server->loop, &server->open_timer);
	server->open = true;
	watch(server, true);
}

void acceptors_turn(struct server *server)
{
	struct pool *pool;
	unsigned workers = 0;
	if (server->ready || server->stopping)
		return;
	TAILQ_FOREACH (pool, &server->core.pools, in_core) {
		if (!status_is_settled(pool))
			return;
		workers += pool->ready_count;
	}
	server->ready = true;
	open_all(server);
	log_info("ready on %s with %u workers", server->acceptors[0].listener.path, workers);
	notify_ready(&server->notify);
}

static void on_open_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct server *server = container_of(watcher, struct server, open_timer);
	(void)loop, (void)events;
	if (server->open || server->stopping)
		return;
	log_info("accepting connections, though not every pool has loaded");
	open_all(server);
}

void acceptors_shut(struct server *server)
{
	server->open = false;
	watch(server, false);
}

/* ---- life ---- */

void acceptors_init(struct server *server)
{
	for (size_t i = 0; i < server->acceptor_count; i++) {
		server->acceptors[i].server = server;
		ev_io_init(&server->acceptors[i].watcher, on_connection,
			   server->acceptors[i].listener.fd, EV_READ);
	}
	ev_timer_init(&server->open_timer, on_open_timer, LOAD_SECONDS, 0.);
	ev_timer_start(server->loop, &server->open_timer);
}

void acceptors_fini(struct server *server)
{
	for (size_t i = 0; i < server->acceptor_count; i++)
		listener_fini(&server->acceptors[i].listener);
}
