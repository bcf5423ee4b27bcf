/* SPDX-License-Identifier: MIT */
/*
 * The launcher in the loop: what it says of processes goes to their channels, and its end is the
 * daemon's. Without a launcher nothing here does anything.
 */
#pragma once

#include <ev.h>

struct launch;

/* Part of the server. */
struct launch_watch {
	struct launch *launch; /* owned; NULL: there is none */
	ev_io reader, writer;
};

/* When there is a loop. */
void launch_watch_start(struct launch_watch *watch, struct ev_loop *loop);

/* At the end of each turn. */
void launch_watch_turn(struct launch_watch *watch, struct ev_loop *loop);

/* Ends the launcher. Before the loop is destroyed, and after all channels. */
void launch_watch_fini(struct launch_watch *watch, struct ev_loop *loop);
