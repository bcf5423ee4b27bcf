/* SPDX-License-Identifier: MIT */
/* procpool_connect_private(), with the daemon that the first argument names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "procpool.h"

#define V(literal)  ((struct procpool_value){(const uint8_t *)(literal), sizeof(literal) - 1})
#define DEADLINE_MS 60000

static const char *daemon_path;
static const char *const demo[] = {"--module", "demo", "--workers", "1", NULL};

static int setup(void **state)
{
	(void)state;
	return setenv("PROCPOOL_DAEMON", daemon_path, 1);
}

static int descriptors(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* The daemon at the other end: who has begun to listen. */
static int open_daemon(const struct procpool *pp)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	assert_int_equal(getsockopt(procpool_fd(pp), SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
	int fd = pidfd_open(peer.pid, 0);
	assert_true(fd >= 0);
	return fd;
}

static bool ends_within(int pidfd, int timeout_ms)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};
	return poll(&fd, 1, timeout_ms) == 1;
}

static void end_daemon(int pidfd)
{
	assert_int_equal(pidfd_send_signal(pidfd, SIGTERM, NULL, 0), 0);
	assert_true(ends_within(pidfd, DEADLINE_MS));
	close(pidfd);
}

static struct procpool *connect_privately(void)
{
	struct procpool *pp = NULL;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	if (procpool_connect_private(demo, NULL, &pp, &out) != PROCPOOL_OK)
		fail_msg("%s", out.message);
	procpool_outcome_fini(&out);
	return pp;
}

static void assert_serves(struct procpool *pp)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	int64_t n = 0;
	assert_int_equal(procpool_apply(pp, "demo.inc", V("\221\051"), NULL, &out), PROCPOOL_OK);
	assert_true(procpool_value_int(out.value, &n));
	assert_int_equal(n, 42);
	procpool_outcome_fini(&out);
}

static void it_serves_this_process_and_leaves_it_no_child(void **state)
{
	(void)state;
	int before = descriptors();
	struct procpool *pp = connect_privately(), *other;
	assert_serves(pp);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(descriptors(), before + 1);

	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	char path[128];
	snprintf(path, sizeof(path), "%s", procpool_path(pp));
	options.path = path;
	assert_int_equal(procpool_connect(&options, &other, NULL), PROCPOOL_OK);
	assert_int_equal(procpool_reconnect(pp, NULL), PROCPOOL_OK);
	assert_string_equal(procpool_path(pp), path);
	int daemon = open_daemon(pp);
	procpool_close(pp);
	/* Not with the connection. */
	assert_serves(other);
	procpool_close(other);
	assert_false(ends_within(daemon, 0));
	end_daemon(daemon);
	assert_int_equal(access(path, F_OK), -1);
}

static void without_arguments_it_has_the_pools_that_are_opened(void **state)
{
	(void)state;
	static const char *const modules[] = {"demo", NULL};
	struct procpool_pool_options options = PROCPOOL_POOL_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	char pool[PROCPOOL_POOL_NAME_SIZE];
	struct procpool *pp;
	options.modules = modules;
	options.workers = 1;
	assert_int_equal(procpool_connect_private(NULL, NULL, &pp, &out), PROCPOOL_OK);
	assert_int_equal(procpool_apply(pp, "demo.inc", V("\221\051"), NULL, &out),
			 PROCPOOL_ERR_UNKNOWN_FUNCTION);
	assert_int_equal(procpool_pool_open(pp, &options, pool, &out), PROCPOOL_OK);
	assert_serves(pp);
	int daemon = open_daemon(pp);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	end_daemon(daemon);
}

static void *connect_in_a_thread(void *data)
{
	*(struct procpool **)data = connect_privately();
	return NULL;
}

static void it_lives_on_when_the_thread_that_connected_has_ended(void **state)
{
	(void)state;
	struct procpool *pp;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, connect_in_a_thread, &pp), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	int daemon = open_daemon(pp);
	assert_serves(pp);
	assert_false(ends_within(daemon, 0));
	procpool_close(pp);
	end_daemon(daemon);
}

/* In a program that has closed its standard streams and ignores its children. */
__attribute__((noreturn)) static void be_a_program(int tell, int end)
{
	struct procpool *pp;
	char byte;
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	signal(SIGCHLD, SIG_IGN);
	if (procpool_connect_private(demo, NULL, &pp, NULL) != PROCPOOL_OK)
		_exit(1);
	int daemon = open_daemon(pp);
	int pid = 0;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", daemon);
	FILE *info = fopen(path, "r");
	char line[128];
	while (info && fgets(line, sizeof(line), info))
		sscanf(line, "Pid: %d", &pid);
	if (write(tell, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	(void)!read(end, &byte, 1);
	_exit(0);
}

static void it_ends_with_the_process(void **state)
{
	(void)state;
	for (int killed = 0; killed < 2; killed++) {
		int tell[2], end[2], pid, status;
		assert_int_equal(pipe(tell) | pipe(end), 0);
		pid_t child = fork();
		if (child == 0)
			be_a_program(tell[1], end[0]);
		assert_int_equal(read(tell[0], &pid, sizeof(pid)), sizeof(pid));
		int daemon = pidfd_open(pid, 0);
		assert_true(daemon >= 0);
		assert_false(ends_within(daemon, 0));
		if (killed)
			kill(child, SIGKILL);
		else
			assert_int_equal(write(end[1], "", 1), 1);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(ends_within(daemon, DEADLINE_MS));
		close(daemon);
		for (int i = 0; i < 2; i++) {
			close(tell[i]);
			close(end[i]);
		}
	}
}

/* What fails, and what is said of it. */
static void assert_fails(const struct procpool_connect_options *options, enum procpool_code code,
			 int os_error, const char *words)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	int before = descriptors();
	assert_int_equal(procpool_connect_private(NULL, options, &pp, &out), code);
	assert_int_equal(out.os_error, os_error);
	if (!strstr(out.message, words))
		fail_msg("'%s' is not in '%s'", words, out.message);
	assert_int_equal(descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	procpool_outcome_fini(&out);
}

static void where_it_is_not_found_it_is_said_what_to_do(void **state)
{
	(void)state;
	setenv("PROCPOOL_DAEMON", "/nonexistent/procpoold", 1);
	assert_fails(NULL, PROCPOOL_ERR_NO_DAEMON, ENOENT,
		     "/nonexistent/procpoold, which PROCPOOL_DAEMON names");
	char *path = strdup(getenv("PATH"));
	unsetenv("PROCPOOL_DAEMON");
	setenv("PATH", "/nonexistent", 1);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool *pp;
	/* Unless this machine has one installed. */
	enum procpool_code code = procpool_connect_private(NULL, NULL, &pp, &out);
	setenv("PATH", path, 1);
	free(path);
	if (code == PROCPOOL_OK) {
		int daemon = open_daemon(pp);
		procpool_close(pp);
		end_daemon(daemon);
	} else {
		assert_int_equal(code, PROCPOOL_ERR_NO_DAEMON);
		assert_non_null(strstr(out.message, "install procpool, or set PROCPOOL_DAEMON"));
	}
	procpool_outcome_fini(&out);
}

static void it_is_found_in_the_path(void **state)
{
	(void)state;
	char *path = strdup(getenv("PATH")), *directory = strdup(daemon_path);
	*strrchr(directory, '/') = '\0';
	unsetenv("PROCPOOL_DAEMON");
	setenv("PATH", directory, 1);
	struct procpool *pp = connect_privately();
	setenv("PATH", path, 1);
	int daemon = open_daemon(pp);
	procpool_close(pp);
	end_daemon(daemon);
	free(path);
	free(directory);
}

static void one_that_does_not_start_is_no_daemon(void **state)
{
	(void)state;
	setenv("PROCPOOL_DAEMON", "/bin/false", 1);
	assert_fails(NULL, PROCPOOL_ERR_NO_DAEMON, 0, "ended with status 1");
}

static void one_that_says_nothing_is_not_waited_for(void **state)
{
	(void)state;
	char script[] = "/tmp/procpool-script-XXXXXX";
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	int fd = mkstemp(script);
	dprintf(fd, "#!/bin/sh\nexec sleep 1000\n");
	fchmod(fd, 0755);
	close(fd);
	setenv("PROCPOOL_DAEMON", script, 1);
	options.seconds = 0.02;
	assert_fails(&options, PROCPOOL_ERR_NO_DAEMON, ETIMEDOUT, "did not listen in time");
	unlink(script);
}

static void it_has_no_path_that_is_told(void **state)
{
	(void)state;
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	options.path = "/x";
	assert_fails(&options, PROCPOOL_ERR_INVALID, 0, "");
	options = (struct procpool_connect_options){0};
	assert_fails(&options, PROCPOOL_ERR_INVALID, 0, "");
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(it_serves_this_process_and_leaves_it_no_child),
		TEST(without_arguments_it_has_the_pools_that_are_opened),
		TEST(it_lives_on_when_the_thread_that_connected_has_ended),
		TEST(it_ends_with_the_process),
		TEST(where_it_is_not_found_it_is_said_what_to_do),
		TEST(it_is_found_in_the_path),
		TEST(one_that_does_not_start_is_no_daemon),
		TEST(one_that_says_nothing_is_not_waited_for),
		TEST(it_has_no_path_that_is_told),
	};
	if (argc < 2)
		return 2;
	daemon_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
