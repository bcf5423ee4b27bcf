/* SPDX-License-Identifier: MIT */
/* A module that exports a function which the module demo has, too. */
#include <procpool/module.h>

static int inc(struct procpool_call *call)
{
	return procpool_return_nil(call);
}

static const struct procpool_function functions[] = {{"inc", NULL, inc}};
PROCPOOL_MODULE("demo", NULL, functions, NULL, NULL);
