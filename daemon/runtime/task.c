/* SPDX-License-Identifier: MIT */
#include "runtime/task.h"

#include "proto/frame.h"
#include "proto/page.h"
#include "proto/worker.h"

/* All of them may be absent, and there may be others. */
static void parse_options(struct procpool_value options, struct task *ret)
{
	struct procpool_iter it = procpool_iter(options);
	struct procpool_value key, value;
	uint64_t attempt;
	while (procpool_iter_next_pair(&it, &key, &value)) {
		if (procpool_value_is(key, "kwargs") && procpool_value_count(value) > 0)
			ret->kwargs = value;
		else if (procpool_value_is(key, "pickle"))
			ret->pickle = value;
		else if (procpool_value_is(key, "timeout"))
			ret->has_timeout = true;
		else if (procpool_value_is(key, "attempt") &&
			 procpool_value_uint(value, &attempt) && attempt <= UINT32_MAX)
			ret->attempt = (uint32_t)attempt;
	}
}

bool task_parse(struct procpool_value message, struct task *ret)
{
	struct procpool_iter it = procpool_iter(message);
	struct procpool_value number, seq, job, function, star;
	uint64_t seq_number;
	const void *name;
	if (it.remaining < 6 || procpool_value_type(message) != PROCPOOL_ARRAY)
		return false;
	procpool_iter_next(&it, &number);
	procpool_iter_next(&it, &seq);
	procpool_iter_next(&it, &job);
	procpool_iter_next(&it, &function);
	procpool_iter_next(&it, &star);
	if (!procpool_value_uint(seq, &seq_number) || seq_number > UINT32_MAX ||
	    !procpool_value_uint(job, &ret->job) ||
	    !procpool_value_bytes(function, &name, &ret->name_size) ||
	    !procpool_value_bool(star, &ret->star))
		return false;

	/* The items may be many: they are visited once, when they are run. */
	struct frame_header items;
	if (frame_header_decode(it.next, (size_t)(it.end - it.next), &items) != 0 ||
	    items.kind != PROCPOOL_ARRAY || items.children > PAGE_BEGUN_MAX)
		return false;
	ret->seq = (uint32_t)seq_number;
	ret->name = name;
	ret->count = (uint32_t)items.children;
	ret->items = it.next + items.size;
	ret->items_end = it.end;
	ret->has_timeout = false;
	ret->kwargs = ret->pickle = (struct procpool_value){0};
	ret->attempt = 1;
	if (it.remaining > 1)
		parse_options(procpool_value_at(message, 6), ret);
	return true;
}
