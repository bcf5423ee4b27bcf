/* SPDX-License-Identifier: MIT */
/* What sessions were told, looked up. */
#include "../unit/test.h"
#include "world.h"

const struct record *world_reply(struct world *world, uint32_t msgid)
{
	const struct record *found = NULL;
	for (size_t i = 0; i < world->record_count; i++) {
		const struct record *record = &world->records[i];
		if (record->type != ACTION_REPLY || record->msgid != msgid)
			continue;
		assert_null(found);
		found = record;
	}
	return found;
}

static bool is_push(const struct record *record, enum action_type type,
		    const struct session *session, uint64_t job_id)
{
	return record->type == type && record->session == session &&
	       (job_id == 0 || record->job_id == job_id);
}

unsigned world_count(struct world *world, enum action_type type, struct session *session,
		     uint64_t job_id)
{
	unsigned count = 0;
	for (size_t i = 0; i < world->record_count; i++)
		count += is_push(&world->records[i], type, session, job_id);
	return count;
}

const struct record *world_push(struct world *world, enum action_type type, struct session *session,
				uint64_t job_id)
{
	for (size_t i = world->record_count; i > 0; i--)
		if (is_push(&world->records[i - 1], type, session, job_id))
			return &world->records[i - 1];
	return NULL;
}

struct procpool_value record_value(const struct record *record)
{
	return (struct procpool_value){record->data, record->size};
}

int64_t record_int(const struct record *record, const char *key)
{
	int64_t number = 0;
	assert_non_null(record);
	assert_true(procpool_value_int(procpool_value_get(record_value(record), key), &number));
	return number;
}

double record_double(const struct record *record, const char *key)
{
	double number = 0;
	assert_non_null(record);
	assert_true(procpool_value_double(procpool_value_get(record_value(record), key), &number));
	return number;
}
