/* SPDX-License-Identifier: MIT */
/* A function's name that no client could tell from MODULE.FUNCTION. */
#include <procpool/module.h>

static int nothing(struct procpool_call *call)
{
	return procpool_return_nil(call);
}

static const struct procpool_function functions[] = {{"not.a.name", NULL, nothing}};
PROCPOOL_MODULE("bad_name", NULL, functions, NULL, NULL);
