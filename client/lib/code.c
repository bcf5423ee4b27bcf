/* SPDX-License-Identifier: MIT */
#include "code.h"

#include <assert.h>

#include "proto/error.h"

/* The first group of enum procpool_code is proto's closed list, in its order. A code added there
 * needs an enumerator at the end of the group and a text below. */
static_assert((int)PROCPOOL_ERR_BAD_REQUEST == (int)ERR_BAD_REQUEST, "the lists begin alike");
static_assert((int)PROCPOOL_ERR_BUSY == (int)ERR_BUSY, "the lists agree");
static_assert((int)PROCPOOL_ERR_WORKER_LOST == (int)ERR_WORKER_LOST, "the lists agree");
static_assert((int)PROCPOOL_ERR_SHUTTING_DOWN == (int)ERR_COUNT - 1, "the lists end alike");

static const char *const daemon_texts[] = {
	[PROCPOOL_OK] = "it went well",
	[PROCPOOL_ERR_BAD_REQUEST] = "the request is wrong",
	[PROCPOOL_ERR_UNKNOWN_METHOD] = "the daemon has no such method",
	[PROCPOOL_ERR_UNKNOWN_FUNCTION] = "no pool has this function",
	[PROCPOOL_ERR_AMBIGUOUS] = "several pools have this function",
	[PROCPOOL_ERR_NO_SUCH_POOL] = "there is no such pool",
	[PROCPOOL_ERR_NO_SUCH_JOB] = "there is no such job, or its result is gone",
	[PROCPOOL_ERR_DENIED] = "permission denied",
	[PROCPOOL_ERR_BUSY] = "a limit is reached, try again later",
	[PROCPOOL_ERR_TOO_LARGE] = "the request or the result is too large",
	[PROCPOOL_ERR_FUNCTION_FAILED] = "the function failed",
	[PROCPOOL_ERR_TIMEOUT] = "it ran for too long",
	[PROCPOOL_ERR_EXPIRED] = "it waited for too long",
	[PROCPOOL_ERR_CANCELLED] = "it was cancelled",
	[PROCPOOL_ERR_WORKER_LOST] = "the worker died while it ran",
	[PROCPOOL_ERR_OUT_OF_MEMORY] = "the worker had no memory for it",
	[PROCPOOL_ERR_INITIALIZER_FAILED] = "the pool cannot start workers",
	[PROCPOOL_ERR_WOULD_DEADLOCK] = "it would wait for itself",
	[PROCPOOL_ERR_NOT_READY] = "it is not ready yet",
	[PROCPOOL_ERR_POOL_CLOSED] = "the pool takes no more jobs",
	[PROCPOOL_ERR_SHUTTING_DOWN] = "the daemon is ending",
};
static_assert(sizeof(daemon_texts) / sizeof(daemon_texts[0]) == ERR_COUNT, "a text for each");

static const struct {
	const char *name, *text;
} own[] = {
#define ROW(code, name, text) [PROCPOOL_ERR_##code - PROCPOOL_ERR_OTHER] = {name, text}
	ROW(OTHER, "other", "the daemon reported an error unknown to this library"),
	[PROCPOOL_PENDING - PROCPOOL_ERR_OTHER] = {"pending", "it is not over yet"},
	ROW(NO_DAEMON, "no-daemon", "no daemon listens there"),
	ROW(SYSTEM, "system", "the system refused it"),
	ROW(LOST, "lost", "the connection was lost, whether the call has run is unknown"),
	ROW(NOT_SENT, "not-sent", "the connection was lost before the call was sent"),
	ROW(FORKED, "forked", "the connection belongs to the parent process"),
	ROW(INVALID, "invalid", "the library was called in a way that it does not allow"),
	ROW(NO_MEMORY, "no-memory", "this process is out of memory"),
	ROW(INTERRUPTED, "interrupted", "interrupted by a signal"),
	ROW(CLOSED, "closed", "the connection was closed"),
#undef ROW
};

enum procpool_code code_from_value(struct procpool_value name)
{
	const char *s;
	size_t size;
	if (!procpool_value_string(name, &s, &size))
		return PROCPOOL_ERR_OTHER;
	enum error_code code = error_from_name(s, size);
	return code == ERR_NONE ? PROCPOOL_ERR_OTHER : (enum procpool_code)code;
}

static size_t own_index(enum procpool_code code)
{
	size_t i = (size_t)code - PROCPOOL_ERR_OTHER;
	return i < sizeof(own) / sizeof(own[0]) ? i : 0;
}

const char *procpool_code_name(enum procpool_code code)
{
	if (code == PROCPOOL_OK)
		return "ok";
	if ((size_t)code < ERR_COUNT)
		return error_name((enum error_code)code);
	return own[own_index(code)].name;
}

const char *procpool_code_text(enum procpool_code code)
{
	return (size_t)code < ERR_COUNT ? daemon_texts[code] : own[own_index(code)].text;
}
