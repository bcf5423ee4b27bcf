/* SPDX-License-Identifier: MIT */
#include "io/creator.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "core/container.h"

/* Whether the descriptor is a pidfd: no signal is sent, whether it could be does not matter. */
static int check(int fd)
{
	if (pidfd_send_signal(fd, 0, NULL, 0) == 0 || errno == EPERM || errno == ESRCH)
		return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
	return errno == EINVAL ? -EBADF : -errno;
}

int creator_init(struct creator *creator, int fd)
{
	*creator = (struct creator){.fd = -1};
	if (fd < 0)
		fd = pidfd_open(getppid(), 0);
	if (fd < 0)
		return -errno;
	int r = check(fd);
	if (r == 0)
		creator->fd = fd;
	return r;
}

void creator_fini(struct creator *creator)
{
	if (creator->fd >= 0)
		close(creator->fd);
	creator->fd = -1;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct creator *creator = container_of(watcher, struct creator, watcher);
	(void)events;
	ev_io_stop(loop, watcher);
	creator->on_end(creator->data);
}

void creator_watch(struct creator *creator, struct ev_loop *loop, void (*on_end)(void *data),
		   void *data)
{
	creator->on_end = on_end;
	creator->data = data;
	ev_io_init(&creator->watcher, on_readable, creator->fd, EV_READ);
	ev_io_start(loop, &creator->watcher);
}
