/* SPDX-License-Identifier: MIT */
#include "core/account.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void account_init(struct account *account, struct account *parent,
		  const struct account_limit *limits)
{
	memset(account, 0, sizeof(*account));
	account->parent = parent;
	account->limits = limits;
}

void account_fini(struct account *account)
{
	for (int r = 0; r < RESOURCE_COUNT; r++)
		assert(account->used[r] == 0);
}

/* The first level, from the root, that has no room. */
static const char *find_refusal(const struct account *account, enum resource resource,
				uint64_t amount)
{
	if (!account)
		return NULL;
	const char *refusal = find_refusal(account->parent, resource, amount);
	if (refusal)
		return refusal;
	const struct account_limit *limit = &account->limits[resource];
	if (!limit->name)
		return NULL;
	uint64_t used = account->used[resource];
	return used > limit->value || amount > limit->value - used ? limit->name : NULL;
}

const char *account_charge(struct account *account, enum resource resource, uint64_t amount)
{
	const char *refusal = find_refusal(account, resource, amount);
	if (!refusal)
		account_force(account, resource, amount);
	return refusal;
}

void account_force(struct account *account, enum resource resource, uint64_t amount)
{
	for (; account; account = account->parent)
		account->used[resource] += amount;
}

void account_release(struct account *account, enum resource resource, uint64_t amount)
{
	for (; account; account = account->parent) {
		assert(account->used[resource] >= amount);
		account->used[resource] -= amount;
	}
}

bool account_exceeded(const struct account *account, enum resource resource)
{
	for (; account; account = account->parent) {
		const struct account_limit *limit = &account->limits[resource];
		if (limit->name && account->used[resource] > limit->value)
			return true;
	}
	return false;
}
