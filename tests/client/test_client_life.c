/* SPDX-License-Identifier: MIT */
/* The life of a connection: how it is found and made, how it ends, and who may use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

/* What a call ended with, and how often. */
struct end {
	int count;
	enum procpool_code code;
};

static void on_end(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct end *end = data;
	(void)pp;
	end->count++;
	end->code = outcome->code;
}

static void serve_pings(struct fake *fake)
{
	struct fake_request request;
	fake_accept_hello(fake);
	while (fake_read(fake, &request))
		fake_answer_int(fake, request.msgid, 1);
}

/* ---- loss ---- */

static sem_t queued;

static void vanish_script(struct fake *fake)
{
	fake_accept_hello(fake);
	sem_wait(&queued);
	fake_hang_up(fake);
	serve_pings(fake);
}

static void a_loss_tells_what_was_sent_from_what_was_not(void **state)
{
	(void)state;
	sem_init(&queued, 0, 0);
	struct fake *fake = fake_start(vanish_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct end sent = {0}, unsent = {0};
	struct procpool_writer w;
	const size_t size = 8 << 20;
	char *bytes = calloc(1, size);

	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, on_end, &sent, NULL),
			 PROCPOOL_OK);
	assert_int_equal(procpool_flush(pp), PROCPOOL_OK);
	procpool_writer_init(&w);
	procpool_write_array(&w, 1);
	procpool_write_bytes(&w, bytes, size);
	assert_int_equal(procpool_apply_async(pp, "f", procpool_writer_value(&w), NULL, on_end,
					      &unsent, NULL),
			 PROCPOOL_OK);
	assert_int_equal(procpool_events(pp), POLLIN | POLLOUT);
	sem_post(&queued);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_ERR_LOST);
	assert_int_equal(sent.count, 1);
	assert_int_equal(sent.code, PROCPOOL_ERR_LOST);
	assert_int_equal(unsent.count, 1);
	assert_int_equal(unsent.code, PROCPOOL_ERR_NOT_SENT);
	assert_string_not_equal(procpool_lost_reason(pp), "");

	/* Nothing is sent again, and nothing more, until told. */
	assert_int_equal(procpool_state(pp), PROCPOOL_LOST);
	assert_int_equal(procpool_timeout_ms(pp), -1);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, &out), PROCPOOL_ERR_NOT_SENT);
	assert_int_equal(procpool_dispatch(pp), PROCPOOL_ERR_LOST);
	assert_int_equal(procpool_poll(pp, -1), PROCPOOL_ERR_LOST);
	assert_int_equal(procpool_reconnect(pp, &out), PROCPOOL_OK);
	assert_string_equal(procpool_lost_reason(pp), "");
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, &out), PROCPOOL_OK);
	assert_int_equal(sent.count + unsent.count, 2);

	free(bytes);
	procpool_writer_fini(&w);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
	sem_destroy(&queued);
}

static void goodbye_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t answered = fake_expect(fake, "ping").msgid;
	fake_expect(fake, "ping");
	fake_answer_int(fake, answered, 1);
	FAKE_SEND(fake, "\223\002\245error\221\202\244code\255shutting-down\247message\244bye!");
	fake_hang_up(fake);
}

static void what_the_daemon_said_before_it_left_is_heard(void **state)
{
	(void)state;
	struct fake *fake = fake_start(goodbye_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct end first = {0}, second = {0};
	procpool_request_async(pp, "ping", NO_VALUE, on_end, &first, NULL);
	procpool_request_async(pp, "ping", NO_VALUE, on_end, &second, NULL);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_ERR_LOST);
	assert_int_equal(first.code, PROCPOOL_OK);
	assert_int_equal(second.code, PROCPOOL_ERR_LOST);
	assert_non_null(strstr(procpool_lost_reason(pp), "bye!"));
	procpool_close(pp);
	fake_stop(fake);
}

static void refusing_script(struct fake *fake)
{
	bool read_first = *(bool *)fake->data;
	fake_accept(fake);
	if (read_first)
		fake_expect(fake, "hello");
	FAKE_SEND(fake, "\223\002\245error\221\202\244code\246denied\247message\244ask!");
	fake_hang_up(fake);
}

/* With hello unread the end of the connection is a reset, or hello cannot even be sent. */
static void a_refusal_instead_of_hello_is_what_connecting_ends_with(void **state)
{
	(void)state;
	for (int read_first = 0; read_first <= 1; read_first++) {
		bool reads = read_first;
		struct fake *fake = fake_start(refusing_script, &reads);
		struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
		struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
		struct procpool *pp;
		options.path = fake->path;
		assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_DENIED);
		assert_non_null(strstr(out.message, "ask!"));
		procpool_outcome_fini(&out);
		fake_stop(fake);
	}
}

static void silent_script(struct fake *fake)
{
	fake_accept_hello(fake);
	fake_until_closed(fake);
}

static void closing_ends_all_calls_once(void **state)
{
	(void)state;
	struct fake *fake = fake_start(silent_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct end ends[3] = {0};
	struct procpool_call *held;
	for (int i = 0; i < 3; i++)
		procpool_apply_async(pp, "f", NO_VALUE, NULL, on_end, &ends[i], NULL);
	procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &held);
	procpool_flush(pp);
	procpool_close(pp);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ends[i].count, 1);
		assert_int_equal(ends[i].code, PROCPOOL_ERR_LOST);
	}
	procpool_close(NULL);
	fake_stop(fake);
}

/* ---- in callbacks ---- */

static void on_end_misuse(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_dispatch(pp), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_poll(pp, 0), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_run(pp, 0), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_reconnect(pp, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_flush(pp), PROCPOOL_OK);
	procpool_outcome_fini(&out);
	on_end(pp, outcome, data);
}

static void on_end_close(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	procpool_close(pp);
	procpool_close(pp);
	/* What was borrowed is still there. */
	assert_int_equal(outcome->value.data[0], 1);
	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, on_end, data, NULL),
			 PROCPOOL_ERR_NOT_SENT);
	on_end(pp, outcome, data);
}

static void callbacks_may_close_but_not_wait(void **state)
{
	(void)state;
	struct fake *fake = fake_start(serve_pings, NULL);
	struct procpool *pp = fake_connect(fake);
	struct end misuse = {0}, closed = {0}, after = {0};
	procpool_request_async(pp, "ping", NO_VALUE, on_end_misuse, &misuse, NULL);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_OK);
	assert_int_equal(misuse.count, 1);
	procpool_request_async(pp, "ping", NO_VALUE, on_end_close, &closed, NULL);
	procpool_request_async(pp, "ping", NO_VALUE, on_end, &after, NULL);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_ERR_CLOSED);
	assert_int_equal(closed.count, 1);
	assert_int_equal(closed.code, PROCPOOL_OK);
	assert_int_equal(after.count, 1);
	assert_int_equal(after.code, PROCPOOL_ERR_LOST);
	fake_stop(fake);
}

/* ---- fork ---- */

/* Every use of the parent's connection; 0 or the line of what went wrong. */
static int use_in_child(struct procpool *pp, struct procpool_call *call)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	uint64_t job;
#define EXPECT(expression, expected)                                                               \
	do {                                                                                       \
		if ((expression) != (expected))                                                    \
			return __LINE__ % 255 + 1;                                                 \
	} while (0)
	EXPECT(procpool_apply(pp, "f", NO_VALUE, NULL, &out), PROCPOOL_ERR_FORKED);
	EXPECT(strstr(out.message, "parent") != NULL, true);
	EXPECT(procpool_map(pp, "f", NO_VALUE, NULL, NULL), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_submit(pp, "f", NO_VALUE, NULL, &job, NULL), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_apply_async(pp, "f", NO_VALUE, NULL, on_end, NULL, NULL),
	       PROCPOOL_ERR_FORKED);
	EXPECT(procpool_call_wait(call, -1), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_call_cancel(call), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_dispatch(pp), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_poll(pp, -1), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_run(pp, -1), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_flush(pp), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_reconnect(pp, NULL), PROCPOOL_ERR_FORKED);
	EXPECT(procpool_state(pp), PROCPOOL_LOST);
	EXPECT(procpool_fd(pp), -1);
	EXPECT(procpool_events(pp), 0);
	EXPECT(procpool_timeout_ms(pp), -1);
	procpool_call_free(call);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	return 0;
}

static void assert_child_ends_well(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_child_cannot_use_its_parents_connection(void **state)
{
	(void)state;
	struct fake *fake = fake_start(serve_pings, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_call *call;
	struct end end = {0};
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, NULL, NULL, &call),
			 PROCPOOL_OK);
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, on_end, &end, NULL),
			 PROCPOOL_OK);
	pid_t child = fork();
	if (child == 0) {
		int wrong = use_in_child(pp, call);
		_exit(wrong != 0 ? wrong : end.count);
	}
	assert_child_ends_well(child);
	/* Nothing of this touched the parent's. */
	assert_int_equal(procpool_call_wait(call, -1), PROCPOOL_OK);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_OK);
	assert_int_equal(end.count, 1);
	procpool_call_free(call);
	procpool_close(pp);
	fake_stop(fake);
}

struct forked {
	pid_t child;
	bool close;
};

static void on_end_fork(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct forked *forked = data;
	forked->child = fork();
	if (forked->child == 0 && forked->close)
		procpool_close(pp);
	assert_int_equal(outcome->value.data[0], 1);
}

static void a_child_made_in_a_callback_gets_no_more_of_them(void **state)
{
	(void)state;
	for (int close_it = 0; close_it < 2; close_it++) {
		struct fake *fake = fake_start(serve_pings, NULL);
		struct procpool *pp = fake_connect(fake);
		struct forked forked = {.close = close_it};
		struct end end = {0};
		procpool_request_async(pp, "ping", NO_VALUE, on_end_fork, &forked, NULL);
		procpool_request_async(pp, "ping", NO_VALUE, on_end, &end, NULL);
		enum procpool_code code = procpool_run(pp, 60);
		if (forked.child == 0) {
			bool good = end.count == 0 &&
				    code == (close_it ? PROCPOOL_ERR_CLOSED : PROCPOOL_ERR_FORKED);
			_exit(!good);
		}
		assert_int_equal(code, PROCPOOL_OK);
		assert_int_equal(end.count, 1);
		assert_child_ends_well(forked.child);
		procpool_close(pp);
		fake_stop(fake);
	}
}

/* ---- threads ---- */

static void *call_many(void *data)
{
	struct fake *fake = data;
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	for (int i = 0; i < 2000; i++)
		FAKE_CHECK(procpool_request(pp, "ping", NO_VALUE, &out) == PROCPOOL_OK);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	return NULL;
}

static void threads_use_connections_of_their_own(void **state)
{
	(void)state;
	struct fake *fakes[2];
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) {
		fakes[i] = fake_start(serve_pings, NULL);
		assert_int_equal(pthread_create(&threads[i], NULL, call_many, fakes[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		fake_stop(fakes[i]);
	}
}

/* ---- time and signals ---- */

static void on_alarm(int signal)
{
	(void)signal;
}

static void waiting_ends_with_its_time_or_a_signal(void **state)
{
	(void)state;
	struct fake *fake = fake_start(silent_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_call *call;
	struct sigaction action = {.sa_handler = on_alarm};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct itimerspec often = {{0, 10000000}, {0, 10000000}};
	timer_t timer;

	procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &call);
	assert_int_equal(procpool_poll(pp, 0), PROCPOOL_PENDING);
	assert_int_equal(procpool_poll(pp, 0.01), PROCPOOL_PENDING);
	assert_int_equal(procpool_run(pp, 0.01), PROCPOOL_PENDING);
	assert_int_equal(procpool_call_wait(call, 0), PROCPOOL_PENDING);
	assert_int_equal(procpool_in_flight(pp), 1);

	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
	assert_int_equal(procpool_poll(pp, -1), PROCPOOL_ERR_INTERRUPTED);
	assert_int_equal(procpool_call_wait(call, 0.1), PROCPOOL_PENDING);
	timer_delete(timer);
	procpool_call_free(call);
	procpool_close(pp);
	fake_stop(fake);
}

static void mute_script(struct fake *fake)
{
	fake_accept(fake);
	fake_until_closed(fake);
}

static void connecting_ends_with_its_time(void **state)
{
	(void)state;
	struct fake *fake = fake_start(mute_script, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	options.path = fake->path;
	options.seconds = 0.02;
	assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_NO_DAEMON);
	assert_int_equal(out.os_error, ETIMEDOUT);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- connecting ---- */

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void a_full_backlog_is_waited_for(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	int fds[16], count = 0;
	while (count < 16 && (fds[count] = dial(fake->path)) >= 0)
		count++;
	assert_in_range(count, 1, 15);

	options.path = fake->path;
	options.seconds = 0.02;
	assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_NO_DAEMON);
	assert_int_equal(out.os_error, ETIMEDOUT);

	options.nonblock = true;
	assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_OK);
	assert_int_equal(procpool_state(pp), PROCPOOL_CONNECTING);
	assert_in_range(procpool_timeout_ms(pp), 0, 1000);
	assert_int_equal(procpool_events(pp), 0);
	struct end end = {0};
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, on_end, &end, NULL),
			 PROCPOOL_OK);
	assert_int_equal(procpool_dispatch(pp), PROCPOOL_OK);
	for (int i = 0; i < count; i++) {
		close(accept(fake->listen_fd, NULL, NULL));
		close(fds[i]);
	}
	while (procpool_state(pp) == PROCPOOL_CONNECTING)
		assert_int_equal(procpool_poll(pp, -1), PROCPOOL_OK);
	fake_accept_hello(fake);
	fake_answer_int(fake, fake_expect(fake, "ping").msgid, 1);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_OK);
	assert_int_equal(end.code, PROCPOOL_OK);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

static void a_foreign_loop_needs_only_descriptor_events_and_time(void **state)
{
	(void)state;
	struct fake *fake = fake_start(serve_pings, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool *pp;
	struct end end = {0};
	options.path = fake->path;
	options.nonblock = true;
	assert_int_equal(procpool_connect(&options, &pp, NULL), PROCPOOL_OK);
	assert_int_equal(fcntl(procpool_fd(pp), F_GETFD), FD_CLOEXEC);
	procpool_request_async(pp, "ping", NO_VALUE, on_end, &end, NULL);
	while (end.count == 0) {
		struct pollfd pfd = {procpool_fd(pp), procpool_events(pp), 0};
		assert_in_range(poll(&pfd, 1, procpool_timeout_ms(pp)), 0, 1);
		assert_int_equal(procpool_dispatch(pp), PROCPOOL_OK);
	}
	assert_int_equal(end.code, PROCPOOL_OK);
	assert_int_equal(procpool_events(pp), POLLIN);
	procpool_close(pp);
	fake_stop(fake);
}

/* Connects without a path and says where it was. */
static enum procpool_code find(char *ret_path)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	enum procpool_code code = procpool_connect(NULL, &pp, &out);
	ret_path[0] = '\0';
	if (code == PROCPOOL_OK) {
		strcpy(ret_path, procpool_path(pp));
		procpool_close(pp);
	} else {
		assert_string_not_equal(out.message, "");
	}
	procpool_outcome_fini(&out);
	return code;
}

static void serve_twice(struct fake *fake)
{
	serve_pings(fake);
	serve_pings(fake);
}

static void the_socket_is_searched_for_in_order(void **state)
{
	(void)state;
	struct fake *fake = fake_start(serve_twice, NULL);
	char found[128], dir[128], link_path[256];

	assert_int_equal(setenv("PROCPOOL_SOCKET", fake->path, 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
	assert_int_equal(find(found), PROCPOOL_OK);
	assert_string_equal(found, fake->path);

	/* Where it is set, it is used whatever happens. */
	setenv("XDG_RUNTIME_DIR", fake->dir, 1);
	snprintf(dir, sizeof(dir), "%s/procpool", fake->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(link_path, sizeof(link_path), "%s/procpoold.sock", dir);
	assert_int_equal(symlink(fake->path, link_path), 0);
	setenv("PROCPOOL_SOCKET", "/nonexistent/sock", 1);
	assert_int_equal(find(found), PROCPOOL_ERR_NO_DAEMON);

	/* Empty is as unset. */
	setenv("PROCPOOL_SOCKET", "", 1);
	assert_int_equal(find(found), PROCPOOL_OK);
	assert_string_equal(found, link_path);

	char longest[200];
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	setenv("PROCPOOL_SOCKET", longest, 1);
	assert_int_equal(find(found), PROCPOOL_ERR_SYSTEM);

	unlink(link_path);
	rmdir(dir);
	unsetenv("PROCPOOL_SOCKET");
	unsetenv("XDG_RUNTIME_DIR");
	fake_stop(fake);
}

static void nobody_listening_is_told_from_other_failures(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	options.path = "/nonexistent/sock";
	for (int i = 0; i < 2; i++) {
		options.nonblock = i;
		assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_NO_DAEMON);
		assert_int_equal(out.os_error, ENOENT);
		assert_non_null(strstr(out.message, "/nonexistent/sock"));
	}
	close(fake->listen_fd);
	fake->listen_fd = -1;
	options.path = fake->path;
	assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_NO_DAEMON);
	assert_int_equal(out.os_error, ECONNREFUSED);
	options.path = "/proc/self/exe";
	assert_int_equal(procpool_connect(&options, &pp, &out), PROCPOOL_ERR_NO_DAEMON);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

static void a_socket_that_is_not_for_this_user_says_whom_to_ask(void **state)
{
	(void)state;
	struct fake *fake = fake_start(NULL, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	uid_t uid = geteuid();
	options.path = fake->path;
	assert_int_equal(chmod(fake->path, 0), 0);
	if (uid == 0)
		assert_int_equal(seteuid(65534), 0); /* root may connect to everything */
	enum procpool_code code = procpool_connect(&options, &pp, &out);
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(code, PROCPOOL_ERR_SYSTEM);
	assert_int_equal(out.os_error, EACCES);
	assert_non_null(strstr(out.message, "ask its owner"));
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loss_tells_what_was_sent_from_what_was_not),
		cmocka_unit_test(what_the_daemon_said_before_it_left_is_heard),
		cmocka_unit_test(a_refusal_instead_of_hello_is_what_connecting_ends_with),
		cmocka_unit_test(closing_ends_all_calls_once),
		cmocka_unit_test(callbacks_may_close_but_not_wait),
		cmocka_unit_test(a_child_cannot_use_its_parents_connection),
		cmocka_unit_test(a_child_made_in_a_callback_gets_no_more_of_them),
		cmocka_unit_test(threads_use_connections_of_their_own),
		cmocka_unit_test(waiting_ends_with_its_time_or_a_signal),
		cmocka_unit_test(connecting_ends_with_its_time),
		cmocka_unit_test(a_full_backlog_is_waited_for),
		cmocka_unit_test(a_foreign_loop_needs_only_descriptor_events_and_time),
		cmocka_unit_test(the_socket_is_searched_for_in_order),
		cmocka_unit_test(nobody_listening_is_told_from_other_failures),
		cmocka_unit_test(a_socket_that_is_not_for_this_user_says_whom_to_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
