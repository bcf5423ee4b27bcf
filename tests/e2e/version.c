/* SPDX-License-Identifier: MIT */
/* The module `version`, as it changes from version to version. The third has an initializer that
 * fails. */
#include <procpool/module.h>

#include <fcntl.h>
#include <unistd.h>

static int number(struct procpool_call *call)
{
	return procpool_return_int(call, VERSION);
}

/* Waits at the gate (a FIFO), and then tells its version. */
static int hold(struct procpool_call *call)
{
	const char *path;
	char c;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &path))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return procpool_fail(call, "OSError", "no gate");
	while (read(fd, &c, 1) > 0)
		;
	close(fd);
	return procpool_return_int(call, VERSION);
}

static int initialize(struct procpool_call *call)
{
	return VERSION == 3 ? procpool_fail(call, "VersionError", "version 3 is broken") : 0;
}

static const struct procpool_function functions[] = {
	{"number", "number(): the version", number},
	{"hold", "hold(path): the version, after the gate was passed", hold},
#if VERSION == 1
	{"old", "old(): the version", number},
#else
	{"new", "new(): the version", number},
#endif
};
PROCPOOL_MODULE("version", "Which version it is.", functions, initialize, NULL);
