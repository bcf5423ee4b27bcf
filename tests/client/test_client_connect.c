/* SPDX-License-Identifier: MIT */
/* How a connection is found and made, or is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake.h"

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
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, note_end, &end, NULL),
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
	struct fake *fake = fake_start(fake_serve_pings, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool *pp;
	struct end end = {0};
	options.path = fake->path;
	options.nonblock = true;
	assert_int_equal(procpool_connect(&options, &pp, NULL), PROCPOOL_OK);
	assert_int_equal(fcntl(procpool_fd(pp), F_GETFD), FD_CLOEXEC);
	procpool_request_async(pp, "ping", NO_VALUE, note_end, &end, NULL);
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
	fake_serve_pings(fake);
	fake_serve_pings(fake);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_backlog_is_waited_for),
		cmocka_unit_test(a_foreign_loop_needs_only_descriptor_events_and_time),
		cmocka_unit_test(the_socket_is_searched_for_in_order),
		cmocka_unit_test(nobody_listening_is_told_from_other_failures),
		cmocka_unit_test(a_socket_that_is_not_for_this_user_says_whom_to_ask),
		cmocka_unit_test(connecting_ends_with_its_time),
		cmocka_unit_test(a_refusal_instead_of_hello_is_what_connecting_ends_with),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
