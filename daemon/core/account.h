/* SPDX-License-Identifier: MIT */
/*
 * What a user or a session has in use, and may have. Accounts form a tree of daemon, user and
 * session: a charge is checked against each level, the outermost first, and taken at all of them or
 * at none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum resource {
	RESOURCE_CONNECTIONS,
	RESOURCE_JOBS,
	RESOURCE_QUEUED_BYTES,
	RESOURCE_RETAINED_BYTES,
	RESOURCE_OUTPUT_BYTES,
	RESOURCE_WAITS,
	RESOURCE_SUBSCRIPTIONS,
	RESOURCE_POOLS,
	RESOURCE_WORKERS, /* of these pools */
	RESOURCE_COUNT,
};

/* A limit and its name in PROTOCOL.md's table. */
struct account_limit {
	uint64_t value;
	const char *name;
};

struct account {
	struct account *parent;             /* NULL at the root; outlives this account */
	const struct account_limit *limits; /* one for each resource; name NULL: no limit here */
	uint64_t used[RESOURCE_COUNT];
};

void account_init(struct account *account, struct account *parent,
		  const struct account_limit *limits);

/* Asserts that everything was given back. */
void account_fini(struct account *account);

/*
 * Takes `amount` here and at every level above. Returns NULL; or the name of the limit that forbids
 * it, and then nothing was taken.
 */
const char *account_charge(struct account *account, enum resource resource, uint64_t amount);

/* Takes it whether or not a limit forbids it: for what cannot be refused any more. */
void account_force(struct account *account, enum resource resource, uint64_t amount);

/* Gives back what was charged. */
void account_release(struct account *account, enum resource resource, uint64_t amount);

/* Whether this account or one above uses more than its limit (by account_force). */
bool account_exceeded(const struct account *account, enum resource resource);
