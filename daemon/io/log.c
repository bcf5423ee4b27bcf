/* SPDX-License-Identifier: MIT */
#include "io/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *priority; /* sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", SD_ERR},
	[LOG_LEVEL_WARNING] = {"warning", SD_WARNING},
	[LOG_LEVEL_INFO] = {"info", SD_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", SD_DEBUG},
};

static enum log_level level_max = LOG_LEVEL_INFO;
static bool to_journal;

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

void log_init(enum log_level level)
{
	level_max = level;
	to_journal = is_journal();
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
	return level <= level_max;
}

/* "<3>", or "2024-05-01 12:34:56.789 procpoold: error: ". Returns its size. */
static size_t write_prefix(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm local;
	if (to_journal)
		return (size_t)snprintf(line, size, "%s", levels[level].priority);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	size_t n = strftime(line, size, "%Y-%m-%d %H:%M:%S", &local);
	return n + (size_t)snprintf(line + n, size - n,
				    ".%03ld procpoold: %s: ", now.tv_nsec / 1000000,
				    levels[level].name);
}

void log_line(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	int error = errno;
	char line[LOG_LINE_MAX + 1];
	size_t size = write_prefix(line, LOG_LINE_MAX, level), start = size;

	va_list args;
	va_start(args, format);
	int n = vsnprintf(line + size, LOG_LINE_MAX - size, format, args);
	va_end(args);
	if (n > 0 && (size_t)n >= LOG_LINE_MAX - size) {
		size = LOG_LINE_MAX - 1;
		memcpy(line + size - 3, "...", 3);
	} else if (n > 0) {
		size += (size_t)n;
	}
	for (size_t i = start; i < size; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	line[size++] = '\n';
	/* Nobody could be told that it failed. */
	(void)!write(STDERR_FILENO, line, size);
	errno = error;
}
