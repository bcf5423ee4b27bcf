/* SPDX-License-Identifier: MIT */
/* Rights as clients meet them: what a method needs, what they are called, and what to ask for. */
#pragma once

#include "core/access.h"
#include "core/outcome.h"

struct core;
struct procpool_writer;
struct session;

/*
 * Bits of what a method needs one of. A method of which it was forgotten needs what nobody has. The
 * first three are enough in any pool, or by the daemon's lists: its handler looks at the pool.
 */
enum right {
	RIGHT_CALL = ACCESS_CALL,
	RIGHT_OBSERVE = ACCESS_OBSERVE,
	RIGHT_ADMINISTER = ACCESS_ADMINISTER,
	RIGHT_ANY = ACCESS_ALL,
	RIGHT_ADMINISTER_DAEMON = 8, /* by the daemon's lists */
	RIGHT_OPEN = 16, /* pools of one's own, in which one runs any program: root, and the user
			    that the daemon runs as */
};

/* A set of enum right. */
unsigned rights_of(const struct core *core, const struct session *session);

/* An array of the names of the first three that are in the set. */
void rights_write(struct procpool_writer *w, unsigned rights);

/* denied, for want of all of the rights in the set. */
struct outcome rights_denied(const char *method, unsigned rights);
