/* SPDX-License-Identifier: MIT */
/* As which users pools run: what the keys user and group come to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/account.h"
#include "io/config.h"
#include "io/config_access.h"
#include "io/config_errors.h"
#include "io/config_place.h"
#include "launcher.h"

/* The daemon's; and that of pools which name none, whose group names who else may be one. */
/* A pool whose user is looked at. */
struct candidate {
	const struct config *config;
	const struct config_source *source;
	struct pool_spec *spec;
	struct config_errors *errors;
	gid_t primary;
};

/* A complaint, at the place of a key, or, where it was not said, of the pool. */
#define COMPLAIN(pool, key, ...)                                                                   \
	config_errors_add((pool)->errors, config_place_in_pool((pool)->config, (pool)->spec, key), \
			  0, __VA_ARGS__)

static void check_user(const struct candidate *pool)
{
	const struct pool_spec *spec = pool->spec;
	gid_t workers;
	if (spec->uid == 0)
		COMPLAIN(pool, "user",
			 "the pool '%s' is to run as root, which nothing does that clients can "
			 "reach: name another user",
			 spec->name);
	else if (!pool->source->has_launcher && spec->uid != geteuid())
		COMPLAIN(pool, "user",
			 "the pool '%s' is to run as %s, and only the system's service starts "
			 "processes as other users: remove user, or serve it there",
			 spec->name, spec->user);
	else if (!pool->source->has_launcher)
		return;
	else if (spec->uid == geteuid() || strcmp(spec->user, LAUNCH_DAEMON_USER) == 0)
		COMPLAIN(pool, "user",
			 "the pool '%s' is to run as %s, as the daemon does, over which its "
			 "workers would have power then: name another user",
			 spec->name, spec->user);
	else if (strcmp(spec->user, LAUNCH_DEFAULT_USER) != 0 &&
		 (account_find_group(LAUNCH_GROUP, &workers, NULL) != ACCOUNT_FOUND ||
		  !account_has_group(spec->user, pool->primary, workers)))
		COMPLAIN(pool, "user",
			 "the pool '%s' is to run as %s, who is not in the group " LAUNCH_GROUP
			 ", as users of pools must be: usermod -aG " LAUNCH_GROUP " %s",
			 spec->name, spec->user, spec->user);
}

static void check_group(const struct candidate *pool)
{
	const struct pool_spec *spec = pool->spec;
	gid_t gid;
	if (!spec->group)
		return;
	if (account_find_group(spec->group, &gid, NULL) != ACCOUNT_FOUND)
		COMPLAIN(pool, "group", "the system has no group '%s' any more", spec->group);
	else if (gid == 0)
		COMPLAIN(pool, "group",
			 "the pool '%s' is to run in the group %s, which no pool may have: name "
			 "another group",
			 spec->name, spec->group);
	else if (!account_has_group(spec->user, pool->primary, gid))
		COMPLAIN(pool, "group",
			 "the pool '%s' is to run as %s in the group %s, in which this user is "
			 "not: usermod -aG %s %s",
			 spec->name, spec->user, spec->group, spec->group, spec->user);
}

/* Of names as of numbers: the name. */
static int settle_names(struct candidate *pool)
{
	struct pool_spec *spec = pool->spec;
	char *name = NULL;
	gid_t gid;
	int r = account_find_user(spec->user, &spec->uid, &pool->primary, &name);
	if (r == ACCOUNT_FOUND) {
		free(spec->user);
		spec->user = name;
	} else if (r < 0 && r != -ENOMEM) {
		COMPLAIN(pool, "user", "the system cannot say who '%s' is: %s", spec->user,
			 strerror(-r));
	} else if (r == ACCOUNT_UNKNOWN) {
		COMPLAIN(pool, "user",
			 "the system has no user '%s', as which pools run that name none: make it "
			 "(systemd-sysusers), or say user = \"NAME\"",
			 spec->user);
	}
	if (r == ACCOUNT_FOUND && spec->group &&
	    account_find_group(spec->group, &gid, &name) == ACCOUNT_FOUND) {
		free(spec->group);
		spec->group = name;
	}
	return r;
}

static int settle_user(struct candidate *pool)
{
	struct pool_spec *spec = pool->spec;
	if (!spec->user && pool->source->has_launcher) {
		spec->user = strdup(LAUNCH_DEFAULT_USER);
		if (!spec->user)
			return -ENOMEM;
	}
	if (!spec->user) {
		spec->uid = geteuid();
		if (spec->group)
			COMPLAIN(pool, "group",
				 "the pool '%s' has a group and no user: say user, too, or remove "
				 "it",
				 spec->name);
		return 0;
	}
	int r = settle_names(pool);
	if (r == ACCOUNT_FOUND) {
		check_user(pool);
		check_group(pool);
	}
	return r == -ENOMEM ? r : 0;
}

int config_settle_users(struct config *config, const struct config_source *source,
			struct config_errors *errors)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < config->pool_count; i++) {
		struct candidate pool = {config, source, config->pools[i], errors, 0};
		r = settle_user(&pool);
	}
	return r;
}
