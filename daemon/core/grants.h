/* SPDX-License-Identifier: MIT */
/*
 * What the access lists in force grant to whom is connected.
 *
 * The lists of the daemon and of its pools are kept here, those that are alike once, each under a
 * number. Every session has the rights that each of them grants it, worked out when it connects and
 * when lists come or change, so that a look-up is one byte: it is made with every call.
 *
 * Numbers are given again when nothing has those lists any more; what is not known grants nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/access.h"

struct core;

struct grant {
	struct access access;
	unsigned refs; /* 0: the number is free */
};

struct grants {
	struct grant *list;
	unsigned count;
};

/* Of a session. */
struct granted {
	struct identity identity; /* owned */
	uint8_t *rights;          /* by the number of the lists */
	unsigned count;
	uint8_t any; /* what some of them grant */
};

/* The number of these lists (copied), with one reference more: 0, or -ENOMEM. */
int grants_take(struct core *core, const struct access *access, unsigned *ret_number);
void grants_release(struct core *core, unsigned number);
/* When no session is left. */
void grants_fini(struct core *core);

/* What some of the lists grant. */
unsigned grants_any(const struct core *core, const struct identity *identity);

/* Takes the identity over, which is empty then whatever it returns: 0 or -ENOMEM. */
int granted_init(struct granted *granted, const struct core *core, struct identity *identity);
void granted_fini(struct granted *granted);

static inline unsigned granted_rights(const struct granted *granted, unsigned number)
{
	return number < granted->count ? granted->rights[number] : 0;
}
