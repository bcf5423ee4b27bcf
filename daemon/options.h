/* SPDX-License-Identifier: MIT */
/* procpoold's command line, and the settings that follow from it and the configuration file. */
#pragma once

#include <stdbool.h>

#include "io/config.h"

/* What the command line said. Strings are borrowed from argv. */
struct options {
	const char *socket;
	const char *config; /* NULL: the default file, if it exists */
	unsigned workers;   /* 0: not said */
	bool has_log_level;
	enum log_level log_level;
	char **modules; /* owned array, NULL-terminated */
	bool is_private;
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

/*
 * The settings in force: defaults, file, command line. Every pool has its number of workers.
 * Without any pool configured and any module named, the pool "default" serves the module demo;
 * modules named on the command line form the pool "default" beside those configured. A private
 * daemon reads no file that is not named, and has no pool that nothing says. 0, or a
 * negative errno and *ret_error as config_load(); *ret is only written on success, and to be
 * fini'd.
 */
int options_settings(const struct options *options, struct config *ret, char **ret_error);
