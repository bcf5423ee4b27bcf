/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"
#include "text.h"

#define ASK_MS 3000

/* The value of a line "KEY=VALUE" among those up to an empty line. */
static bool read_line(const char *lines, const char *key, char *ret, size_t size)
{
	size_t length = strlen(key);
	while (*lines && *lines != '\n') {
		size_t line = strcspn(lines, "\n");
		if (strncmp(lines, key, length) == 0 && lines[length] == '=') {
			snprintf(ret, size, "%.*s", (int)(line - length - 1), lines + length + 1);
			return true;
		}
		lines += line + (lines[line] == '\n');
	}
	return false;
}

/* The lines of the next unit; the end of the text where there is none. */
static const char *next_unit(const char *lines)
{
	const char *empty = strstr(lines, "\n\n");
	return empty ? empty + 2 : lines + strlen(lines);
}

bool unit_read(const char *text, const char *name, struct unit *ret)
{
	char id[64], pid[16] = "0";
	for (; *text; text = next_unit(text)) {
		if (!read_line(text, "Id", id, sizeof(id)) || strcmp(id, name) != 0)
			continue;
		*ret = (struct unit){0};
		read_line(text, "LoadState", ret->load, sizeof(ret->load));
		read_line(text, "ActiveState", ret->active, sizeof(ret->active));
		read_line(text, "UnitFileState", ret->file, sizeof(ret->file));
		read_line(text, "MainPID", pid, sizeof(pid));
		ret->main_pid = atoi(pid);
		return true;
	}
	return false;
}

bool units_ask(bool user, struct units *ret)
{
	char *argv[] = {"systemctl", user ? "--user" : "--system",
			"show",      "--property=Id,LoadState,ActiveState,UnitFileState,MainPID",
			UNIT_SOCKET, UNIT_SERVICE,
			NULL};
	struct text out = {0};
	if (access("/run/systemd/system", F_OK) < 0)
		return false;
	bool ok = program_run(argv, ASK_MS, &out) == PROGRAM_DONE &&
		  unit_read(text_cstring(&out), UNIT_SOCKET, &ret->socket) &&
		  unit_read(text_cstring(&out), UNIT_SERVICE, &ret->service);
	text_fini(&out);
	return ok;
}
