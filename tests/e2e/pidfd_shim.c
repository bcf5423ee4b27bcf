/* SPDX-License-Identifier: MIT */
/*
 * Preloaded where procpoold runs under Debian 12's valgrind, which knows no pidfds: pidfd_open()
 * asks the test for one, over the socket that PROCPOOL_TEST_PIDFD names (procpoold.py), and
 * pidfd_send_signal() finds the process of one and uses kill().
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

static int connect_to_test(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("PROCPOOL_TEST_PIDFD");
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s >= 0 && connect(s, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(s);
		return -1;
	}
	return s;
}

/* A descriptor, or -1 where the process is gone. */
static int receive_descriptor(int s)
{
	char byte = 0;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;
	if (recvmsg(s, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

PUBLIC int pidfd_open(pid_t pid, unsigned int flags)
{
	(void)flags;
	int fd = -1, s = connect_to_test();
	if (s >= 0) {
		if (send(s, &pid, sizeof(pid), MSG_NOSIGNAL) == sizeof(pid))
			fd = receive_descriptor(s);
		close(s);
	}
	if (fd < 0)
		errno = ESRCH;
	return fd;
}

PUBLIC int pidfd_send_signal(int pidfd, int signal, siginfo_t *info, unsigned int flags)
{
	(void)info;
	(void)flags;
	char path[64], line[128];
	int pid = -1;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	FILE *file = fopen(path, "re");
	while (file && pid < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Pid: %d", &pid);
	if (file)
		fclose(file);
	if (pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	return kill(pid, signal);
}
