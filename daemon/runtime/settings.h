/* SPDX-License-Identifier: MIT */
/* What the daemon's start message says (WORKER.md, "start"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "procpool/value.h"

/* Room for every message but results; a smaller message_bytes is refused. */
#define SETTINGS_MESSAGE_BYTES_MIN 65536U

struct settings {
	struct procpool_value
		message; /* the whole start message, owned; the values below lie in it */
	struct procpool_value modules;  /* an array */
	struct procpool_value initargs; /* an array, or no value */
	char *pool;
	char *initializer; /* NULL: none */
	unsigned worker;   /* 0 in the spawner */
	unsigned workers;
	size_t message_bytes;
	unsigned value_depth;
	bool preload_always; /* load before the fork even where that leaves threads */
};

/* Reads a start message, of which it keeps a copy. 0; -EPROTO where it is none; -ENOMEM. */
int settings_init(struct settings *settings, struct procpool_value message);
void settings_fini(struct settings *settings);
