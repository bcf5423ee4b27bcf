/* SPDX-License-Identifier: MIT */
#include "io/launch_watch.h"

#include <string.h>
#include <sys/wait.h>

#include "core/container.h"
#include "io/channel.h"
#include "io/launch.h"
#include "io/log.h"
#include "io/server.h"

static void log_end(int status)
{
	const char *rest = "no process can be started without it, so the daemon ends, too";
	if (WIFSIGNALED(status))
		log_error("the launcher was ended by signal %d (%s); %s", WTERMSIG(status),
			  strsignal(WTERMSIG(status)), rest);
	else
		log_error("the launcher exited with status %d; %s", WEXITSTATUS(status), rest);
}

static void tell_channels(struct launch_watch *watch)
{
	struct process *process;
	while ((process = launch_next_news(watch->launch)))
		channel_heed_process(container_of(process, struct channel, process));
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct launch_watch *watch = container_of(watcher, struct launch_watch, reader);
	struct server *server = container_of(watch, struct server, launch_watch);
	(void)events;
	int r = launch_receive(watch->launch);
	tell_channels(watch);
	if (r != LAUNCH_GONE)
		return;
	ev_io_stop(loop, &watch->reader);
	ev_io_stop(loop, &watch->writer);
	log_end(launch_wait(watch->launch));
	server_fail(server);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct launch_watch *watch = container_of(watcher, struct launch_watch, writer);
	(void)events;
	if (launch_flush(watch->launch) != LAUNCH_BLOCKED)
		ev_io_stop(loop, watcher);
	tell_channels(watch); /* of what could not be sent */
}

void launch_watch_start(struct launch_watch *watch, struct ev_loop *loop)
{
	if (!watch->launch)
		return;
	ev_io_init(&watch->reader, on_readable, launch_fd(watch->launch), EV_READ);
	/* What a process prints is to have its pid in the log. */
	ev_set_priority(&watch->reader, CAPTURE_PRIORITY + 1);
	ev_io_init(&watch->writer, on_writable, launch_fd(watch->launch), EV_WRITE);
	ev_io_start(loop, &watch->reader);
}

void launch_watch_turn(struct launch_watch *watch, struct ev_loop *loop)
{
	if (watch->launch && launch_is_blocked(watch->launch))
		ev_io_start(loop, &watch->writer);
}

void launch_watch_fini(struct launch_watch *watch, struct ev_loop *loop)
{
	if (!watch->launch)
		return;
	if (loop) {
		ev_io_stop(loop, &watch->reader);
		ev_io_stop(loop, &watch->writer);
	}
	launch_close(watch->launch);
	watch->launch = NULL;
}
