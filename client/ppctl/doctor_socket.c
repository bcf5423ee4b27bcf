/* SPDX-License-Identifier: MIT */
/* The part of `ppctl doctor` up to the daemon's answer to hello: which socket, and what is wrong
 * with it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "doctor.h"
#include "interrupt.h"

/* "/run/procpool/procpoold.sock (the system's)" */
static void add_place(struct text *out, const struct place *place)
{
	text_addf(out, "%s (%s)", place->path, place_source_text(place->source));
}

/* What is known of a place that is taken: who may connect, and who is behind it. */
static void report_taken(struct doctor *doctor, const struct place *place)
{
	struct text owner = {0}, line = {0};
	user_add_uid(&owner, place->owner);
	add_place(&line, place);
	report_line(&doctor->report, REPORT_OK, "%s is used: mode %04o, of user %s",
		    text_cstring(&line), place->mode & 07777, text_cstring(&owner));
	text_reset(&owner);
	user_add_uid(&owner, place->uid);
	/* Who called listen() need not be who accepts: a service manager hands it over. */
	report_line(&doctor->report, REPORT_OK, "held by %s, pid %d, of user %s",
		    *place->comm ? place->comm : "a process", place->pid, text_cstring(&owner));
	if (place->uid != 0 && place->uid != doctor->user.uid && place->source != PLACE_SYSTEM)
		report_line(&doctor->report, REPORT_NOTE,
			    "who runs that daemon sees all that is sent to it");
	text_fini(&owner);
	text_fini(&line);
}

static void report_refused(struct doctor *doctor, const struct place *place)
{
	struct text line = {0}, owner = {0};
	add_place(&line, place);
	user_add_uid(&owner, place->owner);
	if ((place->error == EACCES || place->error == EPERM) && place->exists)
		report_problem(
			&doctor->report, "socket-denied",
			"ask who runs that daemon: its socket must have a mode that lets you write "
			"(the system service's has 0666)",
			"%s may not be used: mode %04o, of user %s", text_cstring(&line),
			place->mode & 07777, text_cstring(&owner));
	else if (place->error == EACCES || place->error == EPERM)
		report_problem(&doctor->report, "socket-denied",
			       "ask who owns the directory for the right to enter it",
			       "%s is in a directory that you may not enter", text_cstring(&line));
	else
		report_problem(&doctor->report, "socket-failed", "name another socket",
			       "cannot connect to %s: %s", text_cstring(&line),
			       strerror(place->error));
	text_fini(&line);
	text_fini(&owner);
}

static void report_place(struct doctor *doctor, const struct place *place)
{
	struct report *report = &doctor->report;
	struct text line = {0};
	const char *text = (add_place(&line, place), text_cstring(&line));
	switch (place->state) {
	case PLACE_TAKEN:
		report_taken(doctor, place);
		break;
	case PLACE_MISSING:
		report_line(report, REPORT_NOTE, "%s does not exist%s", text,
			    doctor->place ? ", passed over" : "");
		break;
	case PLACE_STALE:
		if (!S_ISSOCK(place->mode))
			report_problem(report, "no-socket", "remove it, or name another",
				       "%s is no socket", text);
		else if (doctor->place)
			report_line(report, REPORT_NOTE, "%s has nobody listening, passed over",
				    text);
		else
			report_problem(report, "stale-socket",
				       "it was left by a daemon that has died: a new one "
				       "replaces it",
				       "%s exists, and nobody listens there", text);
		break;
	case PLACE_FULL:
		report_line(report, REPORT_NOTE,
			    "%s is used: connections have to wait there until they are accepted",
			    text);
		break;
	case PLACE_REFUSED:
		report_refused(doctor, place);
		break;
	case PLACE_UNSEEN:
		report_line(report, REPORT_NOTE, "%s is not looked at, as the one before decides",
			    text);
		break;
	}
	text_fini(&line);
}

/* ---- nobody listens ---- */

static const char own_daemon[] = "start one with 'procpoold', or as the administrator 'procpoold "
				 "--system'";

/* What to do about the system's service, from what systemd knows of it. */
static const char *system_advice(const struct units *units)
{
	const struct unit *socket = &units->socket;
	if (strcmp(socket->load, "not-found") == 0)
		return "the system service is not installed: start a daemon with 'procpoold'";
	if (strcmp(socket->load, "masked") == 0)
		return "as the administrator: systemctl unmask " UNIT_SOCKET;
	if (strcmp(socket->active, "failed") == 0 || strcmp(units->service.active, "failed") == 0)
		return "it has failed; as the administrator: systemctl status " UNIT_SOCKET
		       " " UNIT_SERVICE;
	if (strcmp(socket->active, "active") == 0)
		return "its socket was removed; as the administrator: systemctl "
		       "restart " UNIT_SOCKET " " UNIT_SERVICE;
	if (strcmp(socket->file, "enabled") == 0)
		return "it was stopped; as the administrator: systemctl start " UNIT_SOCKET;
	return "as the administrator: systemctl enable --now " UNIT_SOCKET;
}

/* The daemon of the user's own manager, where there is such a unit. */
static void report_user_unit(struct doctor *doctor)
{
	struct units units;
	if (!units_ask(true, &units) || strcmp(units.socket.load, "loaded") != 0)
		return;
	report_line(&doctor->report, REPORT_NOTE,
		    "your own service: " UNIT_SOCKET
		    " is %s and %s (systemctl --user enable --now " UNIT_SOCKET ")",
		    units.socket.active, *units.socket.file ? units.socket.file : "not installed");
}

static void report_nobody(struct doctor *doctor)
{
	struct report *report = &doctor->report;
	const struct place *last = &doctor->places[doctor->place_count - 1];
	struct units units;
	if (last->source == PLACE_OPTION)
		report_problem(report, "no-daemon",
			       "start one there with 'procpoold --socket', or leave --socket out",
			       "no daemon listens");
	else if (last->source == PLACE_VARIABLE)
		report_problem(report, "no-daemon",
			       "start one there, or unset PROCPOOL_SOCKET so that the usual places "
			       "are tried",
			       "no daemon listens, and no other place is tried");
	else if (!units_ask(false, &units))
		report_problem(report, "no-daemon", own_daemon, "no daemon listens");
	else
		report_problem(report, "no-daemon", system_advice(&units),
			       "no daemon listens; of the system service, " UNIT_SOCKET " is %s",
			       strcmp(units.socket.load, "loaded") == 0 ? units.socket.active
									: units.socket.load);
	if (doctor->places[0].source == PLACE_RUNTIME)
		report_user_unit(doctor);
}

/* ---- somebody listens ---- */

/* A service manager holds the socket, and the daemon behind it did not answer: what became of it.
 */
static bool report_service(struct doctor *doctor, const struct procpool_outcome *outcome)
{
	const struct place *place = doctor->place;
	struct units units;
	if (strcmp(place->comm, "systemd") != 0 || !units_ask(place->pid != 1, &units) ||
	    strcmp(units.service.active, "active") == 0)
		return false;
	report_problem(&doctor->report, "service-down",
		       place->pid == 1 ? "systemctl status " UNIT_SERVICE
				       : "systemctl --user status " UNIT_SERVICE,
		       UNIT_SERVICE " does not come up, it is %s: %s", units.service.active,
		       outcome->message);
	return true;
}

static void report_connecting(struct doctor *doctor, const struct procpool_outcome *outcome)
{
	struct report *report = &doctor->report;
	if (outcome->code == PROCPOOL_ERR_DENIED) {
		doctor->denied = true; /* doctor_rights() says what to ask for */
		return;
	}
	if (outcome->code == PROCPOOL_ERR_BUSY)
		report_problem(report, "busy",
			       "end some of your programs, or ask the administrator for a higher "
			       "limit",
			       "the daemon takes no connection: %s", outcome->message);
	else if (report_service(doctor, outcome))
		return;
	else if (outcome->os_error == ETIMEDOUT)
		report_problem(report, "hung", DOCTOR_RESTART, "%s", outcome->message);
	else
		report_problem(report, "no-answer", DOCTOR_RESTART, "connecting: %s",
			       outcome->message);
}

static void connect_place(struct doctor *doctor)
{
	struct session *session = doctor->session;
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	options.path = doctor->place->path;
	options.client = "ppctl";
	options.seconds = DOCTOR_STEP_MS / 1000.0;
	if (session->args->timeout > 0)
		options.seconds = fmin(options.seconds, session->args->timeout);
	if (procpool_connect(&options, &session->pp, &outcome) == PROCPOOL_OK)
		doctor->connected = true;
	else
		report_connecting(doctor, &outcome);
	procpool_outcome_fini(&outcome);
	/* Until here a signal just ended the program. */
	if (doctor->connected && interrupt_init() < 0)
		report_problem(&doctor->report, "socket-failed", "close some",
			       "no descriptors are left");
}

static void write_places(struct doctor *doctor)
{
	struct procpool_writer *w = &doctor->facts;
	procpool_write_string(w, "socket");
	procpool_write_map(w, 2);
	procpool_write_string(w, "path");
	if (doctor->place)
		procpool_write_string(w, doctor->place->path);
	else
		procpool_write_nil(w);
	procpool_write_string(w, "places");
	procpool_write_array(w, doctor->place_count);
	for (unsigned i = 0; i < doctor->place_count; i++)
		place_write(w, &doctor->places[i]);
}

void doctor_socket(struct doctor *doctor)
{
	struct report *report = &doctor->report;
	doctor->place_count = places_list(doctor->session->args->socket, doctor->places);
	doctor->place = places_look(doctor->places, doctor->place_count);
	write_places(doctor);
	report_section(report, "Socket");
	if (doctor->places[0].source == PLACE_VARIABLE)
		report_line(report, REPORT_NOTE,
			    "$PROCPOOL_SOCKET is set: it is the only place that programs try");
	else if (doctor->places[0].source == PLACE_SYSTEM)
		report_line(report, REPORT_NOTE,
			    "$XDG_RUNTIME_DIR is not set: no daemon of your own is looked for");
	for (unsigned i = 0; i < doctor->place_count; i++)
		report_place(doctor, &doctor->places[i]);
	if (!doctor->place)
		report_nobody(doctor);
	else if (doctor->place->state != PLACE_REFUSED)
		connect_place(doctor);
}
