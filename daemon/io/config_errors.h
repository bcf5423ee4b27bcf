/* SPDX-License-Identifier: MIT */
/* What is wrong with a configuration: complaints, each a line that begins with its place. */
#pragma once

#include <stddef.h>

/* More than these help nobody. */
#define CONFIG_ERRORS_MAX 20

/* All zero is none. */
struct config_errors {
	char *text; /* owned: lines, without the end of the last one; NULL: none, or no memory */
	unsigned count;
	const char *label; /* behind the place of each: "warning: "; or NULL */
};

void config_errors_fini(struct config_errors *errors);

/* Of more than CONFIG_ERRORS_MAX the rest is counted only: adds a line on these. */
void config_errors_finish(struct config_errors *errors);

/* path NULL: no place; line 0: no line of it. */
__attribute__((format(printf, 4, 5))) void config_errors_add(struct config_errors *errors,
							     const char *path, unsigned line,
							     const char *format, ...);
