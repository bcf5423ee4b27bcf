/* SPDX-License-Identifier: MIT */
/* A module that exports one name twice. */
#include <procpool/module.h>

static int nothing(struct procpool_call *call)
{
	return procpool_return_nil(call);
}

static const struct procpool_function functions[] = {
	{"same", NULL, nothing},
	{"other", NULL, nothing},
	{"same", NULL, nothing},
};
PROCPOOL_MODULE("twice", NULL, functions, NULL, NULL);
