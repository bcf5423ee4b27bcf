/* SPDX-License-Identifier: MIT */
#include "runtime/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/limit_table.h"
#include "proto/worker.h"

static int text_of(struct procpool_value value, char **ret)
{
	const void *text;
	size_t size;
	if (!procpool_value_bytes(value, &text, &size))
		return -EPROTO;
	*ret = strndup(text, size);
	return *ret ? 0 : -ENOMEM;
}

static unsigned number_of(struct procpool_value map, const char *key, unsigned otherwise)
{
	uint64_t n;
	if (!procpool_value_uint(procpool_value_get(map, key), &n) || n > INT32_MAX)
		return otherwise;
	return (unsigned)n;
}

static int read_map(struct settings *settings, struct procpool_value map)
{
	settings->modules = procpool_value_get(map, "modules");
	settings->initargs = procpool_value_get(map, "initargs");
	if (procpool_value_type(settings->initargs) != PROCPOOL_ARRAY)
		settings->initargs = (struct procpool_value){0};
	settings->worker = number_of(map, "worker", 0);
	settings->workers = number_of(map, "workers", 1);
	settings->message_bytes =
		number_of(map, "message_bytes", (unsigned)LIMITS_DEFAULT.message_bytes);
	settings->value_depth = number_of(map, "value_depth", (unsigned)LIMITS_DEFAULT.value_depth);
	if (settings->value_depth < 1 || settings->value_depth > FRAME_DEPTH_MAX ||
	    settings->message_bytes < SETTINGS_MESSAGE_BYTES_MIN)
		return -EPROTO;
	settings->preload_always = procpool_value_is(procpool_value_get(map, "preload"), "always");

	int r = text_of(procpool_value_get(map, "pool"), &settings->pool);
	struct procpool_value initializer = procpool_value_get(map, "initializer");
	enum procpool_type type = procpool_value_type(initializer);
	if (r == 0 && type != PROCPOOL_NONE && type != PROCPOOL_NIL)
		r = text_of(initializer, &settings->initializer);
	return r;
}

int settings_init(struct settings *settings, struct procpool_value message)
{
	uint64_t number;
	memset(settings, 0, sizeof(*settings));
	if (!procpool_value_uint(procpool_value_at(message, 0), &number) || number != MSG_START)
		return -EPROTO;
	uint8_t *copy = malloc(message.size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, message.data, message.size);
	settings->message = (struct procpool_value){copy, message.size};
	int r = read_map(settings, procpool_value_at(settings->message, 1));
	if (r < 0)
		settings_fini(settings);
	return r;
}

void settings_fini(struct settings *settings)
{
	free(settings->pool);
	free(settings->initializer);
	free((uint8_t *)settings->message.data);
	memset(settings, 0, sizeof(*settings));
}
