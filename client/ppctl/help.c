/* SPDX-License-Identifier: MIT */
#include "help.h"

#include <string.h>

#include "arguments.h"
#include "command.h"
#include "text.h"

static const char statuses[] =
	"Exit status:\n"
	"  0  done\n"
	"  1  a function failed (map: at least one item did; doctor: something is wrong)\n"
	"  2  wrong usage, arguments, or a function, pool or job that does not exist\n"
	"  3  no daemon could be reached, or it went away\n"
	"  4  timeout, cancelled, busy, denied, worker lost, or anything else that was refused\n"
	"  A signal or a closed output pipe cancels what was submitted, and ends ppctl by that\n"
	"  signal (130 for Ctrl-C and 141 for a closed pipe, as shells show it).\n";

void help_all(struct text *out, const struct command *commands, size_t count)
{
	text_add_string(
		out, "Usage: ppctl [OPTION...] COMMAND [ARGUMENT...]\n"
		     "Calls functions in the warm worker processes of procpoold.\n\nCommands:\n");
	for (size_t i = 0; i < count; i++) {
		struct text left = {0};
		text_addf(&left, "%s%s%s", commands[i].name, *commands[i].usage ? " " : "",
			  commands[i].usage);
		text_addf(out, "  %-24s  %s\n", text_cstring(&left), commands[i].summary);
		text_fini(&left);
	}
	text_addf(out, "  %-24s  %s\n\nOptions:\n", "help [COMMAND]",
		  "show this help, or a command's");
	arguments_help(out, OPTIONS_COMMON "V");
	text_add_string(out, "\n");
	text_add_string(out, statuses);
	text_add_string(out,
			"\nTry: ppctl functions\n"
			"     ppctl apply demo.inc 41\n"
			"     find . -type f | ppctl map -r digest.sha256\n"
			"     find . -type f | ppctl --private -m digest map -r digest.sha256\n");
}

void help_command(struct text *out, const struct command *command)
{
	text_addf(out, "Usage: ppctl %s [OPTION...]%s%s\n\n%s.\n", command->name,
		  *command->usage ? " " : "", command->usage, command->summary);
	if (command->help)
		text_addf(out, "\n%s", command->help);
	text_add_string(out, "\nOptions:\n");
	struct text options = {0};
	text_addf(&options, "%s%s", command->options, OPTIONS_COMMON);
	arguments_help(out, text_cstring(&options));
	text_fini(&options);
	text_add_string(out, "\n");
	text_add_string(out, statuses);
}

#define NAME_MAX_SIZE 16

/* Levenshtein's distance; names longer than any command's are like none. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_SIZE + 1], length = strlen(b);
	if (strlen(a) > NAME_MAX_SIZE || length > NAME_MAX_SIZE)
		return NAME_MAX_SIZE;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			size_t replaced = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			size_t shorter = row[j] < row[j + 1] ? row[j] : row[j + 1];
			row[j + 1] = shorter + 1 < replaced ? shorter + 1 : replaced;
		}
	}
	return row[length];
}

void help_similar(struct text *out, const struct command *commands, size_t count, const char *name)
{
	const char *separator = "  did you mean: ";
	for (size_t i = 0; i < count; i++) {
		if (distance(commands[i].name, name) > 2)
			continue;
		text_addf(out, "%s%s", separator, commands[i].name);
		separator = ", ";
	}
	if (separator[0] == ',')
		text_add_string(out, "?\n");
}
