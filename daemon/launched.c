/* SPDX-License-Identifier: MIT */
/*
 * procpool-exec: what the launcher executes as the user of a pool, with the descriptors in their
 * places and no rights. Reads what it is to be, applies the settings as a child of the daemon does
 * (io/child.c), and becomes the runtime; or leaves in its status pipe why it cannot.
 *
 * Its own environment is what the launcher knows of the user: it holds where the pool says nothing
 * else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/string_list.h"
#include "io/child.h"
#include "io/environment.h"
#include "io/launch_spec.h"

/* The pool's variables and the user's. NULL without memory. */
static char **merge(char *const *pools, char *const *users)
{
	char **result =
		calloc(string_list_count(pools) + string_list_count(users) + 1, sizeof(*result));
	size_t n = 0;
	if (!result)
		return NULL;
	for (char *const *v = pools; *v; v++)
		if (strchr(*v, '='))
			result[n++] = *v;
	for (char *const *v = users; *v; v++)
		if (!environment_has(pools, *v))
			result[n++] = *v;
	return result;
}

static struct child_failure become(void)
{
	struct launch_spec spec;
	char *const none[] = {NULL};
	int r = launch_spec_read(LAUNCH_PLACE(LAUNCH_SPEC), &spec);
	if (r == 0 && fcntl(LAUNCH_PLACE(LAUNCH_STATUS), F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	if (r == 0 && close(LAUNCH_PLACE(LAUNCH_SPEC)) < 0)
		r = -errno;
	char **environment = r == 0 ? merge(spec.environment, environ ? environ : none) : NULL;
	if (r == 0 && !environment)
		r = -ENOMEM;
	if (r < 0)
		return (struct child_failure){.step = CHILD_SPEC, .error = r};
	return child_become(&spec.settings, spec.descriptors, spec.argv, environment);
}

int main(void)
{
	struct child_failure failure = become();
	(void)!write(LAUNCH_PLACE(LAUNCH_STATUS), &failure, sizeof(failure));
	_exit(127);
}
