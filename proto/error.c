/* SPDX-License-Identifier: MIT */
#include "proto/error.h"

#include <string.h>

/* clang-format off */
static const struct {
	const char *name;
	bool worker;
} errors[ERR_COUNT] = {
	[ERR_NONE] = {"none", false},
#define X(code, name, worker) [code] = {name, worker},
	PROTO_ERRORS(X)
#undef X
};
/* clang-format on */

const char *error_name(enum error_code code)
{
	return (size_t)code < ERR_COUNT ? errors[code].name : errors[ERR_NONE].name;
}

enum error_code error_from_name(const char *name, size_t size)
{
	for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
		if (strlen(errors[code].name) == size && memcmp(errors[code].name, name, size) == 0)
			return (enum error_code)code;
	return ERR_NONE;
}

bool error_is_workers(enum error_code code)
{
	return (size_t)code < ERR_COUNT && errors[code].worker;
}
