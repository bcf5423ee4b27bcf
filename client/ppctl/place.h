/* SPDX-License-Identifier: MIT */
/*
 * The places where a client looks for the daemon's socket, in its order (PROTOCOL.md, "Transport"),
 * and what is found there. As libprocpool looks, but each place is told of.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "procpool/value.h"

#define PLACES_MAX 2

enum place_source {
	PLACE_OPTION,   /* --socket */
	PLACE_VARIABLE, /* $PROCPOOL_SOCKET */
	PLACE_RUNTIME,  /* $XDG_RUNTIME_DIR */
	PLACE_SYSTEM,
};

enum place_state {
	PLACE_UNSEEN,  /* one before it decided */
	PLACE_TAKEN,   /* somebody listens */
	PLACE_MISSING, /* there is nothing: clients pass over it */
	PLACE_STALE,   /* there is something that nobody listens at: likewise */
	PLACE_FULL, /* somebody listens, but so many connections wait that clients have to, too */
	PLACE_REFUSED, /* error says why: clients stop here */
};

struct place {
	enum place_source source;
	char *path; /* owned */
	enum place_state state;
	int error;     /* errno of connecting */
	bool exists;   /* then also: */
	mode_t mode;   /* what it is and who may use it */
	uid_t owner;   /* of the file */
	pid_t pid;     /* of who began to listen, where it is taken */
	uid_t uid;     /* likewise */
	char comm[32]; /* the name of that process; "" where it cannot be told */
};

/* The places of a client that was told `socket` (or NULL). Returns their number. */
unsigned places_list(const char *socket, struct place ret[PLACES_MAX]);
void places_fini(struct place *places, unsigned count);

/* Looks at each until one decides. Returns that, or NULL: nobody listens anywhere. Does not wait.
 */
struct place *places_look(struct place *places, unsigned count);

/* "$PROCPOOL_SOCKET" and the like, for people. */
const char *place_source_text(enum place_source source);

/* All of a place, as a map. */
void place_write(struct procpool_writer *w, const struct place *place);
