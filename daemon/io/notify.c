/* SPDX-License-Identifier: MIT */
#include "io/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "core/container.h"
#include "core/core.h"
#include "io/log.h"
#include "io/server.h"

/* The line follows what changed after so long; what could not be told is told again after so long.
 */
#define LOOK_SECONDS  1.
#define AGAIN_SECONDS .1

/* More time is asked for so often, and each time for so much: a machine may be slow. */
#define EXTEND_EVERY_SECONDS 1.
#define EXTEND_US            UINT64_C(15000000)

enum {
	DUE_READY = 1 << 0,
	DUE_RELOADING = 1 << 1,
	DUE_STOPPING = 1 << 2,
	DUE_STATUS = 1 << 3,
	DUE_EXTEND = 1 << 4,
	DUE_ALIVE = 1 << 5,
	DUE_PHASE = DUE_READY | DUE_RELOADING | DUE_STOPPING,
	/* What the manager waits for: a sign of life that is lost leaves no time for the next. */
	DUE_ESSENTIAL = DUE_PHASE | DUE_ALIVE,
};

/* ---- telling ---- */

struct message {
	size_t size;
	char text[STATUS_SIZE + 256]; /* room for every line there is */
};

__attribute__((format(printf, 2, 3))) static void add(struct message *message, const char *format,
						      ...)
{
	va_list args;
	va_start(args, format);
	message->size += (size_t)vsnprintf(message->text + message->size,
					   sizeof(message->text) - message->size, format, args);
	va_end(args);
}

static struct message compose(const struct notify *notify)
{
	struct message message = {0};
	unsigned due = notify->due;
	if (due & DUE_READY)
		add(&message, "READY=1\n");
	if (due & DUE_RELOADING)
		add(&message, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		    (unsigned long long)server_clock_us());
	if (due & DUE_STOPPING)
		add(&message, "STOPPING=1\n");
	if (due & DUE_EXTEND)
		add(&message, "EXTEND_TIMEOUT_USEC=%llu\n", (unsigned long long)EXTEND_US);
	if (due & DUE_ALIVE)
		add(&message, "WATCHDOG=1\n");
	if (due & DUE_STATUS)
		add(&message, "STATUS=%s\n", notify->status);
	return message;
}

static void look_after(struct notify *notify, double seconds)
{
	if (ev_is_active(&notify->look_timer))
		return;
	ev_timer_set(&notify->look_timer, seconds, 0.);
	ev_timer_start(notify->loop, &notify->look_timer);
}

static void tell(struct notify *notify)
{
	struct message message = compose(notify);
	ssize_t n = sendto(notify->fd, message.text, message.size, MSG_DONTWAIT | MSG_NOSIGNAL,
			   (const struct sockaddr *)&notify->address, notify->address_size);
	unsigned essential = notify->due & DUE_ESSENTIAL;
	notify->blocked = n < 0 && errno == EAGAIN && essential;
	if (notify->blocked) {
		notify->due = essential | (notify->due & DUE_STATUS);
		ev_timer_stop(notify->loop, &notify->look_timer);
		look_after(notify, AGAIN_SECONDS);
		return;
	}
	if (n < 0) {
		log_debug("the service manager cannot be told anything: %s", strerror(errno));
		/* The next change tells it. */
		notify->status[0] = '\0';
	}
	notify->due = 0;
}

/* ---- the line ---- */

static void look(struct notify *notify)
{
	char text[STATUS_SIZE];
	notify->seen_marks = notify->core->marks;
	switch (notify->phase) {
	case NOTIFY_STARTING:
		status_of_start(notify->core, text);
		break;
	case NOTIFY_SERVING:
		status_of_service(notify->core, text);
		break;
	case NOTIFY_RELOADING:
		strcpy(text, "Reloading the configuration");
		break;
	case NOTIFY_STOPPING:
		status_of_end(notify->core, server_clock_us(), text);
		break;
	}
	if (strcmp(text, notify->status) == 0)
		return;
	strcpy(notify->status, text);
	notify->due |= DUE_STATUS;
}

static void on_look(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	look(container_of(watcher, struct notify, look_timer));
}

/* ---- time and life ---- */

static bool needs_time(const struct notify *notify)
{
	return notify->phase == NOTIFY_STARTING || notify->phase == NOTIFY_RELOADING ||
	       (notify->phase == NOTIFY_STOPPING && !notify->core->grace_over);
}

static void on_extend(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct notify *notify = container_of(watcher, struct notify, extend_timer);
	(void)events;
	look(notify);
	if (needs_time(notify))
		notify->due |= DUE_EXTEND;
	else
		ev_timer_stop(loop, watcher);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	container_of(watcher, struct notify, watchdog_timer)->due |= DUE_ALIVE;
}

static void start_watchdog(struct notify *notify)
{
	uint64_t usec;
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return;
	double half = (double)usec / 2e6;
	ev_timer_init(&notify->watchdog_timer, on_watchdog, half, half);
	ev_timer_start(notify->loop, &notify->watchdog_timer);
}

/* ---- what the daemon comes to ---- */

static void enter(struct notify *notify, enum notify_phase phase, unsigned due)
{
	if (notify->fd < 0)
		return;
	notify->phase = phase;
	/* What was not told of an earlier phase is of no interest now. */
	notify->due = (notify->due & ~(unsigned)DUE_PHASE) | due;
	look(notify);
	if (needs_time(notify) && !ev_is_active(&notify->extend_timer))
		ev_timer_again(notify->loop, &notify->extend_timer);
	tell(notify);
}

void notify_ready(struct notify *notify)
{
	if (notify->phase != NOTIFY_STOPPING)
		enter(notify, NOTIFY_SERVING, DUE_READY);
}

void notify_reloading(struct notify *notify)
{
	if (notify->phase == NOTIFY_SERVING)
		enter(notify, NOTIFY_RELOADING, DUE_RELOADING);
}

void notify_stopping(struct notify *notify)
{
	enter(notify, NOTIFY_STOPPING, DUE_STOPPING | DUE_EXTEND);
}

void notify_turn(struct notify *notify)
{
	if (notify->fd < 0)
		return;
	bool again_later = notify->blocked && ev_is_active(&notify->look_timer);
	if (notify->due != 0 && !again_later)
		tell(notify);
	if (notify->core->marks != notify->seen_marks)
		look_after(notify, LOOK_SECONDS);
}

/* ---- beginning and end ---- */

/* The address that the environment names: 0, or -ENOENT where there is none, or one that is not of
 * the Unix domain. */
static int find_manager(struct notify *notify)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un *address = &notify->address;
	if (!name || (name[0] != '/' && name[0] != '@') || name[1] == '\0' ||
	    strlen(name) >= sizeof(address->sun_path))
		return -ENOENT;
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, name);
	/* An abstract one has a NUL in its first place, and no end. */
	notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
					   (name[0] == '/'));
	if (name[0] == '@')
		address->sun_path[0] = '\0';
	return 0;
}

int notify_init(struct notify *notify, const struct core *core, struct ev_loop *loop)
{
	notify->core = core;
	notify->loop = loop;
	notify->fd = -1;
	ev_init(&notify->look_timer, on_look);
	ev_init(&notify->watchdog_timer, on_watchdog);
	ev_timer_init(&notify->extend_timer, on_extend, EXTEND_EVERY_SECONDS, EXTEND_EVERY_SECONDS);
	if (find_manager(notify) < 0)
		return 0;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return -errno;
	ev_timer_start(loop, &notify->extend_timer);
	start_watchdog(notify);
	return 0;
}

void notify_fini(struct notify *notify)
{
	if (notify->loop && notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}
