/* SPDX-License-Identifier: MIT */
#include "core/update.h"

#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/policy.h"
#include "core/publish.h"
#include "core/recycle.h"

/* One that has been made, until all pools have settled. */
struct update {
	struct session *session; /* is to be told; NULL: nobody */
	uint32_t msgid;
	struct outcome done; /* held: what was changed */
	TAILQ_ENTRY(update) in_core;
};

/* ---- who waits ---- */

static struct update *create(struct core *core, struct session *session, uint32_t msgid,
			     struct outcome *ret_error)
{
	const char *limit = session ? account_charge(&session->account, RESOURCE_WAITS, 1) : NULL;
	if (limit) {
		*ret_error = error_over_limit(limit);
		return NULL;
	}
	struct update *update = calloc(1, sizeof(*update));
	if (!update) {
		if (session)
			account_release(&session->account, RESOURCE_WAITS, 1);
		*ret_error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
		return NULL;
	}
	update->session = session;
	update->msgid = msgid;
	TAILQ_INSERT_TAIL(&core->updates, update, in_core);
	return update;
}

static void leave_session(struct update *update)
{
	if (update->session)
		account_release(&update->session->account, RESOURCE_WAITS, 1);
	update->session = NULL;
}

static void destroy(struct core *core, struct update *update)
{
	leave_session(update);
	TAILQ_REMOVE(&core->updates, update, in_core);
	outcome_fini(&update->done);
	free(update);
}

void update_forget_session(struct core *core, const struct session *session)
{
	struct update *update;
	TAILQ_FOREACH (update, &core->updates, in_core)
		if (update->session == session)
			leave_session(update);
}

/* ---- the end ---- */

/* The message of an error of the pool, without its name at the beginning. */
static struct slice reason_of(const struct pool *pool, const struct outcome *error)
{
	struct slice text = {"", 0};
	const char *name = pool->spec->name;
	size_t size = strlen(name), begin = size + strlen("pool : ");
	slice_of(procpool_value_get(span_value(error->value), "message"), &text);
	if (text.size > begin && memcmp(text.data, "pool ", 5) == 0 &&
	    memcmp(text.data + 5, name, size) == 0 && memcmp(text.data + 5 + size, ": ", 2) == 0)
		return (struct slice){text.data + begin, text.size - begin};
	return text;
}

/* Of the first pool that failed, in words. */
static struct outcome describe_failure(const struct pool *pool)
{
	const struct outcome *error = &pool->update_error;
	struct slice reason = reason_of(pool, error);
	bool keeps = pool->refusal.value.size > 0;
	/* The daemon's own end is no failure of the pool. */
	if (error->code == ERR_SHUTTING_DOWN)
		return (struct outcome){error->code, span_hold(error->value)};
	return error_outcome(ERR_INITIALIZER_FAILED, "pool %s %s: %.*s", pool->spec->name,
			     keeps ? "keeps its old code" : "does not serve", (int)reason.size,
			     reason.data);
}

static void write_failure(struct procpool_writer *w, const struct pool *pool)
{
	procpool_write_map(w, 2);
	procpool_write_string(w, "pool");
	procpool_write_string(w, pool->spec->name);
	procpool_write_string(w, "error");
	procpool_write_value(w, span_value(pool->update_error.value));
}

/* Takes what pools failed for: an error with all of it, or nil. */
static struct outcome take_failures(struct core *core)
{
	struct outcome error = outcome_nil();
	struct procpool_writer w;
	struct pool *pool;
	uint32_t count = 0;
	procpool_writer_init(&w);
	size_t place = procpool_write_open_array(&w);
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (pool->update_error.value.size == 0)
			continue;
		if (count++ == 0)
			error = describe_failure(pool);
		write_failure(&w, pool);
		outcome_fini(&pool->update_error);
	}
	procpool_write_count(&w, place, count);
	if (count > 0)
		error = error_with_value(error, "failed", procpool_writer_value(&w));
	procpool_writer_fini(&w);
	return error;
}

/* The answer to an update: what was changed, or what failed besides. Held. */
static struct outcome answer(const struct update *update, const struct outcome *failure)
{
	static const char *const keys[] = {"changed", "added", "removed", "restart"};
	const struct outcome *end = failure->code != ERR_NONE ? failure : &update->done;
	struct outcome outcome = {end->code, span_hold(end->value)};
	for (size_t i = 0; end == failure && i < sizeof(keys) / sizeof(*keys); i++)
		outcome = error_with_value(
			outcome, keys[i],
			procpool_value_get(span_value(update->done.value), keys[i]));
	return outcome;
}

/* All pools have settled. */
static void finish(struct core *core)
{
	struct update *update;
	struct outcome failure = take_failures(core);
	while ((update = TAILQ_FIRST(&core->updates))) {
		struct outcome outcome = answer(update, &failure);
		if (update->session)
			core_reply(core, update->session, update->msgid, &outcome);
		outcome_fini(&outcome);
		destroy(core, update);
	}
	core_add_action(core, ACTION_UPDATED)->outcome = failure;
}

static void settled(struct core *core)
{
	if (core->updating_count == 0 && !core->updating)
		finish(core);
}

/* It is not waited for, and nothing that it failed for is of interest. */
static void forget_pool(struct pool *pool)
{
	if (pool->updating)
		pool->core->updating_count--;
	pool->updating = false;
	outcome_fini(&pool->update_error);
}

static void note_failure(struct pool *pool, const struct outcome *error)
{
	outcome_fini(&pool->update_error);
	pool->update_error = (struct outcome){error->code, span_hold(error->value)};
}

void update_pool_settled(struct pool *pool, const struct outcome *error)
{
	if (!pool->updating)
		return;
	forget_pool(pool);
	if (error)
		note_failure(pool, error);
	settled(pool->core);
}

/* ---- the change ---- */

static void expect(struct pool *pool)
{
	forget_pool(pool);
	pool->updating = true;
	pool->core->updating_count++;
}

static enum update_change change_pool(struct pool *pool, struct pool_spec *spec, uint64_t now_us)
{
	struct pool_spec *before = pool->spec;
	unsigned differ = pool_spec_differ(before, spec);
	/* Also where it failed before: it may load now. */
	bool other = pool_spec_differ(recycle_next(pool), spec) & POOL_SPEC_PROCESSES;
	pool->spec = pool_spec_ref(spec);
	if (differ & POOL_SPEC_POLICIES)
		policy_change(pool, before, now_us);
	pool_spec_unref(before);
	if (other || differ & POOL_SPEC_PROCESSES) {
		expect(pool);
		recycle_update(pool, now_us);
	}
	return differ != 0 || pool->updating ? UPDATE_CHANGED : UPDATE_SAME;
}

static void change_access(struct pool *pool)
{
	if (pool_set_access(pool, &pool->spec->access) == 0)
		return;
	struct outcome error = error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
	note_failure(pool, &error);
	outcome_fini(&error);
}

static void remove_pool(struct pool *pool, uint64_t now_us)
{
	forget_pool(pool);
	pool_close(pool, now_us);
}

/* The pool of the configuration that is there, if any; its namesake that winds up is not. */
static struct pool *find_configured(struct core *core, const char *name)
{
	struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (!pool->owner && pool->state == POOL_OPEN && strcmp(pool->spec->name, name) == 0)
			return pool;
	return NULL;
}

static bool add_pool(struct core *core, struct pool_spec *spec, uint64_t now_us)
{
	struct pool *pool = core_add_pool(core, spec, now_us);
	if (!pool)
		return false;
	pool->change = UPDATE_ADDED;
	expect(pool);
	return true;
}

/* False: there was no memory for some that were to be added. */
static bool change_pools(struct core *core, const struct update_plan *plan, uint64_t now_us)
{
	struct pool *pool;
	bool whole = true;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		pool->change =
			pool->owner || pool->state != POOL_OPEN ? UPDATE_SAME : UPDATE_REMOVED;
	for (size_t i = 0; i < plan->count; i++) {
		pool = find_configured(core, plan->specs[i]->name);
		if (pool) {
			pool->change = change_pool(pool, plan->specs[i], now_us);
			change_access(pool);
		} else {
			whole &= add_pool(core, plan->specs[i], now_us);
		}
	}
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (pool->change == UPDATE_REMOVED)
			remove_pool(pool, now_us);
	return whole;
}

/* ---- what has been done ---- */

static void write_pools(struct procpool_writer *w, const struct core *core, const char *key,
			enum update_change change)
{
	const struct pool *pool;
	uint32_t count = 0;
	procpool_write_string(w, key);
	size_t place = procpool_write_open_array(w);
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		if (pool->change != change)
			continue;
		procpool_write_string(w, pool->spec->name);
		count++;
	}
	procpool_write_count(w, place, count);
}

static struct outcome describe(const struct core *core, const char *const *restart)
{
	struct procpool_writer w;
	uint32_t count = 0;
	procpool_writer_init(&w);
	procpool_write_map(&w, 4);
	write_pools(&w, core, "changed", UPDATE_CHANGED);
	write_pools(&w, core, "added", UPDATE_ADDED);
	write_pools(&w, core, "removed", UPDATE_REMOVED);
	procpool_write_string(&w, "restart");
	size_t place = procpool_write_open_array(&w);
	for (; restart && restart[count]; count++)
		procpool_write_string(&w, restart[count]);
	procpool_write_count(&w, place, count);
	return outcome_of_writer(&w);
}

bool core_update(struct core *core, struct session *session, uint32_t msgid,
		 const struct update_plan *plan, uint64_t now_us, struct outcome *ret)
{
	if (core->stopping) {
		*ret = error_outcome(ERR_SHUTTING_DOWN, "the daemon is ending");
		return false;
	}
	struct update *update = create(core, session, msgid, ret);
	if (!update)
		return false;
	core->updating = true;
	bool whole = change_pools(core, plan, now_us);
	update->done = whole ? describe(core, plan->restart)
			     : error_outcome(ERR_OUT_OF_MEMORY,
					     "the daemon has no memory left for all of its pools");
	*ret = (struct outcome){update->done.code, span_hold(update->done.value)};
	core->updating = false;
	settled(core);
	return true;
}
