/* SPDX-License-Identifier: MIT */
/* A module that calls a function which nobody provides. */
#include <procpool/module.h>

extern int nobody_provides_this(void);

static int call_it(struct procpool_call *call)
{
	return procpool_return_int(call, nobody_provides_this());
}

static const struct procpool_function functions[] = {{"call_it", NULL, call_it}};
PROCPOOL_MODULE("unresolved", NULL, functions, NULL, NULL);
