/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int add(struct address_list *list, const char *directory, const char *name)
{
	struct sockaddr_un *address = &list->at[list->count];
	address->sun_family = AF_UNIX;
	int n = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s", directory, name);
	if (n < 0 || (size_t)n >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	list->count++;
	return 0;
}

/* A variable of the environment, NULL if unset, empty, or not to be trusted (in a setuid program).
 */
static const char *variable(const char *name)
{
	const char *value = secure_getenv(name);
	return value && *value ? value : NULL;
}

int address_search(const char *path, struct address_list *ret)
{
	ret->count = 0;
	if (!path)
		path = variable("PROCPOOL_SOCKET");
	if (path)
		return add(ret, path, "");
	const char *runtime = variable("XDG_RUNTIME_DIR");
	int r = runtime ? add(ret, runtime, "/procpool/procpoold.sock") : 0;
	return r < 0 ? r : add(ret, "/run/procpool", "/procpoold.sock");
}
