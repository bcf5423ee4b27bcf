/* SPDX-License-Identifier: MIT */
#include "io/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"
#include "io/journal.h"
#include "io/log_budget.h"

/* How long a line may wait for standard error, and how long none does after one waited in vain. */
#define WAIT_MS     JOURNAL_WAIT_MS
#define NO_WAIT_US  UINT64_C(1000000)
#define PREFIX_SIZE 64

static const struct {
	const char *name;
	unsigned priority; /* syslog(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* Promised by procpoold(8). */
static const char *const message_ids[LOG_KIND_COUNT] = {
	[LOG_KIND_CRASH] = "1ede84ae31d6459987de51b2415cc260",
	[LOG_KIND_SLOW] = "4ce6fe05ace444d6a848c5b27e48ec45",
	[LOG_KIND_REFUSED] = "408c8444cc28450aab3fa7f748ccf01a",
	[LOG_KIND_RELOAD] = "cb1e399a27644fdd8b1e73349ca7c902",
};

static struct {
	enum log_level level_max;
	bool is_journal; /* standard error is */
	int journal;     /* a socket; owned; -1: none */
	const char *journal_socket;
	struct log_budget budget;
	uint64_t failed_us; /* when a line was last lost; 0: none was */
	uint64_t lost;      /* lines, and not told yet */
} state = {.level_max = LOG_LEVEL_INFO, .journal = -1};

static uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- settings ---- */

/* Whether standard error is the very stream that the service manager connected to the journal: the
 * variable alone is inherited by programs that write elsewhere. */
static bool is_journal(void)
{
	const char *variable = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat stream;
	return variable && sscanf(variable, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &stream) == 0 && stream.st_dev == device &&
	       stream.st_ino == inode;
}

void log_init_at(enum log_level level, const char *journal_socket)
{
	if (state.journal >= 0)
		close(state.journal);
	memset(&state, 0, sizeof(state));
	state.level_max = level;
	state.is_journal = is_journal();
	/* Without one, lines go there by the stream. */
	state.journal = state.is_journal ? journal_open() : -1;
	state.journal_socket = journal_socket;
}

void log_init(enum log_level level)
{
	log_init_at(level, JOURNAL_SOCKET);
}

void log_set_level(enum log_level level)
{
	state.level_max = level;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

bool log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_enabled(enum log_level level)
{
	return level <= state.level_max;
}

/* ---- the journal ---- */

static void add_text(struct journal_entry *entry, const char *name, const char *value)
{
	if (value)
		journal_add(entry, name, value);
}

static void add_number(struct journal_entry *entry, const char *name, unsigned long long value)
{
	if (value > 0)
		journal_add_number(entry, name, value);
}

/* Adding one touches procpoold.8.scd, "LOG". */
static void add_fields(struct journal_entry *entry, const struct log_fields *fields)
{
	add_text(entry, "MESSAGE_ID", message_ids[fields->kind]);
	add_text(entry, "PROCPOOL_POOL", fields->pool);
	add_number(entry, "PROCPOOL_WORKER", fields->worker);
	add_number(entry, "PROCPOOL_PID", (unsigned long long)fields->pid);
	add_number(entry, "PROCPOOL_JOB", fields->job);
	add_text(entry, "PROCPOOL_FUNCTION", fields->function);
	add_text(entry, "PROCPOOL_STREAM", fields->stream);
	if (fields->has_uid)
		journal_add_number(entry, "PROCPOOL_UID", fields->uid);
	add_number(entry, "PROCPOOL_SESSION", fields->session);
	add_text(entry, "PROCPOOL_CLIENT", fields->client);
	add_number(entry, "PROCPOOL_DURATION_USEC", fields->duration_us);
	add_text(entry, "PROCPOOL_OUTCOME", fields->outcome);
}

/* Returns as journal_send(). */
static int send_to_journal(enum log_level level, const struct log_fields *fields, const char *text,
			   bool wait)
{
	struct journal_entry entry;
	entry.size = 0;
	/* First what must have room. */
	journal_add_number(&entry, "PRIORITY", levels[level].priority);
	journal_add(&entry, "SYSLOG_IDENTIFIER", "procpoold");
	journal_add(&entry, "MESSAGE", text);
	if (fields)
		add_fields(&entry, fields);
	return journal_send(state.journal, state.journal_socket, &entry, wait);
}

/* ---- standard error ---- */

/* "<3>", or "2024-05-01 12:34:56.789 procpoold: error: ". Returns its size. */
static size_t write_prefix(char line[PREFIX_SIZE], enum log_level level)
{
	struct timespec now;
	struct tm local;
	if (state.is_journal)
		return (size_t)snprintf(line, PREFIX_SIZE, "<%u>", levels[level].priority);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	size_t n = strftime(line, PREFIX_SIZE, "%Y-%m-%d %H:%M:%S", &local);
	return n + (size_t)snprintf(line + n, PREFIX_SIZE - n,
				    ".%03ld procpoold: %s: ", now.tv_nsec / 1000000,
				    levels[level].name);
}

/* Whether it was written. A pipe or a terminal that takes nothing must not stop the daemon: where
 * one can be written to, it takes a line whole. */
static bool write_to_stderr(enum log_level level, const char *text, bool wait)
{
	char line[PREFIX_SIZE + LOG_LINE_MAX + 1];
	struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&poll_fd, 1, wait ? WAIT_MS : 0) != 1)
		return false;
	size_t prefix = write_prefix(line, level), size = strlen(text);
	memcpy(line + prefix, text, size);
	line[prefix + size] = '\n';
	return write(STDERR_FILENO, line, prefix + size + 1) >= 0;
}

/* ---- lines ---- */

/* Whether somebody took it. */
static bool deliver(enum log_level level, const struct log_fields *fields, const char *text,
		    uint64_t now_us)
{
	bool wait = state.failed_us == 0 || now_us - state.failed_us >= NO_WAIT_US;
	int r = -1;
	if (state.journal >= 0)
		r = send_to_journal(level, fields, text, wait);
	if (r == JOURNAL_SENT || (r < 0 && write_to_stderr(level, text, wait)))
		return true;
	if (wait)
		state.failed_us = now_us;
	return false;
}

/* Of what source_of() names. */
static struct log_fields fields_of(const struct log_source *source)
{
	struct log_fields fields = {0};
	unsigned uid;
	if (strncmp(source->name, "pool ", 5) == 0)
		fields.pool = source->name + 5;
	else if (sscanf(source->name, "user %u", &uid) == 1)
		fields = (struct log_fields){.has_uid = true, .uid = uid};
	return fields;
}

static void tell_dropped(uint64_t now_us)
{
	struct log_source source;
	char text[256];
	while (log_budget_next_dropped(&state.budget, now_us, &source)) {
		snprintf(text, sizeof(text),
			 "%s: %llu lines were not logged: too many in %llu seconds", source.name,
			 (unsigned long long)source.dropped,
			 (unsigned long long)(LOG_PERIOD_US / 1000000));
		struct log_fields fields = fields_of(&source);
		if (!deliver(LOG_LEVEL_WARNING, &fields, text, now_us))
			state.lost++;
	}
}

static void tell_lost(uint64_t now_us)
{
	char text[128];
	tell_dropped(now_us);
	if (state.lost == 0 || now_us - state.failed_us < NO_WAIT_US)
		return;
	snprintf(text, sizeof(text), "%llu lines of the log were lost: %s took nothing",
		 (unsigned long long)state.lost,
		 state.is_journal ? "the journal" : "standard error");
	if (deliver(LOG_LEVEL_WARNING, NULL, text, now_us))
		state.lost = 0;
}

uint64_t log_due_us(void)
{
	uint64_t dropped_us = log_budget_due_us(&state.budget);
	uint64_t lost_us = state.lost > 0 ? state.failed_us + LOG_PERIOD_US : UINT64_MAX;
	return dropped_us < lost_us ? dropped_us : lost_us;
}

void log_tell_lost(void)
{
	tell_lost(clock_us());
}

void log_fini(void)
{
	tell_lost(UINT64_MAX);
}

/* Whose line it is, to be written to name; NULL: the daemon's own. */
static const char *source_of(const struct log_fields *fields, char name[LOG_SOURCE_SIZE])
{
	if (!fields || (!fields->pool && !fields->has_uid))
		return NULL;
	if (fields->pool && (!fields->is_own_pool || !fields->has_uid))
		snprintf(name, LOG_SOURCE_SIZE, "pool %s", fields->pool);
	else
		snprintf(name, LOG_SOURCE_SIZE, "user %u", (unsigned)fields->uid);
	return name;
}

/* What fits of a sentence, made fit to be shown. */
static void show(char text[LOG_LINE_MAX], const char *sentence, bool cut)
{
	static const char more[] = "...";
	size_t room = LOG_LINE_MAX - sizeof(more), size;
	bool whole = text_line(text, room, sentence, strlen(sentence), &size);
	memcpy(text + size, more, whole && !cut ? 0 : sizeof(more) - 1);
	text[size + (whole && !cut ? 0 : sizeof(more) - 1)] = '\0';
}

/* Whether the line may be logged, for log_budget_charge(). */
static struct log_source *take(enum log_level level, const struct log_fields *fields,
			       uint64_t now_us)
{
	char source[LOG_SOURCE_SIZE];
	/* How grave a worker calls its own words does not make them so. */
	if (fields && fields->stream && level < LOG_LEVEL_INFO)
		level = LOG_LEVEL_INFO;
	return log_budget_take(&state.budget, source_of(fields, source), level, now_us);
}

void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
	char sentence[LOG_LINE_MAX], text[LOG_LINE_MAX];
	if (!log_enabled(level))
		return;
	int error = errno;
	uint64_t now_us = clock_us();
	tell_lost(now_us);
	struct log_source *source = take(level, fields, now_us);
	if (source) {
		va_list args;
		va_start(args, format);
		int n = vsnprintf(sentence, sizeof(sentence), format, args);
		va_end(args);
		show(text, n < 0 ? "a line that could not be formatted" : sentence,
		     n >= (int)sizeof(sentence));
		log_budget_charge(&state.budget, source, strlen(text));
		if (!deliver(level, fields, text, now_us))
			state.lost++;
	}
	errno = error;
}
