/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"

/* A command that shall not wait still has the time to reach a daemon that is busy. */
#define CONNECT_SECONDS_MIN 1.0

int64_t session_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void session_init(struct session *session, const struct arguments *args)
{
	*session = (struct session){.args = args, .deadline_ms = -1};
	output_init(&session->output, STDOUT_FILENO);
	if (args->timeout >= 0 && args->timeout < 1e12)
		session->deadline_ms = session_now_ms() + (int64_t)ceil(args->timeout * 1000);
}

void session_fini(struct session *session)
{
	procpool_close(session->pp);
	session->pp = NULL;
	output_fini(&session->output);
}

/* The places where the library looks, in its order. */
static void write_places(struct text *out, const char *socket)
{
	const char *chosen = socket ? socket : getenv("PROCPOOL_SOCKET");
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	if (chosen && *chosen) {
		text_add_string(out, chosen);
		return;
	}
	if (runtime_dir && *runtime_dir)
		text_addf(out, "%s/procpool/procpoold.sock or ", runtime_dir);
	text_add_string(out, "/run/procpool/procpoold.sock");
}

static const char start_help[] =
	"\n  start one with 'procpoold', or say where it listens: --socket PATH or the variable"
	"\n  PROCPOOL_SOCKET; 'ppctl doctor' tells what is missing";

static enum exit_status no_daemon(const struct arguments *args,
				  const struct procpool_outcome *outcome)
{
	struct text places = {0};
	const char *reason = outcome->os_error ? strerror(outcome->os_error) : "nobody answers";
	write_places(&places, args->socket);
	error_print(STATUS_NO_DAEMON, args->json, "no-daemon", "no daemon at %s: %s%s",
		    text_cstring(&places), reason, args->json ? "" : start_help);
	text_fini(&places);
	return STATUS_NO_DAEMON;
}

static enum exit_status denied(const struct arguments *args, int error)
{
	struct text places = {0};
	write_places(&places, args->socket);
	error_print(STATUS_REFUSED, args->json, "denied", "cannot connect to %s: %s%s",
		    text_cstring(&places), strerror(error),
		    args->json ? ""
			       : "\n  ask its owner for access; 'ppctl doctor' tells whose it is");
	text_fini(&places);
	return STATUS_REFUSED;
}

static enum exit_status cannot_connect(const struct session *session,
				       const struct procpool_outcome *outcome)
{
	bool json = session->args->json;
	int error = outcome->os_error;
	if (outcome->code == PROCPOOL_PENDING || error == ETIMEDOUT)
		return error_print(STATUS_REFUSED, json, "timeout", "the daemon does not answer");
	if ((error == EACCES || error == EPERM) && !session->args->is_private)
		return denied(session->args, error);
	if (outcome->code == PROCPOOL_ERR_NO_DAEMON && session->args->is_private)
		return error_print(STATUS_NO_DAEMON, json, "no-daemon", "%s", outcome->message);
	if (outcome->code == PROCPOOL_ERR_NO_DAEMON)
		return no_daemon(session->args, outcome);
	return error_report(NULL, outcome, json);
}

/* To a daemon for this process alone. */
static enum procpool_code connect_privately(struct session *session,
					    const struct procpool_connect_options *options,
					    struct procpool_outcome *out)
{
	static const char *const demo[] = {"demo"};
	const char *const *modules = demo;
	int count = 1, used = 0;
	if (session->args->module_count > 0) {
		modules = session->args->modules;
		count = session->args->module_count;
	}
	const char **arguments = calloc(2 * (size_t)count + 1, sizeof(*arguments));
	if (!arguments)
		text_no_memory();
	for (int i = 0; i < count; i++) {
		arguments[used++] = "--module";
		arguments[used++] = modules[i];
	}
	enum procpool_code code = procpool_connect_private(arguments, options, &session->pp, out);
	free(arguments);
	return code;
}

enum exit_status session_connect(struct session *session)
{
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	options.path = session->args->socket;
	options.client = "ppctl";
	if (session->deadline_ms >= 0)
		options.seconds = fmax(session->args->timeout, CONNECT_SECONDS_MIN);
	enum exit_status status = STATUS_OK;
	enum procpool_code code = session->args->is_private
					  ? connect_privately(session, &options, &outcome)
					  : procpool_connect(&options, &session->pp, &outcome);
	if (code != PROCPOOL_OK)
		status = cannot_connect(session, &outcome);
	procpool_outcome_fini(&outcome);
	/* Until here a signal just ended the program. */
	if (status == STATUS_OK && interrupt_init() < 0)
		status = error_print(STATUS_REFUSED, session->args->json, "system", "%s",
				     strerror(errno));
	return status;
}

static int earlier(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

static int sleep_ms(const struct session *session, int timeout_ms)
{
	int sleep = earlier(timeout_ms, procpool_timeout_ms(session->pp));
	if (session->deadline_ms < 0)
		return sleep;
	int64_t left = session->deadline_ms - session_now_ms();
	return earlier(sleep, left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
}

static enum session_status of_output(enum output_status status)
{
	switch (status) {
	case OUTPUT_OK:
		return SESSION_OK;
	case OUTPUT_CLOSED:
		return SESSION_OUTPUT_CLOSED;
	case OUTPUT_ERROR:
		break;
	}
	return SESSION_OUTPUT_ERROR;
}

enum session_status session_turn(struct session *session, int input, int timeout_ms,
				 bool *ret_input)
{
	struct output *output = &session->output;
	struct pollfd fds[] = {
		{.fd = procpool_fd(session->pp), .events = procpool_events(session->pp)},
		{.fd = interrupt_fd(), .events = POLLIN},
		/* Without events too: a pipe whose reader has gone is an error at once. */
		{.fd = output->fd, .events = output_size(output) > 0 ? POLLOUT : 0},
		{.fd = input, .events = POLLIN},
	};
	if (poll(fds, sizeof(fds) / sizeof(*fds), sleep_ms(session, timeout_ms)) < 0)
		for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
			fds[i].revents = 0;
	if (interrupt_signal())
		return SESSION_INTERRUPTED;
	if (ret_input)
		*ret_input = fds[3].revents != 0;

	if (fds[2].revents & POLLERR && !(fds[2].revents & POLLOUT && output_size(output) > 0))
		return SESSION_OUTPUT_CLOSED;
	enum session_status status = SESSION_OK;
	if (fds[2].revents & POLLOUT)
		status = of_output(output_write(output));
	if (status == SESSION_OK && procpool_dispatch(session->pp) != PROCPOOL_OK)
		status = SESSION_LOST;
	if (status == SESSION_OK && session->deadline_ms >= 0 &&
	    session_now_ms() >= session->deadline_ms)
		status = SESSION_TIMEOUT;
	return status;
}

enum session_status session_await(struct session *session, struct procpool_call *call,
				  struct procpool_outcome *out)
{
	enum session_status status = SESSION_OK;
	while (!procpool_call_outcome(call) && status == SESSION_OK)
		status = session_turn(session, -1, -1, NULL);
	const struct procpool_outcome *outcome = procpool_call_outcome(call);
	/* An answer counts, whatever came with it; so does what the library says of a loss. */
	if (outcome &&
	    (status == SESSION_OK || status == SESSION_LOST || status == SESSION_TIMEOUT)) {
		if (procpool_outcome_copy(out, outcome) != PROCPOOL_OK)
			text_no_memory();
		status = SESSION_OK;
	}
	procpool_call_free(call);
	return status;
}

enum session_status session_request(struct session *session, const char *method,
				    struct procpool_value params, struct procpool_outcome *out)
{
	struct procpool_call *call;
	out->code = procpool_request_async(session->pp, method, params, NULL, NULL, &call);
	if (out->code != PROCPOOL_OK) {
		out->message = procpool_code_text(out->code);
		return SESSION_OK;
	}
	return session_await(session, call, out);
}

enum exit_status session_end(struct session *session, enum session_status status)
{
	bool json = session->args->json;
	switch (status) {
	case SESSION_OK:
		return STATUS_OK;
	case SESSION_TIMEOUT:
		return error_print(STATUS_REFUSED, json, "timeout", "gave up after %g s",
				   session->args->timeout);
	case SESSION_INTERRUPTED:
		interrupt_die(interrupt_signal());
	case SESSION_OUTPUT_CLOSED:
		interrupt_die(SIGPIPE);
	case SESSION_OUTPUT_ERROR:
		return error_print(STATUS_REFUSED, json, "system", "cannot write the output: %s",
				   strerror(session->output.error));
	case SESSION_LOST:
		return error_print(STATUS_NO_DAEMON, json, "lost",
				   "the connection to the daemon was lost: %s",
				   procpool_lost_reason(session->pp));
	}
	return STATUS_REFUSED;
}

enum exit_status session_finish(struct session *session, enum exit_status status)
{
	enum session_status written = of_output(output_drain(&session->output));
	if (written == SESSION_OK && interrupt_signal())
		written = SESSION_INTERRUPTED;
	return written == SESSION_OK ? status : session_end(session, written);
}
