/* SPDX-License-Identifier: MIT */
#include "runtime/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "procpool/module.h"

#define LINE_MAX_BYTES 1023U

static struct flusher *_Atomic attached;

void log_attach(struct flusher *flusher)
{
	atomic_store(&attached, flusher);
}

/* Line ends become spaces; at the end they are dropped. */
static void make_one_line(char *text)
{
	size_t size = strlen(text);
	while (size > 0 && text[size - 1] == '\n')
		text[--size] = '\0';
	for (char *p = text; (p = strchr(p, '\n'));)
		*p = ' ';
}

void procpool_log(enum procpool_log_level level, const char *format, ...)
{
	static const char *const names[] = {
		[PROCPOOL_LOG_ERROR] = "error",
		[PROCPOOL_LOG_WARNING] = "warning",
		[PROCPOOL_LOG_INFO] = "info",
		[PROCPOOL_LOG_DEBUG] = "debug",
	};
	struct flusher *flusher = atomic_load(&attached);
	if (!flusher || (size_t)level >= sizeof(names) / sizeof(names[0]))
		return;
	char line[LINE_MAX_BYTES + 1];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	make_one_line(line);
	flusher_log(flusher, names[level], line);
}
