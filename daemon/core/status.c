/* SPDX-License-Identifier: MIT */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "core/text.h"

/* Of what a pool fails for. */
#define REASON_BYTES 160

/* What is counted of all pools. */
struct counts {
	unsigned pools, settled, failing;
	uint64_t workers, busy, waiting;
};

bool status_is_settled(const struct pool *pool)
{
	return pool->state != POOL_OPEN || pool->ready_count >= pool->target ||
	       pool->failures > 0 || pool->restarts > 0;
}

static bool is_failing(const struct pool *pool)
{
	return !pool->owner && pool->failure.value.size > 0;
}

static unsigned idle_count(const struct pool *pool)
{
	const struct worker *worker;
	unsigned count = 0;
	TAILQ_FOREACH (worker, &pool->idle, in_idle)
		count++;
	return count;
}

static struct counts count(const struct core *core)
{
	const struct pool *pool;
	struct counts counts = {0};
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		unsigned busy = pool->ready_count - idle_count(pool);
		counts.pools++;
		counts.settled += status_is_settled(pool);
		counts.failing += is_failing(pool);
		counts.workers += pool->ready_count;
		counts.busy += busy;
		/* What a worker was sent ahead waits there. */
		counts.waiting += pool->waiting + (pool->running > busy ? pool->running - busy : 0);
	}
	return counts;
}

__attribute__((format(printf, 2, 3))) static void append(char text[STATUS_SIZE], const char *format,
							 ...)
{
	size_t used = strlen(text);
	va_list args;
	va_start(args, format);
	vsnprintf(text + used, STATUS_SIZE - used, format, args);
	va_end(args);
}

/* As much as fits of what a runtime said, which is hostile, with whole characters and no line end.
 */
static void append_said(char text[STATUS_SIZE], const char *said, size_t size)
{
	char part[REASON_BYTES + sizeof("...")];
	size_t used = 0;
	for (size_t i = 0; i < size;) {
		int n = text_character((const uint8_t *)said + i, size - i);
		size_t step = n > 0 ? (size_t)n : 1;
		if (used + step > REASON_BYTES) {
			memcpy(part + used, "...", 3);
			used += 3;
			break;
		}
		if (n > 0)
			memcpy(part + used, said + i, step);
		else
			part[used] = ' ';
		used += step;
		i += step;
	}
	append(text, "%.*s", (int)used, part);
}

/*
 * Why a pool fails. What an exception says may be of what only callers are to know, such as where
 * an initializer connects and how: of one, its type alone is for everybody.
 */
static void append_reason(char text[STATUS_SIZE], const struct pool *pool)
{
	struct procpool_value error = span_value(pool->failure.value);
	const char *name = pool->spec->name;
	struct slice said;
	if (slice_of(procpool_value_get(error, "type"), &said)) {
		append(text, ": ");
		append_said(text, said.data, said.size);
		append(text, " (see ppctl pools)");
	} else if (slice_of(procpool_value_get(error, "message"), &said)) {
		size_t known = strlen("pool : ") + strlen(name);
		bool repeats = said.size > known && memcmp(said.data, "pool ", 5) == 0 &&
			       memcmp(said.data + 5, name, strlen(name)) == 0;
		append(text, ": ");
		append_said(text, repeats ? said.data + known : said.data,
			    repeats ? said.size - known : said.size);
	}
}

/* The first pool that fails and why, and how many others do. */
static void append_failing(char text[STATUS_SIZE], const struct core *core, unsigned failing)
{
	const struct pool *pool;
	if (failing == 0)
		return;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (is_failing(pool))
			break;
	append(text, "; pool %s fails", pool->spec->name);
	append_reason(text, pool);
	if (failing > 1)
		append(text, "; %u other%s", failing - 1,
		       failing > 2 ? "s fail, too" : " fails, too");
}

static void append_paused(char text[STATUS_SIZE], const struct core *core)
{
	const struct pool *pool;
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (!pool->owner && pool->state == POOL_OPEN && (pool->paused || pool->draining))
			append(text, "; pool %s is %s", pool->spec->name, pool_state_name(pool));
}

void status_of_start(const struct core *core, char text[STATUS_SIZE])
{
	const struct pool *pool;
	struct counts counts = count(core);
	text[0] = '\0';
	append(text, "Starting: %u of %u pool%s ready", counts.settled - counts.failing,
	       counts.pools, counts.pools == 1 ? "" : "s");
	TAILQ_FOREACH (pool, &core->pools, in_core)
		if (!status_is_settled(pool)) {
			append(text, ", pool %s loads", pool->spec->name);
			break;
		}
	append_failing(text, core, counts.failing);
}

void status_of_service(const struct core *core, char text[STATUS_SIZE])
{
	struct counts counts = count(core);
	text[0] = '\0';
	if (counts.pools == 0) {
		append(text, "No pool is configured: see procpoold.conf(5)");
		return;
	}
	append(text, "%u pool%s, %llu worker%s ready, %llu running, %llu waiting", counts.pools,
	       counts.pools == 1 ? "" : "s", (unsigned long long)counts.workers,
	       counts.workers == 1 ? "" : "s", (unsigned long long)counts.busy,
	       (unsigned long long)counts.waiting);
	append_failing(text, core, counts.failing);
	append_paused(text, core);
}

void status_of_end(const struct core *core, uint64_t now_us, char text[STATUS_SIZE])
{
	struct counts counts = count(core);
	uint64_t over_us = core->grace_timer.at_us;
	text[0] = '\0';
	append(text, "Ending");
	if (core->grace_over || core->grace_timer.place == 0)
		append(text, ": killing what still runs");
	else if (counts.busy > 0)
		append(text, ": %llu running, which may take %llu s",
		       (unsigned long long)counts.busy,
		       over_us > now_us ? (unsigned long long)(over_us - now_us + 999999) / 1000000
					: 0);
}
