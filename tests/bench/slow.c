/* SPDX-License-Identifier: MIT */
/* The module `slow`: takes two seconds to load, as large models and libraries do. */
#include <unistd.h>

#include <procpool/module.h>

__attribute__((constructor)) static void load(void)
{
	sleep(2);
}

static int ping(struct procpool_call *call)
{
	return procpool_return_string(call, "pong");
}

static const struct procpool_function functions[] = {{"ping", "ping(): \"pong\"", ping}};

PROCPOOL_MODULE("slow", "Slow to load.", functions, NULL, NULL);
