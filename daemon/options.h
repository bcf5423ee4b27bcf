/* SPDX-License-Identifier: MIT */
/* procpoold's command line. */
#pragma once

#include <stdbool.h>

#include "io/config.h"

/* What procpoold is to do. */
enum options_task {
	OPTIONS_SERVE = 0,
	OPTIONS_CHECK, /* say whether the configuration is right */
	OPTIONS_PRINT, /* print it */
};

/* What the command line said. Strings are borrowed from argv. */
struct options {
	struct config_source source; /* owns the array of modules */
	enum options_task task;
	int creator; /* of a private daemon: a pidfd; -1: its parent */
};

enum options_status {
	OPTIONS_RUN = 0,
	OPTIONS_EXIT,  /* help or version was printed: exit with 0 */
	OPTIONS_USAGE, /* the mistake was reported on standard error: exit with 2 */
};

/* Returns enum options_status or -ENOMEM. */
int options_parse(struct options *options, int argc, char **argv);
void options_fini(struct options *options);
