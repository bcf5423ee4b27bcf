/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include "command.h"
#include "print.h"

/* Of one step, within what the command line allows for all. */
static int64_t step_deadline(int64_t all_ms)
{
	int64_t step = session_now_ms() + DOCTOR_STEP_MS;
	return all_ms >= 0 && all_ms < step ? all_ms : step;
}

bool doctor_ask(struct doctor *doctor, const char *method, struct procpool_outcome *out)
{
	struct session *session = doctor->session;
	int64_t all_ms = session->deadline_ms;
	out->code = PROCPOOL_PENDING;
	if (!doctor->connected)
		return false;
	session->deadline_ms = step_deadline(all_ms);
	enum session_status status =
		session_request(session, method, (struct procpool_value){0}, out);
	session->deadline_ms = all_ms;
	if (status == SESSION_OK && procpool_state(session->pp) == PROCPOOL_LOST)
		status = SESSION_LOST; /* what an answer is to a call that was under way */
	if (status == SESSION_OK)
		return out->code == PROCPOOL_OK;
	doctor->connected = false;
	if (status == SESSION_TIMEOUT)
		report_problem(&doctor->report, "hung", DOCTOR_RESTART,
			       "the daemon does not answer when it is asked for %s", method);
	else if (status == SESSION_LOST)
		report_problem(&doctor->report, "lost", DOCTOR_RESTART,
			       "the daemon hung up when it was asked for %s: %s", method,
			       procpool_lost_reason(session->pp));
	else
		doctor->end = status;
	out->code = PROCPOOL_PENDING;
	return false;
}

static void print_facts(struct doctor *doctor)
{
	struct procpool_writer *w = &doctor->facts;
	procpool_write_string(w, "findings");
	procpool_write_value(w, report_findings(&doctor->report));
	procpool_write_string(w, "ok");
	procpool_write_bool(w, doctor->report.problems == 0);
	print_result(&doctor->session->output.pending, procpool_writer_value(w), false);
}

static void examine(struct doctor *doctor)
{
	procpool_write_map(&doctor->facts, DOCTOR_PARTS + 2);
	doctor_socket(doctor);
	doctor_user(doctor);
	doctor_rights(doctor);
	doctor_versions(doctor);
	doctor_limits(doctor);
	doctor_pools(doctor);
}

enum exit_status command_doctor(struct session *session)
{
	struct doctor doctor = {.session = session};
	enum exit_status status;
	report_init(&doctor.report);
	procpool_writer_init(&doctor.facts);
	user_init(&doctor.user);
	examine(&doctor);
	if (doctor.end != SESSION_OK) {
		status = session_end(session, doctor.end);
	} else {
		report_end(&doctor.report);
		if (session->args->json)
			print_facts(&doctor);
		else
			text_add(&session->output.pending, doctor.report.out.data,
				 doctor.report.out.size);
		status = doctor.report.problems > 0 ? STATUS_FAILED : STATUS_OK;
	}
	user_fini(&doctor.user);
	places_fini(doctor.places, doctor.place_count);
	procpool_writer_fini(&doctor.facts);
	report_fini(&doctor.report);
	return status;
}
