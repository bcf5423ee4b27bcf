/* SPDX-License-Identifier: MIT */
/*
 * Reading the configuration again: what it says of pools is the core's (core/update.h), what it
 * says of the daemon is in force at once, but for what only a restart changes. A configuration that
 * is wrong in any way changes nothing.
 *
 * Each call reads the files there and then, also while an earlier one still waits for pools: what
 * was read last is what counts. Only this replaces what server->config points to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/outcome.h"

struct server;
struct session;

/* Replies to msgid of the session (NULL: a signal asked for it) when all pools have settled. False:
 * *ret_error, held, says why nothing has changed. */
bool reload_begin(struct server *server, struct session *session, uint32_t msgid,
		  struct outcome *ret_error);

/* All pools have settled, or (outcome an error, borrowed) one does not load. */
void reload_finish(struct server *server, const struct outcome *outcome);
