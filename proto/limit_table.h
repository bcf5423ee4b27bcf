/* SPDX-License-Identifier: MIT */
/*
 * Every limit that a client or a runtime can meet, with its default. The same table stands in
 * PROTOCOL.md ("Limits", checked by a test) and is what `hello` returns.
 */
#pragma once

#include <stdint.h>

#define MIB(n) ((uint64_t)(n) << 20)

/* name, default, what it bounds */
/* clang-format off */
#define PROTO_LIMITS(X)                                                                              \
	X(depth, 32, "nested containers in a message")                                               \
	X(value_depth, 24, "nested containers in a result or an error's data")                       \
	X(message_bytes, MIB(96), "bytes of one message, in either direction")                       \
	X(name_bytes, 256, "bytes of a function, pool, client or event name")                        \
	X(frame_seconds, 30, "seconds from the first byte of a message to its last")                 \
	X(stall_seconds, 30, "seconds without progress while output waits, then the connection ends") \
	X(connections, 1024, "connections to the daemon")                                            \
	X(connections_user, 256, "connections of a user")                                            \
	X(jobs_user, 500000, "jobs of a user that have not ended")                                   \
	X(jobs_session, 200000, "jobs of a session that have not ended")                             \
	X(queued_bytes_user, MIB(512), "bytes of a user's messages begun and jobs that have not ended") \
	X(queued_bytes_session, MIB(256), "the same of a session")                                   \
	X(retained_bytes_user, MIB(256), "bytes of a user's finished jobs kept to be fetched")       \
	X(retained_bytes_session, MIB(128), "the same of a session")                                 \
	X(retained_seconds, 300, "seconds that a finished job is kept")                              \
	X(output_bytes_user, MIB(512), "unsent bytes of a user's connections")                       \
	X(output_bytes_session, MIB(8), "unsent bytes of a session, beyond which it is not served")  \
	X(waits_session, 10000, "calls of wait that wait, of a session")                             \
	X(subscriptions_session, 1000, "subscriptions of a session")                                 \
	X(retries_max, 100, "retries that a call may ask for")                                        \
	X(pools_session, 16, "pools that a session has opened")                                      \
	X(workers_session, 256, "workers of these pools, as many as there may be at most")           \
	X(progress_bytes, 4096, "bytes of a value that tells progress")                               \
	X(jobs_page, 1000, "jobs in one answer of jobs")
/* clang-format on */

struct limits {
#define X(name, value, text) uint64_t name;
	PROTO_LIMITS(X)
#undef X
};

#define LIMITS_DEFAULT                     ((struct limits){PROTO_LIMITS(LIMITS_DEFAULT_)})
#define LIMITS_DEFAULT_(name, value, text) .name = (value),

#define PROTOCOL_VERSION 1
