/* SPDX-License-Identifier: MIT */
#include "io/rights.h"

#include "core/core.h"

unsigned rights_of(const struct core *core, const struct session *session)
{
	unsigned rights = session_rights(session);
	if (session_daemon_rights(core, session) & ACCESS_ADMINISTER)
		rights |= RIGHT_ADMINISTER_DAEMON;
	if (session->sees_all)
		rights |= RIGHT_OPEN;
	return rights;
}

void rights_write(struct procpool_writer *w, unsigned rights)
{
	size_t place = procpool_write_open_array(w);
	uint32_t count = 0;
	for (unsigned right = 1; right <= ACCESS_ALL; right <<= 1) {
		if (!(rights & right))
			continue;
		procpool_write_string(w, access_right_name(right));
		count++;
	}
	procpool_write_count(w, place, count);
}

struct outcome rights_denied(const char *method, unsigned rights)
{
	if (rights == RIGHT_OPEN)
		return error_outcome(ERR_DENIED,
				     "%s is for root, and for the user that the daemon runs as: "
				     "start a daemon of your own, or ask the administrator for a "
				     "pool in procpoold.conf",
				     method);
	if (rights == RIGHT_ADMINISTER_DAEMON)
		return error_outcome(ERR_DENIED,
				     "you may not %s: ask the administrator for the right to "
				     "administer the daemon (access { administer } outside of all "
				     "pools in procpoold.conf, or a group that has it)",
				     method);
	const char *right = access_right_name(rights);
	return error_outcome(ERR_DENIED,
			     "%s needs the right to %s: ask the administrator for it (access { %s "
			     "} in procpoold.conf, or a group that has it)",
			     method, right, right);
}
