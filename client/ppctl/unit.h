/* SPDX-License-Identifier: MIT */
/* What systemd knows of procpoold's units, asked by systemctl(1). */
#pragma once

#include <stdbool.h>

#define UNIT_SOCKET  "procpoold.socket"
#define UNIT_SERVICE "procpoold.service"

struct unit {
	char load[24];   /* "loaded", "not-found", "masked" */
	char active[24]; /* "active", "inactive", "failed" */
	char file[24];   /* "enabled", "disabled", "static" */
	int main_pid;    /* 0: none */
};

struct units {
	struct unit socket, service;
};

/* Of the system, or of the user's own manager. False: there is no systemd, or it does not answer.
 */
bool units_ask(bool user, struct units *ret);

/* Reads what `systemctl show` has printed of one unit. False: nothing of it. */
bool unit_read(const char *text, const char *name, struct unit *ret);
