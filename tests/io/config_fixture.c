/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_fixture.h"
#include "io/config_errors.h"
#include "io/config_file.h"

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	strcpy(f->path, "/tmp/procpool-config-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	config_init(&f->config);
	*state = f;
	return 0;
}

int setup_source(void **state)
{
	setup(state);
	struct fixture *f = *state;
	f->source.path = f->path;
	f->source.no_demo = true;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	config_fini(&f->config);
	free(f->error);
	free(f->printed);
	free(f);
	return 0;
}

int load_path(struct fixture *f, const char *path)
{
	struct config_errors errors = {0};
	free(f->error);
	if (f->source.path) {
		config_fini(&f->config);
		return config_read(&f->source, &f->config, &f->error);
	}
	int r = config_file_load(&f->config, path, &errors);
	f->error = errors.text;
	return r;
}

int load_bytes(struct fixture *f, const void *data, size_t size)
{
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	return load_path(f, f->path);
}

void load(struct fixture *f, const char *text)
{
	if (load_bytes(f, text, strlen(text)) < 0)
		fail_msg("for\n%s\nit says '%s'", text, f->error);
}

void refuse(struct fixture *f, const char *text, int line, const char *reason)
{
	char place[96];
	assert_int_equal(load_bytes(f, text, strlen(text)), -EINVAL);
	assert_non_null(f->error);
	snprintf(place, sizeof(place), "%s:%d: ", f->path, line);
	if (strncmp(f->error, place, strlen(place)) != 0 || !strstr(f->error, reason))
		fail_msg("for\n%s\nit says '%s'\nand not '%s...%s'", text, f->error, place, reason);
	assert_int_equal(f->config.pool_count, 0);
}
