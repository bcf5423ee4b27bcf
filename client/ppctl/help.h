/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

struct command;
struct text;

/* All commands, the options that work everywhere and the exit statuses. */
void help_all(struct text *out, const struct command *commands, size_t count);
/* One command. */
void help_command(struct text *out, const struct command *command);
/* The commands whose names are like a wrong one, or nothing: "  did you mean: ...". */
void help_similar(struct text *out, const struct command *commands, size_t count, const char *name);
