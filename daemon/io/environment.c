/* SPDX-License-Identifier: MIT */
#include "io/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/string_list.h"
#include "launcher.h"

/* Bytes of a variable that is made here. */
#define MADE_BYTES 48

/* What says where the daemon is; another's there would mislead. */
#define SOCKET "PROCPOOL_SOCKET"

/* Said to the daemon alone, mostly by a service manager: where it is, what it may use, whose
 * standard error is the journal (a worker's is a pipe). */
static const char *const daemons_own[] = {
	"LISTEN_FDS",
	"LISTEN_FDNAMES",
	"LISTEN_PID",
	"NOTIFY_SOCKET",
	"WATCHDOG_PID",
	"WATCHDOG_USEC",
	"INVOCATION_ID",
	"JOURNAL_STREAM",
	"SYSTEMD_EXEC_PID",
	"MEMORY_PRESSURE_WATCH",
	"MEMORY_PRESSURE_WRITE",
	"RUNTIME_DIRECTORY",
	"STATE_DIRECTORY",
	"CACHE_DIRECTORY",
	"LOGS_DIRECTORY",
	"CONFIGURATION_DIRECTORY",
	"CREDENTIALS_DIRECTORY",
	SOCKET,
	LAUNCHER_VARIABLE,
};

/* True of the daemon's user, and what that user may use. The launcher says what is of another's. */
static const char *const users_own[] = {
	"HOME",
	"USER",
	"LOGNAME",
	"SHELL",
	"MAIL",
	"XDG_RUNTIME_DIR",
	"XDG_CONFIG_HOME",
	"XDG_CACHE_HOME",
	"XDG_DATA_HOME",
	"XDG_STATE_HOME",
	"DBUS_SESSION_BUS_ADDRESS",
	"SSH_AUTH_SOCK",
};

/* Each worker would start as many threads as there are processors. */
static const char *const thread_counts[] = {
	"OMP_NUM_THREADS",
	"OPENBLAS_NUM_THREADS",
	"MKL_NUM_THREADS",
	"NUMEXPR_NUM_THREADS",
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Whether both are of one variable: the same up to the '='. */
static bool same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");
	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

bool environment_has(char *const *environment, const char *variable)
{
	for (; *environment; environment++)
		if (same_variable(variable, *environment))
			return true;
	return false;
}

static bool is_daemons_own(const char *variable, bool other_user)
{
	for (size_t i = 0; i < COUNT(daemons_own); i++)
		if (same_variable(variable, daemons_own[i]))
			return true;
	for (size_t i = 0; other_user && i < COUNT(users_own); i++)
		if (same_variable(variable, users_own[i]))
			return true;
	return false;
}

/* What the pool says of variables, where the launcher has a say too: it must not set what the pool
 * has removed. */
static size_t name_removed(char **result, char *const *added, bool clear)
{
	size_t n = 0;
	for (char *const *e = added; *e; e++)
		if (!strchr(*e, '='))
			result[n++] = *e;
	for (size_t i = 0; clear && i < COUNT(users_own); i++)
		if (!environment_has(added, users_own[i]))
			result[n++] = (char *)users_own[i];
	return n;
}

char **environment_make(char *const *added, bool clear, bool other_user, unsigned threads,
			char *socket)
{
	char *const none[] = {NULL}, *const *daemons = clear ? none : environ;
	if (!added)
		added = none;
	size_t made_count = COUNT(thread_counts), n = 0;
	size_t count = string_list_count(daemons) + string_list_count(added) + made_count +
		       COUNT(users_own) + 2;
	/* What is made lies behind the array. */
	char **result = calloc(1, count * sizeof(*result) + made_count * MADE_BYTES);
	if (!result)
		return NULL;
	for (char *const *e = daemons; *e; e++)
		if (!is_daemons_own(*e, other_user) && !environment_has(added, *e))
			result[n++] = *e;
	for (char *const *e = added; *e; e++)
		if (strchr(*e, '=') && !same_variable(*e, SOCKET))
			result[n++] = *e;
	if (socket)
		result[n++] = socket;
	char *made = (char *)(result + count);
	for (size_t i = 0; threads > 0 && i < made_count; i++, made += MADE_BYTES) {
		if (environment_has(result, thread_counts[i]) ||
		    environment_has(added, thread_counts[i]))
			continue;
		snprintf(made, MADE_BYTES, "%s=%u", thread_counts[i], threads);
		result[n++] = made;
	}
	if (other_user)
		n += name_removed(result + n, added, clear);
	return result;
}
