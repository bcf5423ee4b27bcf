/* SPDX-License-Identifier: MIT */
/*
 * `ppctl doctor`: whether a program that runs here, as this user, can call, and if not, why. Each
 * part looks at one thing, prints its section of the report, and writes one key and its value to
 * the facts. What the parts before could not find out is nil there and left out of the report.
 *
 * Nothing here waits without a deadline, and nothing changes anything, but that connecting to a
 * socket of a service manager starts the daemon behind it.
 */
#pragma once

#include "place.h"
#include "report.h"
#include "session.h"
#include "unit.h"
#include "user.h"

struct doctor {
	struct session *session;
	enum session_status end; /* what ended it early */
	struct report report;
	struct procpool_writer facts;
	struct place places[PLACES_MAX];
	unsigned place_count;
	struct place *place; /* the one that clients take, or fail at; NULL: none */
	struct user user;
	bool connected; /* and the daemon has answered */
	bool denied;    /* it wants nothing of this user */
};

/* The number of the parts, and so of the keys of the facts: each has one. */
#define DOCTOR_PARTS 6

/* What one step may take. */
#define DOCTOR_STEP_MS 5000

#define DOCTOR_RESTART "the daemon's log may tell why (journalctl -u procpoold); restart it"

/* doctor_socket.c: the places of the socket; then connects. */
void doctor_socket(struct doctor *doctor);
/* doctor_user.c: this user, and what the daemon lets it do. */
void doctor_user(struct doctor *doctor);
void doctor_rights(struct doctor *doctor);
/* Appends the text and "call, observe", or "nothing"; and nothing at all where the daemon, an older
 * one, does not tell. */
void doctor_add_rights(struct text *out, const char *before, struct procpool_value rights);
/* Whether it is worth asking for what needs that right, in some pool at least: the daemon logs what
 * it refuses. An older one does not tell, and refuses nothing. */
bool doctor_may_observe(const struct doctor *doctor);
/* doctor_versions.c */
void doctor_versions(struct doctor *doctor);
/* doctor_daemon.c: what the daemon allows, and how its pools are. */
void doctor_limits(struct doctor *doctor);
void doctor_pools(struct doctor *doctor);

/* Calls a method of the daemon's within the deadline of one step. False: the daemon is not asked
 * any more, or says no; out->code says which (PROCPOOL_PENDING: not connected, or no answer). */
bool doctor_ask(struct doctor *doctor, const char *method, struct procpool_outcome *out);
