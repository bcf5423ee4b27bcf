/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

#define INTERVAL_MS 200

static void print(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return; /* a status line is no reason to fail */
}

void progress_init(struct progress *progress, bool wanted)
{
	int64_t now = session_now_ms();
	*progress = (struct progress){
		.enabled = wanted && isatty(STDERR_FILENO),
		.beside_output = isatty(STDOUT_FILENO),
		.started_ms = now,
		.next_ms = now + INTERVAL_MS,
	};
}

void progress_update(struct progress *progress, uint64_t done, uint64_t failed, uint64_t running)
{
	int64_t now = session_now_ms();
	if (!progress->enabled || now < progress->next_ms)
		return;
	char line[128];
	double seconds = (double)(now - progress->started_ms) / 1000;
	snprintf(line, sizeof(line),
		 "\r%" PRIu64 " done, %" PRIu64 " failed, %" PRIu64 " running, %.0f/s\033[K", done,
		 failed, running, (double)done / seconds);
	print(line);
	progress->shown = true;
	progress->next_ms = now + INTERVAL_MS;
}

void progress_erase(struct progress *progress)
{
	if (progress->shown)
		print("\r\033[K");
	progress->shown = false;
}

void progress_before_output(struct progress *progress)
{
	if (progress->beside_output)
		progress_erase(progress);
}

int progress_timeout_ms(const struct progress *progress)
{
	if (!progress->enabled)
		return -1;
	int64_t left = progress->next_ms - session_now_ms();
	return left > 0 ? (int)left : 0;
}
