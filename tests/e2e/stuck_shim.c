/* SPDX-License-Identifier: MIT */
/*
 * Makes the daemon hang as a mistake in a callback would: a connection is accepted only while the
 * file that PROCPOOL_TEST_STUCK names is not there; until then the processor is kept busy.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int accept4(int fd, __SOCKADDR_ARG address, socklen_t *size,
						   int flags)
{
	const char *file = getenv("PROCPOOL_TEST_STUCK");
	while (file && access(file, F_OK) == 0)
		continue;
	return (int)syscall(SYS_accept4, fd, address.__sockaddr__, size, flags);
}
