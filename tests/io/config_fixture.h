/* SPDX-License-Identifier: MIT */
/* A configuration for tests, in one file, which is taken or refused. Include after <cmocka.h>. */
#pragma once

#include <stddef.h>

#include "io/config.h"

struct fixture {
	char path[64]; /* of the file */
	/* Of what the file is a part; without a path of its own, the file is read alone, and
	 * nothing follows from what it says. */
	struct config_source source;
	struct config config;
	char *error;   /* what was complained of last; NULL: nothing was */
	char *printed; /* for who prints it; freed in the end */
};

int setup(void **state);
/* The file is the source of all: it is settled what follows, as config_read() does. */
int setup_source(void **state);
int teardown(void **state);

/* Return as config_file_load(), or, with a source, as config_read(). */
int load_path(struct fixture *f, const char *path);
int load_bytes(struct fixture *f, const void *data, size_t size);
/* It is taken. */
void load(struct fixture *f, const char *text);
/* It is refused, for a reason that begins with the line's number. */
void refuse(struct fixture *f, const char *text, int line, const char *reason);
