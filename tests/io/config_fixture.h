/* SPDX-License-Identifier: MIT */
/* A file of a configuration for tests, which is loaded or refused. Include after <cmocka.h>. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/config.h"
#include "io/config_errors.h"
#include "io/config_file.h"

struct fixture {
	char path[64];
	struct config config;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->path, "/tmp/procpool-config-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	config_init(&f->config);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	config_fini(&f->config);
	free(f);
	return 0;
}

static int load_path(struct fixture *f, const char *path, char **ret_error)
{
	struct config_errors errors = {0};
	int r = config_file_load(&f->config, path, &errors);
	*ret_error = errors.text;
	return r;
}

static int load_bytes(struct fixture *f, const void *data, size_t size, char **ret_error)
{
	FILE *file = fopen(f->path, "w");
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
	return load_path(f, f->path, ret_error);
}

static void load(struct fixture *f, const char *text)
{
	char *error;
	int r = load_bytes(f, text, strlen(text), &error);
	if (r < 0)
		fail_msg("%s", error);
}

/* The text is refused, for a reason that begins with the line's number. */
static void refuse(struct fixture *f, const char *text, int line, const char *reason)
{
	char *error, place[96];
	assert_int_equal(load_bytes(f, text, strlen(text), &error), -EINVAL);
	assert_non_null(error);
	snprintf(place, sizeof(place), "%s:%d: ", f->path, line);
	if (strncmp(error, place, strlen(place)) != 0 || !strstr(error, reason))
		fail_msg("for\n%s\nit says '%s'\nand not '%s...%s'", text, error, place, reason);
	free(error);
	assert_int_equal(f->config.pool_count, 0);
}
