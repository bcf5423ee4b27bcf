/* SPDX-License-Identifier: MIT */
/* In a foreign event loop: results arrive by callback while the program does other things.
 *
 *	cc in_libev.c $(pkg-config --cflags --libs procpool) -lev && ./a.out */
#include <procpool.h>

#include <err.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>

static ev_io io; /* data: the connection */

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)revents;
	if (procpool_dispatch(w->data) != PROCPOOL_OK || procpool_in_flight(w->data) == 0)
		ev_break(loop, EVBREAK_ALL);
}

/* Before each sleep: send what was queued, and watch for what the library wants to know. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)w, (void)revents;
	procpool_flush(io.data);
	short events = procpool_events(io.data);
	ev_io_stop(loop, &io);
	ev_io_set(&io, procpool_fd(io.data), EV_READ | (events & POLLOUT ? EV_WRITE : 0));
	ev_io_start(loop, &io);
}

static void on_result(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	double number = 0;
	(void)pp;
	procpool_value_double(outcome->value, &number);
	printf("%s: %g %s\n", (const char *)data, number, outcome->message);
}

int main(void)
{
	static const uint8_t array_of_41[] = {0x91, 41}; /* or written, see procpool_writer */
	struct procpool_value args = {array_of_41, sizeof(array_of_41)};
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	ev_prepare prepare;

	if (procpool_connect(NULL, &pp, &out) != PROCPOOL_OK)
		errx(1, "%s", out.message);
	procpool_apply_async(pp, "demo.inc", args, NULL, on_result, "inc", NULL);
	procpool_apply_async(pp, "demo.echo", args, NULL, on_result, "echo", NULL);
	io.data = pp;
	ev_init(&io, on_io);
	ev_prepare_init(&prepare, on_prepare);
	ev_prepare_start(EV_DEFAULT, &prepare);
	ev_run(EV_DEFAULT, 0);
	procpool_close(pp);
	return 0;
}
