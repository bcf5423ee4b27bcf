/* SPDX-License-Identifier: MIT */
#include "io/launch_refusal.h"

#include <stdio.h>
#include <string.h>

#include "launcher.h"

static int explain(char **ret, int refusal, const char *why, const char *user, const char *group)
{
	switch (refusal) {
	case LAUNCH_FULL:
		return asprintf(ret, "%d processes of pools run already, and more are not started",
				LAUNCH_CHILDREN_MAX);
	case LAUNCH_FORK_FAILED:
		return asprintf(ret, "the launcher cannot start a process: %s", why);
	case LAUNCH_LOOKUP_FAILED:
		return asprintf(ret, "the user %s cannot be looked up: %s", user, why);
	case LAUNCH_UNKNOWN_USER:
		return asprintf(
			ret,
			"there is no user %s to run as: useradd --system --groups " LAUNCH_GROUP
			" %s makes one",
			user, user);
	case LAUNCH_UNKNOWN_GROUP:
		return asprintf(ret,
				"there is no group %s to run as: groupadd --system %s makes one",
				group, group);
	case LAUNCH_NO_WORKER_GROUP:
		return asprintf(ret, "there is no group " LAUNCH_GROUP ", whose members pools may "
				     "run as: systemd-sysusers makes it");
	case LAUNCH_IS_ROOT:
		return asprintf(ret,
				"the user %s is root or in the group root, and pools are never "
				"run as that: name another user",
				user);
	case LAUNCH_IS_DAEMON:
		return asprintf(ret,
				"the user %s is the daemon's own or in its group, and pools are "
				"never run as that: name another user, or gpasswd --delete "
				"%s " LAUNCH_DAEMON_USER,
				user, user);
	case LAUNCH_NOT_ITS_GROUP:
		return asprintf(ret, "the user %s is not in the group %s: usermod -aG %s %s", user,
				group, group, user);
	case LAUNCH_NOT_ALLOWED:
	default:
		return asprintf(
			ret,
			"pools may not run as the user %s, who is not in the group " LAUNCH_GROUP
			": usermod -aG " LAUNCH_GROUP " %s",
			user, user);
	}
}

char *launch_refusal_explain(int refusal, int error, const char *user, const char *group)
{
	char *text = NULL;
	return explain(&text, refusal, strerror(error), user, group) < 0 ? NULL : text;
}
