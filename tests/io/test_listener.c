/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/admission.h"
#include "io/listener.h"

struct fixture {
	char directory[64];
	char path[80];
	char lock[90];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->directory, "/tmp/procpool-listener-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->directory);
	snprintf(f->lock, sizeof(f->lock), "%s.lock", f->path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	unlink(f->lock);
	/* Fails where a test has left anything else. */
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static void bind_well(struct listener *listener, const char *path)
{
	char *error = NULL;
	int r = listener_bind(listener, path, 0, &error);
	if (r != 0)
		print_message("%s\n", error);
	assert_int_equal(r, 0);
}

static void assert_refused(const char *path, int expected, const char *text)
{
	struct listener listener;
	char *error = NULL;
	assert_int_equal(listener_bind(&listener, path, 0, &error), expected);
	assert_non_null(error);
	if (!strstr(error, text))
		fail_msg("'%s' does not say '%s'", error, text);
	free(error);
	listener_fini(&listener);
}

/* A socket file that nobody listens on. */
static void leave_stale_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void test_the_socket_is_the_owners_and_goes_with_the_listener(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct stat named;
	mode_t mask = umask(0);
	bind_well(&listener, f->path);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(stat(f->path, &named), 0);
	assert_int_equal(named.st_mode & 07777, 0600);
	assert_true(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
	listener_fini(&listener);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(access(f->lock, F_OK), -1);
	listener_fini(&listener);
}

static void test_shared_socket_is_everybodys_whatever_the_umask(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct stat named;
	char *error = NULL;
	mode_t mask = umask(0077);
	assert_int_equal(listener_bind(&listener, f->path, LISTENER_SHARED, &error), 0);
	assert_int_equal(umask(mask), 0077);
	assert_int_equal(stat(f->path, &named), 0);
	assert_int_equal(named.st_mode & 07777, 0666);
	listener_fini(&listener);
}

static void test_a_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	bind_well(&listener, f->path);
	assert_refused(f->path, -EADDRINUSE, "another procpoold serves");
	int fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	listener_fini(&listener);
}

static void test_a_foreign_live_socket_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_refused(f->path, -EADDRINUSE, "listens on");
	/* Also now that the probe waits in its backlog and fills it. */
	assert_refused(f->path, -EADDRINUSE, "listens on");
	close(fd);

	unlink(f->path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_refused(f->path, -EADDRINUSE, "listens on");
	close(fd);
	assert_int_equal(access(f->path, F_OK), 0);
	assert_int_equal(access(f->lock, F_OK), -1);
}

static void test_a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	leave_stale_socket(f->path);
	assert_int_equal(connect_to(f->path), -ECONNREFUSED);
	bind_well(&listener, f->path);
	int fd = connect_to(f->path);
	assert_true(fd >= 0);
	close(fd);
	listener_fini(&listener);
}

static void test_a_file_that_is_no_socket_stays(void **state)
{
	struct fixture *f = *state;
	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	assert_refused(f->path, -EEXIST, "is not a socket");
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_only_the_own_socket_is_removed(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	char other[96];
	bind_well(&listener, f->path);
	/* Somebody puts another in its place (made first, so that the inode differs). */
	snprintf(other, sizeof(other), "%s/other", f->directory);
	leave_stale_socket(other);
	assert_int_equal(rename(other, f->path), 0);
	listener_fini(&listener);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_paths_that_cannot_be_are_explained(void **state)
{
	struct fixture *f = *state;
	char path[200];
	assert_refused("", -EINVAL, "empty");
	snprintf(path, sizeof(path), "%s/missing/sock", f->directory);
	assert_refused(path, -ENOENT, "No such file");
	memset(path, 'x', sizeof(path) - 1);
	path[108] = '\0';
	assert_refused(path, -ENAMETOOLONG, "is 108 bytes long, and the system allows 107");
}

static void test_the_last_directory_is_made_when_asked_for(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct stat named;
	char directory[80], path[90], *error = NULL;
	snprintf(directory, sizeof(directory), "%s/procpool", f->directory);
	snprintf(path, sizeof(path), "%s/sock", directory);
	assert_int_equal(listener_bind(&listener, path, LISTENER_MAKE_DIRECTORY, &error), 0);
	assert_int_equal(stat(directory, &named), 0);
	assert_int_equal(named.st_mode & 0777, geteuid() == 0 ? 0755 : 0700);
	listener_fini(&listener);
	assert_int_equal(listener_bind(&listener, path, LISTENER_MAKE_DIRECTORY, &error), 0);
	listener_fini(&listener);
	assert_int_equal(rmdir(directory), 0);
}

static void test_the_default_place_follows_the_user(void **state)
{
	(void)state;
	char *path = NULL, *error = NULL;
	if (geteuid() == 0) {
		assert_int_equal(listener_default_path(&path, &error), 0);
		assert_string_equal(path, "/run/procpool/procpoold.sock");
		free(path);
		return;
	}
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_int_equal(listener_default_path(&path, &error), 0);
	assert_string_equal(path, "/run/user/7/procpool/procpoold.sock");
	free(path);
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(listener_default_path(&path, &error), -ENOENT);
	assert_non_null(strstr(error, "--socket"));
	free(error);
}

/* Of daemons that start together on a stale socket exactly one wins, and it can be reached. */
static void test_exactly_one_of_many_that_start_together_wins(void **state)
{
	struct fixture *f = *state;
	enum { DAEMONS = 8, ROUNDS = 25 };
	for (int round = 0; round < ROUNDS; round++) {
		int start[2], report[2], end[2], winners = 0;
		leave_stale_socket(f->path);
		assert_int_equal(pipe(start) | pipe(report) | pipe(end), 0);
		for (int i = 0; i < DAEMONS; i++) {
			pid_t pid = fork();
			assert_true(pid >= 0);
			if (pid > 0)
				continue;
			struct listener listener;
			char byte, *error = NULL;
			close(start[1]);
			close(end[1]);
			(void)!read(start[0], &byte, 1);
			int r = listener_bind(&listener, f->path, 0, &error);
			byte = r == 0 ? 'w' : r == -EADDRINUSE ? 'l' : '?';
			(void)!write(report[1], &byte, 1);
			(void)!read(end[0], &byte, 1);
			/* Without fini, as kill -9 would leave it. */
			_exit(0);
		}
		close(start[0]);
		close(end[0]);
		close(start[1]);
		for (int i = 0; i < DAEMONS; i++) {
			char byte;
			assert_int_equal(read(report[0], &byte, 1), 1);
			assert_true(byte == 'w' || byte == 'l');
			winners += byte == 'w';
		}
		assert_int_equal(winners, 1);
		int fd = connect_to(f->path);
		assert_true(fd >= 0);
		close(fd);
		close(end[1]);
		for (int i = 0; i < DAEMONS; i++)
			assert_true(wait(NULL) > 0);
		close(report[0]);
		close(report[1]);
		assert_int_equal(connect_to(f->path), -ECONNREFUSED);
		unlink(f->path);
	}
}

static void test_connections_are_accepted_with_their_user(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct identity peer;
	int fd;
	bind_well(&listener, f->path);
	assert_int_equal(listener_accept(&listener, &fd), LISTENER_BLOCKED);
	int client = connect_to(f->path);
	assert_int_equal(listener_accept(&listener, &fd), LISTENER_ACCEPTED);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(admission_identify(fd, &peer), 0);
	assert_int_equal(peer.uid, geteuid());
	identity_fini(&peer);
	assert_int_equal(listener_accept(&listener, &fd), LISTENER_BLOCKED);
	close(fd);
	close(client);
	listener_fini(&listener);
}

static void test_without_descriptors_a_connection_is_still_answered(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	struct rlimit usual, none;
	int fd, second;
	char byte;
	bind_well(&listener, f->path);
	int client1 = connect_to(f->path), client2 = connect_to(f->path);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	int highest = dup(0);
	close(highest);
	none = (struct rlimit){.rlim_cur = (rlim_t)highest, .rlim_max = usual.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(dup(0), -1);

	int first = listener_accept(&listener, &fd);
	int starved = listener_accept(&listener, &second);
	bool refilled = listener_refill(&listener);
	close(fd);
	bool refilled_later = listener_refill(&listener);
	int again = listener_accept(&listener, &second);
	close(second);
	listener_refill(&listener);
	int nobody = listener_accept(&listener, &second);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);

	assert_int_equal(first, LISTENER_FULL);
	assert_int_equal(starved, LISTENER_STARVED);
	assert_false(refilled);
	assert_true(refilled_later);
	assert_int_equal(again, LISTENER_FULL);
	assert_int_equal(nobody, LISTENER_BLOCKED);
	assert_true(listener.reserve >= 0);
	assert_int_equal(read(client1, &byte, 1), 0);
	assert_int_equal(read(client2, &byte, 1), 0);
	close(client1);
	close(client2);
	listener_fini(&listener);
}

/* Runs take in a child that was passed the descriptors; its exit status is what take returned. */
static int in_child_with(const int *fds, int count, const char *names, int (*take)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char text[32];
		int high[4];
		for (int i = 0; i < count; i++)
			high[i] = fcntl(fds[i], F_DUPFD, 100);
		for (int i = 0; i < count; i++)
			dup2(high[i], 3 + i);
		snprintf(text, sizeof(text), "%d", getpid());
		setenv("LISTEN_PID", text, 1);
		snprintf(text, sizeof(text), "%d", count);
		setenv("LISTEN_FDS", text, 1);
		if (names)
			setenv("LISTEN_FDNAMES", names, 1);
		_exit(take());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int take_two(void)
{
	struct listener listeners[2];
	char *error = NULL;
	int r = listener_take_passed(listeners, 2, &error);
	bool good = r == 2 && !getenv("LISTEN_FDS") && listeners[0].passed &&
		    listeners[0].fd == 3 && listeners[1].fd == 4 &&
		    fcntl(3, F_GETFL) & O_NONBLOCK && fcntl(4, F_GETFD) & FD_CLOEXEC &&
		    strcmp(strrchr(listeners[0].path, '/'), "/sock") == 0 &&
		    strcmp(listeners[1].path, listeners[0].path) == 0;
	for (int i = 0; i < r; i++)
		listener_fini(&listeners[i]);
	return good ? 0 : 1;
}

/* One cannot be taken, and so none is. */
static int take_wrong(void)
{
	struct listener listeners[2];
	char *error = NULL;
	int r = listener_take_passed(listeners, 2, &error);
	return r == -EINVAL && error &&
			       (strstr(error, "descriptor unknown is not a listening") ||
				strstr(error, "descriptor web is not known here")) &&
			       fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) < 0
		       ? 0
		       : 1;
}

static int take_too_many(void)
{
	struct listener listeners[1];
	char *error = NULL;
	return listener_take_passed(listeners, 1, &error) == -E2BIG && error ? 0 : 1;
}

static void test_passed_sockets_are_taken_and_never_unlinked(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	char *error = NULL;
	assert_int_equal(listener_take_passed(&listener, 1, &error), 0);
	bind_well(&listener, f->path);
	int wrong = open("/dev/null", O_RDONLY | O_CLOEXEC), fd = listener.fd;
	int two[] = {fd, fd}, other[] = {fd, wrong};
	assert_int_equal(in_child_with(two, 2, "procpoold:procpoold.socket", take_two), 0);
	assert_int_equal(in_child_with(two, 2, "unknown:procpoold", take_two), 0);
	assert_int_equal(in_child_with(two, 2, NULL, take_two), 0);
	assert_int_equal(in_child_with(two, 2, "procpoold:web", take_wrong), 0);
	assert_int_equal(in_child_with(other, 2, "procpoold:unknown", take_wrong), 0);
	assert_int_equal(in_child_with(two, 2, "procpoold:procpoold", take_too_many), 0);
	assert_int_equal(access(f->path, F_OK), 0);
	close(wrong);
	listener_fini(&listener);
}

static void test_its_place_is_absolute(void **state)
{
	struct fixture *f = *state;
	struct listener listener;
	char *place = NULL, *usual = getcwd(NULL, 0);
	bind_well(&listener, f->path);
	assert_int_equal(listener_place(&listener, &place), 0);
	assert_string_equal(place, f->path);
	free(place);
	listener_fini(&listener);

	assert_int_equal(chdir(f->directory), 0);
	bind_well(&listener, "sock");
	assert_int_equal(listener_place(&listener, &place), 0);
	assert_string_equal(place, f->path);
	free(place);
	listener_fini(&listener);
	assert_int_equal(chdir(usual), 0);
	free(usual);

	listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listener_place(&listener, &place), -ENOENT);
	listener_fini(&listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_the_socket_is_the_owners_and_goes_with_the_listener),
		TEST(test_shared_socket_is_everybodys_whatever_the_umask),
		TEST(test_a_second_daemon_is_refused),
		TEST(test_a_foreign_live_socket_is_refused),
		TEST(test_a_stale_socket_is_replaced),
		TEST(test_a_file_that_is_no_socket_stays),
		TEST(test_only_the_own_socket_is_removed),
		TEST(test_paths_that_cannot_be_are_explained),
		TEST(test_the_last_directory_is_made_when_asked_for),
		TEST(test_the_default_place_follows_the_user),
		TEST(test_exactly_one_of_many_that_start_together_wins),
		TEST(test_connections_are_accepted_with_their_user),
		TEST(test_without_descriptors_a_connection_is_still_answered),
		TEST(test_passed_sockets_are_taken_and_never_unlinked),
		TEST(test_its_place_is_absolute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
