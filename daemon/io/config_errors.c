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

void config_errors_add(struct config_errors *errors, const char *path, unsigned line,
		       const char *format, ...)
{
	char *all = NULL;
	size_t size;
	va_list args;
	if (errors->count++ >= CONFIG_ERRORS_MAX)
		return;
	FILE *stream = open_memstream(&all, &size);
	if (!stream)
		return;
	if (errors->text)
		fprintf(stream, "%s\n", errors->text);
	if (path && line > 0)
		fprintf(stream, "%s:%u: ", path, line);
	else if (path)
		fprintf(stream, "%s: ", path);
	va_start(args, format);
	vfprintf(stream, format, args);
	va_end(args);
	if (fclose(stream) == 0) {
		free(errors->text);
		errors->text = all;
	} else {
		free(all);
	}
}
