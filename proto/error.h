/* SPDX-License-Identifier: MIT */
/*
 * The closed list of error codes (PROTOCOL.md, "Errors"). A new one is a change of the protocol: it
 * touches this list, PROTOCOL.md and tests/conformance.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "procpool/value.h"

/* enumerator, name on the wire, whether a worker may report it */
#define PROTO_ERRORS(X)                                                                            \
	X(ERR_BAD_REQUEST, "bad-request", true)                                                    \
	X(ERR_UNKNOWN_METHOD, "unknown-method", false)                                             \
	X(ERR_UNKNOWN_FUNCTION, "unknown-function", true)                                          \
	X(ERR_AMBIGUOUS, "ambiguous", false)                                                       \
	X(ERR_NO_SUCH_POOL, "no-such-pool", false)                                                 \
	X(ERR_NO_SUCH_JOB, "no-such-job", false)                                                   \
	X(ERR_DENIED, "denied", false)                                                             \
	X(ERR_BUSY, "busy", false)                                                                 \
	X(ERR_TOO_LARGE, "too-large", true)                                                        \
	X(ERR_FUNCTION_FAILED, "function-failed", true)                                            \
	X(ERR_TIMEOUT, "timeout", false)                                                           \
	X(ERR_EXPIRED, "expired", false)                                                           \
	X(ERR_CANCELLED, "cancelled", false)                                                       \
	X(ERR_WORKER_LOST, "worker-lost", false)                                                   \
	X(ERR_OUT_OF_MEMORY, "out-of-memory", true)                                                \
	X(ERR_INITIALIZER_FAILED, "initializer-failed", true)                                      \
	X(ERR_WOULD_DEADLOCK, "would-deadlock", false)                                             \
	X(ERR_NOT_READY, "not-ready", false)                                                       \
	X(ERR_POOL_CLOSED, "pool-closed", false)                                                   \
	X(ERR_SHUTTING_DOWN, "shutting-down", false)

enum error_code {
	ERR_NONE, /* no error */
#define X(code, name, worker) code,
	PROTO_ERRORS(X)
#undef X
		ERR_COUNT,
};

/* The name on the wire; "none" for ERR_NONE. */
const char *error_name(enum error_code code);

/* The code of a name that need not be NUL-terminated; ERR_NONE for an unknown one. */
enum error_code error_from_name(const char *name, size_t size);

/* Whether a worker may report this code (WORKER.md, "error"). */
bool error_is_workers(enum error_code code);
