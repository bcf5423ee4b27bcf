/* SPDX-License-Identifier: MIT */
/* The parts of `ppctl doctor` on this user and its rights. */
#include <string.h>

#include "doctor.h"
#include "print.h"

void doctor_user(struct doctor *doctor)
{
	const struct user *user = &doctor->user;
	struct text line = {0};
	report_section(&doctor->report, "You");
	user_add_uid(&line, user->uid);
	text_add_string(&line, user->group_count == 1 ? ", group " : ", groups ");
	for (size_t i = 0; i < user->group_count; i++) {
		text_add_string(&line, i > 0 ? ", " : "");
		user_add_gid(&line, user->groups[i]);
	}
	report_line(&doctor->report, REPORT_OK, "%s", text_cstring(&line));
	if (user->membership == MEMBERSHIP_LATER)
		report_line(&doctor->report, REPORT_NOTE,
			    "in the group " USER_GROUP " only since this session began: log in "
			    "again");
	text_fini(&line);
	procpool_write_string(&doctor->facts, "user");
	user_write(&doctor->facts, user);
}

void doctor_add_rights(struct text *out, const char *before, struct procpool_value rights)
{
	struct procpool_iter it = procpool_iter(rights);
	struct procpool_value right;
	const char *name, *separator = "";
	size_t size;
	if (procpool_value_type(rights) != PROCPOOL_ARRAY)
		return;
	text_add_string(out, before);
	while (procpool_iter_next(&it, &right)) {
		if (!procpool_value_string(right, &name, &size))
			continue;
		text_add_string(out, separator);
		print_name(out, name, size);
		separator = ", ";
	}
	if (!*separator)
		text_add_string(out, "nothing");
}

static bool has_right(struct procpool_value rights, const char *name)
{
	struct procpool_iter it = procpool_iter(rights);
	struct procpool_value right;
	while (procpool_iter_next(&it, &right))
		if (procpool_value_is(right, name))
			return true;
	return false;
}

static struct procpool_value rights_of(const struct doctor *doctor)
{
	return procpool_value_get(procpool_hello(doctor->session->pp), "rights");
}

bool doctor_may_observe(const struct doctor *doctor)
{
	struct procpool_value rights = rights_of(doctor);
	return procpool_value_type(rights) != PROCPOOL_ARRAY || has_right(rights, "observe");
}

/* What to do for the right to call. */
static void report_denied(struct doctor *doctor, const char *code, const char *what)
{
	struct text advice = {0};
	const char *name = doctor->user.name;
	if (doctor->user.membership == MEMBERSHIP_LATER)
		text_addf(&advice,
			  "%s has been put into the group " USER_GROUP
			  " since this session began: log in again",
			  name);
	else if (user_may_join(&doctor->user))
		text_addf(&advice,
			  "ask the administrator for the right to call: usermod -aG " USER_GROUP
			  " %s and log in again, or 'access { call }' in procpoold.conf",
			  name);
	else
		text_addf(&advice,
			  "ask the administrator for the right to call: %s in 'access { "
			  "call }' of procpoold.conf",
			  name);
	report_problem(&doctor->report, code, text_cstring(&advice), "%s", what);
	text_fini(&advice);
}

void doctor_rights(struct doctor *doctor)
{
	struct procpool_value rights = {0};
	procpool_write_string(&doctor->facts, "rights");
	if (doctor->denied) {
		report_section(&doctor->report, "Rights");
		report_denied(doctor, "denied", "the daemon serves others: you have no right here");
	} else if (doctor->connected) {
		rights = rights_of(doctor);
	}
	if (procpool_value_type(rights) != PROCPOOL_ARRAY) {
		procpool_write_nil(&doctor->facts);
		return;
	}
	procpool_write_value(&doctor->facts, rights);
	struct text line = {0};
	report_section(&doctor->report, "Rights");
	doctor_add_rights(&line, "in some pool at least you may: ", rights);
	report_line(&doctor->report, REPORT_OK, "%s", text_cstring(&line));
	if (!has_right(rights, "call"))
		report_denied(doctor, "no-right-to-call", "you may call in no pool");
	text_fini(&line);
}
