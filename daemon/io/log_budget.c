/* SPDX-License-Identifier: MIT */
#include "io/log_budget.h"

#include <stdio.h>
#include <string.h>

static bool is_over(const struct log_budget *budget, uint64_t now_us)
{
	return now_us - budget->since_us >= LOG_PERIOD_US;
}

/* What a source has on it when so many periods are over. */
static unsigned strikes_after(const struct log_source *source, uint64_t periods)
{
	unsigned strikes = source->strikes;
	if (source->over)
		strikes += strikes < LOG_STRIKES_MAX;
	else if (strikes > 0)
		strikes--;
	return strikes > periods - 1 ? strikes - (unsigned)(periods - 1) : 0;
}

static void begin_period(struct log_budget *budget, uint64_t now_us)
{
	uint64_t periods = budget->since_us ? (now_us - budget->since_us) / LOG_PERIOD_US : 1;
	unsigned kept = 0;
	for (unsigned i = 0; i < budget->source_count; i++) {
		struct log_source *source = &budget->sources[i];
		unsigned strikes = strikes_after(source, periods);
		if (strikes == 0)
			continue;
		struct log_source *next = &budget->sources[kept++];
		*next = *source;
		next->strikes = strikes;
		next->lines = 0;
		next->over = false;
	}
	budget->source_count = kept;
	budget->since_us = now_us;
	budget->lines = 0;
	budget->dropped = false;
	budget->own = (struct log_source){.name = "the daemon"};
	budget->others = (struct log_source){.name = "other pools and users",
					     .strikes = strikes_after(&budget->others, periods)};
}

static struct log_source *find_source(struct log_budget *budget, const char *name)
{
	char cut[LOG_SOURCE_SIZE];
	if (!name)
		return &budget->own;
	snprintf(cut, sizeof(cut), "%s", name);
	for (unsigned i = 0; i < budget->source_count; i++)
		if (strcmp(budget->sources[i].name, cut) == 0)
			return &budget->sources[i];
	if (budget->source_count == LOG_SOURCES_MAX)
		return &budget->others;
	struct log_source *source = &budget->sources[budget->source_count++];
	*source = (struct log_source){0};
	memcpy(source->name, cut, sizeof(cut));
	return source;
}

/* How many of these lines may be of this level, or less grave. */
static unsigned share(unsigned lines, enum log_level level)
{
	return lines / 4 * (4 - (unsigned)level);
}

static void count_lines(struct log_budget *budget, struct log_source *source, unsigned lines)
{
	source->lines += lines;
	if (source != &budget->own)
		budget->lines += lines;
}

struct log_source *log_budget_take(struct log_budget *budget, const char *name,
				   enum log_level level, uint64_t now_us)
{
	if (budget->since_us == 0 || (is_over(budget, now_us) && !budget->dropped))
		begin_period(budget, now_us);
	struct log_source *source = find_source(budget, name);
	bool own = source == &budget->own;
	unsigned room = share(own ? LOG_LINES_OWN : LOG_LINES_SOURCE >> source->strikes, level);
	if (source->lines >= room || (!own && budget->lines >= share(LOG_LINES_ALL, level))) {
		source->dropped++;
		source->over = budget->dropped = true;
		return NULL;
	}
	count_lines(budget, source, 1);
	return source;
}

void log_budget_charge(struct log_budget *budget, struct log_source *source, size_t bytes)
{
	count_lines(budget, source, (unsigned)(bytes / LOG_LINE_BYTES));
}

uint64_t log_budget_due_us(const struct log_budget *budget)
{
	return budget->dropped ? budget->since_us + LOG_PERIOD_US : UINT64_MAX;
}

bool log_budget_next_dropped(struct log_budget *budget, uint64_t now_us, struct log_source *ret)
{
	if (!budget->dropped || !is_over(budget, now_us))
		return false;
	struct log_source *source = budget->own.dropped > 0 ? &budget->own : NULL;
	for (unsigned i = 0; i < budget->source_count && !source; i++)
		if (budget->sources[i].dropped > 0)
			source = &budget->sources[i];
	if (!source && budget->others.dropped > 0)
		source = &budget->others;
	if (!source) {
		budget->dropped = false;
		return false;
	}
	*ret = *source;
	source->dropped = 0;
	return true;
}
