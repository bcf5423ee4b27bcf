/* SPDX-License-Identifier: MIT */
/* A piece of text inside someone else's bytes: not owned, not NUL-terminated, not checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "procpool/value.h"

struct slice {
	const char *data; /* NULL: absent */
	size_t size;      /* bytes */
};

static inline bool slice_is(struct slice slice, const char *text)
{
	return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

/* A string, which on the wire may be str or bin. False: it is neither. */
static inline bool slice_of(struct procpool_value value, struct slice *ret)
{
	const void *data;
	size_t size;
	if (!procpool_value_bytes(value, &data, &size))
		return false;
	*ret = (struct slice){data, size};
	return true;
}
