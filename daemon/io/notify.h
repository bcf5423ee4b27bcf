/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told (sd_notify(3)): that the daemon is ready, reloads or ends, a
 * line on how it is, that it needs more time to start or to end, and that it is alive. Without a
 * service manager it does nothing, and starts no timer.
 *
 * The line follows what changed by a second, and only where something did: an idle daemon is not
 * woken, and a call that is over by then costs nothing. More time is asked for every second while
 * pools load, and while it ends for as long as the grace lasts. Life is told only after a whole
 * turn of the loop, to the end of its prepare hook: a callback that does not return, as well as
 * a turn that does not end, starves the watchdog.
 *
 * sd_notify() itself is not used: it waits where the manager does not read, and the daemon with it.
 * What the manager must learn and has no room for is told again a moment later.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/status.h"

struct core;

enum notify_phase {
	NOTIFY_STARTING,
	NOTIFY_SERVING,
	NOTIFY_RELOADING,
	NOTIFY_STOPPING,
};

struct notify {
	const struct core *core;
	struct ev_loop *loop;
	int fd; /* -1: there is no service manager */
	struct sockaddr_un address;
	socklen_t address_size;
	enum notify_phase phase;
	unsigned due;             /* what is to be told, bits of notify.c */
	bool blocked;             /* there was no room for it: not before look_timer */
	uint64_t seen_marks;      /* core->marks when it was last looked at */
	char status[STATUS_SIZE]; /* as it was last told, or is due */
	ev_timer look_timer;      /* something changed, or is to be told again */
	ev_timer extend_timer;
	ev_timer watchdog_timer;
};

/* Of a zeroed one: finds the service manager by the environment. 0, or a negative errno. */
int notify_init(struct notify *notify, const struct core *core, struct ev_loop *loop);
/* Also of one that was not initialized. */
void notify_fini(struct notify *notify);

/* What the daemon has come to; told at once. _ready: also when it has reloaded, or has not. */
void notify_ready(struct notify *notify);
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);

/* At the end of each turn of the loop. */
void notify_turn(struct notify *notify);
