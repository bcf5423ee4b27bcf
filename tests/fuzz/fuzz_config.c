/* SPDX-License-Identifier: MIT */
/* A configuration of any bytes: it is refused with a reason, or what is printed of it can be read
 * again and gives the same. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "io/config.h"
#include "io/config_key.h"
#include "io/config_place.h"
#include "io/config_print.h"

static int read_text(const void *text, size_t size, struct config *ret, char **ret_error)
{
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC);
	assert(fd >= 0);
	assert(write(fd, text, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct config_source source = {.path = path, .no_demo = true};
	int r = config_read(&source, ret, ret_error);
	close(fd);
	return r;
}

/* All that was said has its line. */
static void check_places(const struct config *config)
{
	for (size_t i = 0; i < config->place_count; i++) {
		const char *line = strrchr(config->places[i].text, ':');
		if (!line || strspn(line + 1, "0123456789") != strlen(line + 1)) {
			fprintf(stderr, "%s of %s\n", config->places[i].text,
				config->places[i].key ? config->places[i].key->name : "a pool");
			abort();
		}
	}
}

static char *print(const struct config *config, size_t *ret_size)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, ret_size);
	assert(stream);
	config_print(config, stream);
	assert(fclose(stream) == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, again;
	char *error;
	if (read_text(data, size, &config, &error) < 0) {
		if (!error || error[0] == '\0' || error[strlen(error) - 1] == '\n') {
			fprintf(stderr, "<%s> for\n%.*s\n", error ? error : "(null)", (int)size,
				(const char *)data);
			abort();
		}
		free(error);
		return 0;
	}
	assert(!error);
	check_places(&config);
	size_t first_size, second_size;
	char *first = print(&config, &first_size);
	if (read_text(first, first_size, &again, &error) < 0) {
		fprintf(stderr, "%s\n%s", error, first);
		abort();
	}
	assert(again.pool_count == config.pool_count);
	assert(memcmp(&again.limits, &config.limits, sizeof(config.limits)) == 0);
	assert(access_equal(&again.access, &config.access));
	/* Printed a third time, all places are those of the second. */
	char *second = print(&again, &second_size);
	config_fini(&config);
	assert(read_text(second, second_size, &config, &error) == 0);
	size_t third_size;
	char *third = print(&config, &third_size);
	assert(third_size == second_size && memcmp(third, second, third_size) == 0);
	config_fini(&config);
	config_fini(&again);
	free(first);
	free(second);
	free(third);
	return 0;
}
