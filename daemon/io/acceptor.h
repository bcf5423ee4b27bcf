/* SPDX-License-Identifier: MIT */
/*
 * The sockets on which clients come, and when they are let in.
 *
 * Connections are accepted once every pool has settled, because before that a function that exists
 * cannot be told from one that does not. Until then they wait in the socket's backlog; but for a
 * pool that takes very long, or hangs, those who call others do not wait as well: who means it is
 * told that it loads. While there are no descriptors none is accepted.
 */
#pragma once

#include <ev.h>

#include "io/listener.h"

struct server;

/* A listening socket and its watcher. */
struct acceptor {
	struct server *server;
	struct listener listener;
	ev_io watcher;
};

/* All those of the server, which have their listeners: nobody is let in yet. */
void acceptors_init(struct server *server);
/* Also of acceptors that were not initialized. */
void acceptors_fini(struct server *server);

/* Once a turn of the loop: opens them when it is time, and tells that the daemon is ready. */
void acceptors_turn(struct server *server);
/* For good. */
void acceptors_shut(struct server *server);

/* A descriptor was closed: there may be room for a connection again. */
void acceptors_descriptor_freed(struct server *server);
