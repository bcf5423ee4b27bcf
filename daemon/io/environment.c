/* SPDX-License-Identifier: MIT */
#include "io/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a variable that is made here. */
#define MADE_BYTES 48

/* What says where the daemon is; another's there would mislead. */
#define SOCKET "PROCPOOL_SOCKET"

static const char *const daemons_own[] = {
	"LISTEN_FDS",   "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET",
	"WATCHDOG_PID", "WATCHDOG_USEC",  SOCKET,
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

static bool is_among(const char *variable, char *const *list)
{
	for (; *list; list++)
		if (same_variable(variable, *list))
			return true;
	return false;
}

static bool is_daemons_own(const char *variable)
{
	for (size_t i = 0; i < COUNT(daemons_own); i++)
		if (same_variable(variable, daemons_own[i]))
			return true;
	return false;
}

static size_t count_of(char *const *list)
{
	size_t count = 0;
	while (list[count])
		count++;
	return count;
}

char **environment_make(char *const *added, bool clear, unsigned threads, char *socket)
{
	char *const none[] = {NULL}, *const *daemons = clear ? none : environ;
	if (!added)
		added = none;
	size_t count = count_of(daemons) + count_of(added) + COUNT(thread_counts) + 2, n = 0;
	/* What is made lies behind the array. */
	char **result = calloc(1, count * sizeof(*result) + COUNT(thread_counts) * MADE_BYTES);
	if (!result)
		return NULL;
	for (char *const *e = daemons; *e; e++)
		if (!is_daemons_own(*e) && !is_among(*e, added))
			result[n++] = *e;
	for (char *const *e = added; *e; e++)
		if (strchr(*e, '=') && !same_variable(*e, SOCKET))
			result[n++] = *e;
	if (socket)
		result[n++] = socket;
	char *made = (char *)(result + count);
	for (size_t i = 0; threads > 0 && i < COUNT(thread_counts); i++, made += MADE_BYTES) {
		if (is_among(thread_counts[i], result) || is_among(thread_counts[i], added))
			continue;
		snprintf(made, MADE_BYTES, "%s=%u", thread_counts[i], threads);
		result[n++] = made;
	}
	return result;
}
