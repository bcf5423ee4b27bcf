/* SPDX-License-Identifier: MIT */
#include "io/config_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void config_errors_fini(struct config_errors *errors)
{
	free(errors->text);
	*errors = (struct config_errors){0};
}

/* A value that was read may hold anything, and a line must stay one. */
static void make_printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* "PATH:LINE: ", as editors know it. */
static void print_place(FILE *stream, const char *path, unsigned line)
{
	if (path && line > 0)
		fprintf(stream, "%s:%u: ", path, line);
	else if (path)
		fprintf(stream, "%s: ", path);
}

/* Takes the line over; NULL, or without memory: nothing changes. */
static void append(struct config_errors *errors, char *complaint)
{
	char *all;
	if (complaint && asprintf(&all, "%s%s%s", errors->text ? errors->text : "",
				  errors->text ? "\n" : "", complaint) >= 0) {
		free(errors->text);
		errors->text = all;
	}
	free(complaint);
}

void config_errors_finish(struct config_errors *errors)
{
	char *rest;
	if (errors->count > CONFIG_ERRORS_MAX &&
	    asprintf(&rest, "and %u more", errors->count - CONFIG_ERRORS_MAX) >= 0)
		append(errors, rest);
}

void config_errors_add(struct config_errors *errors, const char *path, unsigned line,
		       const char *format, ...)
{
	char *complaint = NULL;
	size_t size;
	va_list args;
	if (errors->count++ >= CONFIG_ERRORS_MAX)
		return;
	FILE *stream = open_memstream(&complaint, &size);
	if (!stream)
		return;
	print_place(stream, path, line);
	fputs(errors->label ? errors->label : "", stream);
	va_start(args, format);
	vfprintf(stream, format, args);
	va_end(args);
	if (fclose(stream) == 0) {
		make_printable(complaint);
		append(errors, complaint);
	} else {
		free(complaint);
	}
}
