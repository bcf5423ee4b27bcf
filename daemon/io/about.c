/* SPDX-License-Identifier: MIT */
#include "io/about.h"

#include "core/core.h"
#include "io/call.h"
#include "io/channel.h"

static void add_user(struct log_fields *fields, const struct session *session)
{
	fields->has_uid = true;
	fields->uid = session->user->uid;
}

struct log_fields about_pool(const struct pool *pool)
{
	struct log_fields fields = {.pool = pool->spec->name, .is_own_pool = pool->owner};
	if (pool->owner)
		add_user(&fields, pool->owner);
	return fields;
}

struct log_fields about_worker(const struct worker *worker)
{
	struct log_fields fields = about_pool(worker->pool);
	fields.worker = worker->number;
	fields.pid = worker->pid;
	return fields;
}

struct log_fields about_channel(const struct channel *channel)
{
	if (channel->worker)
		return about_worker(channel->worker);
	struct log_fields fields = about_pool(channel->pool);
	fields.pid = channel->pid;
	return fields;
}

struct log_fields about_session(const struct session *session)
{
	struct log_fields fields = {.session = session->id, .client = session->client};
	add_user(&fields, session);
	return fields;
}

struct log_fields about_call(const struct call *call, const struct pool *pool)
{
	struct log_fields fields = about_pool(pool);
	fields.session = call->session->id;
	fields.client = call->session->client;
	add_user(&fields, call->session);
	return fields;
}

enum log_level about_level(const struct pool *pool, enum log_level level)
{
	return pool->owner && level < LOG_LEVEL_INFO ? LOG_LEVEL_INFO : level;
}
