/* SPDX-License-Identifier: MIT */
/*
 * procpool-runtime: the native runtime. procpoold starts it with its channel as descriptor 3 (see
 * proto/WORKER.md); it is not meant to be started by hand.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/worker.h"
#include "runtime/printed.h"
#include "runtime/spawner.h"

static int usage(void)
{
	fprintf(stderr,
		"procpool-runtime loads native modules for procpoold and runs their functions.\n"
		"It is started by procpoold, with a socket as descriptor 3.\n");
	return 2;
}

static int is_channel(int fd)
{
	int type;
	socklen_t size = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

int main(int argc, char **argv)
{
	int resume_fd = -1;
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("procpool-runtime " PROCPOOL_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 3 && strcmp(argv[1], "--resume") == 0)
		resume_fd = atoi(argv[2]);
	else if (argc != 1)
		return usage();
	if (!is_channel(WORKER_FD))
		return usage();
	fcntl(WORKER_FD, F_SETFD, FD_CLOEXEC);
	printed_by_lines();
	return spawner_run(resume_fd);
}
