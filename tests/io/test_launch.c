/* SPDX-License-Identifier: MIT */
/* The daemon's end of the launcher, which is this test. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/launch.h"
#include "io/launch_refusal.h"
#include "io/launch_spec.h"
#include "io/process.h"
#include "launcher.h"

#define EXIT_STATUS 3

struct fixture {
	struct launch *launch;
	int fd; /* the launcher's end */
	pid_t pid;
	int fds[LAUNCH_FD_COUNT]; /* of the last request; -1: closed */
	struct process process;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int sockets[2];
	char text[64], *error;
	f->pid = fork();
	if (f->pid == 0)
		_exit(EXIT_STATUS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	snprintf(text, sizeof(text), "%d:%d", sockets[0], (int)f->pid);
	setenv(LAUNCHER_VARIABLE, text, 1);
	assert_int_equal(launch_open(&f->launch, &error), 0);
	assert_non_null(f->launch);
	assert_null(getenv(LAUNCHER_VARIABLE));
	f->fd = sockets[1];
	for (int i = 0; i < LAUNCH_FD_COUNT; i++)
		f->fds[i] = -1;
	process_init(&f->process);
	*state = f;
	return 0;
}

static void close_fds(struct fixture *f)
{
	for (int i = 0; i < LAUNCH_FD_COUNT; i++) {
		if (f->fds[i] >= 0)
			close(f->fds[i]);
		f->fds[i] = -1;
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	process_fini(&f->process);
	close_fds(f);
	if (f->fd >= 0)
		close(f->fd);
	launch_close(f->launch);
	free(f);
	return 0;
}

static void start(struct fixture *f, struct process *process)
{
	char *argv[] = {"program", "argument", NULL};
	struct process_spec spec = {
		.argv = argv, .launch = f->launch, .user = "images", .group = "pictures"};
	int pipe_fds[2];
	assert_int_equal(pipe(pipe_fds), 0);
	spec.channel = spec.outputs[0] = spec.outputs[1] = pipe_fds[1];
	assert_int_equal(process_start(process, &spec), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* The next request, with its descriptors in the fixture. */
static struct launch_request receive(struct fixture *f)
{
	struct launch_request request;
	char control[CMSG_SPACE(LAUNCH_FD_COUNT * sizeof(int))];
	struct iovec iov = {&request, sizeof(request)};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	close_fds(f);
	assert_int_equal(recvmsg(f->fd, &header, MSG_DONTWAIT), sizeof(request));
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	if (c) {
		assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(f->fds)));
		memcpy(f->fds, CMSG_DATA(c), sizeof(f->fds));
	}
	return request;
}

static void answer(struct fixture *f, struct launch_reply reply)
{
	assert_int_equal(send(f->fd, &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(launch_receive(f->launch), LAUNCH_IDLE);
}

static void test_no_variable_is_no_launcher(void **state)
{
	struct launch *launch;
	char *error;
	(void)state;
	unsetenv(LAUNCHER_VARIABLE);
	assert_int_equal(launch_open(&launch, &error), 0);
	assert_null(launch);
}

static void test_what_names_no_launcher_is_refused(void **state)
{
	const char *const wrong[] = {"", "x", "7", "0:1", "-1:77", "999:77", "0:77", "0:77x"};
	struct launch *launch;
	char *error;
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		setenv(LAUNCHER_VARIABLE, wrong[i], 1);
		assert_int_equal(launch_open(&launch, &error), -EINVAL);
		assert_null(launch);
		assert_non_null(strstr(error, "PROCPOOL_LAUNCHER"));
		free(error);
	}
	unsetenv(LAUNCHER_VARIABLE);
}

static void test_a_process_is_asked_for_with_all_that_it_is(void **state)
{
	struct fixture *f = *state;
	struct launch_spec spec;
	start(f, &f->process);
	struct launch_request request = receive(f);
	assert_int_equal(request.type, LAUNCH_START);
	assert_string_equal(request.user, "images");
	assert_string_equal(request.group, "pictures");
	assert_true(f->fds[LAUNCH_STATUS] >= 0);
	assert_int_equal(launch_spec_read(f->fds[LAUNCH_SPEC], &spec), 0);
	assert_string_equal(spec.argv[1], "argument");
	assert_null(spec.argv[2]);
	launch_spec_fini(&spec);
	assert_true(process_is_running(&f->process));
	assert_int_equal(f->process.pid, 0);
}

static void test_its_start_and_its_end_are_news(void **state)
{
	struct fixture *f = *state;
	struct process_exit end;
	start(f, &f->process);
	uint64_t id = receive(f).id;
	assert_null(launch_next_news(f->launch));
	answer(f, (struct launch_reply){.type = LAUNCH_STARTED, .id = id, .pid = 4242, .uid = 77});
	assert_ptr_equal(launch_next_news(f->launch), &f->process);
	assert_null(launch_next_news(f->launch));
	assert_int_equal(f->process.pid, 4242);
	assert_int_equal(launch_uid(f->process.launched), 77);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_RUNNING);
	answer(f, (struct launch_reply){.type = LAUNCH_ENDED,
					.id = id,
					.status = W_EXITCODE(0, SIGSEGV),
					.max_rss_kib = 12});
	assert_ptr_equal(launch_next_news(f->launch), &f->process);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_ENDED);
	assert_int_equal(end.signal, SIGSEGV);
	assert_int_equal(end.max_rss_kib, 12);
	assert_false(process_is_running(&f->process));
	assert_int_equal(process_signal(&f->process, SIGKILL), -ESRCH);
}

static void test_a_refusal_is_an_end_that_is_explained(void **state)
{
	struct fixture *f = *state;
	struct process_exit end;
	char *error = NULL;
	start(f, &f->process);
	answer(f, (struct launch_reply){.type = LAUNCH_REFUSED,
					.id = receive(f).id,
					.refusal = LAUNCH_NOT_ALLOWED});
	assert_ptr_equal(launch_next_news(f->launch), &f->process);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_ENDED);
	assert_int_equal(process_exec_error(&f->process, &error), -EPERM);
	assert_string_equal(error, "pools may not run as the user images, who is not in the group "
				   "procpool-worker: usermod -aG procpool-worker images");
	assert_true(f->process.refused);
	free(error);
}

static void test_replies_of_nobody_are_passed_over(void **state)
{
	struct fixture *f = *state;
	for (uint32_t type = 0; type < 5; type++)
		answer(f, (struct launch_reply){.type = type, .id = 99});
	assert_null(launch_next_news(f->launch));
}

static int count_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_what_there_is_no_room_for_is_sent_later_in_its_order(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 2000 };
	struct process *processes = calloc(MANY, sizeof(*processes));
	int started = 0, before = count_descriptors(), waiting = 0;
	for (; started < MANY && waiting < 3; started++) {
		start(f, &processes[started]);
		assert_int_equal(process_signal(&processes[started], SIGUSR1), 0);
		waiting += launch_is_blocked(f->launch);
	}
	assert_int_equal(waiting, 3);
	assert_int_equal(launch_flush(f->launch), LAUNCH_BLOCKED);
	for (int i = 0; i < started; i++) {
		struct launch_request request = receive(f);
		assert_int_equal(request.type, LAUNCH_START);
		assert_int_equal(request.id, i + 1);
		assert_true(f->fds[LAUNCH_SPEC] >= 0);
		request = receive(f);
		assert_int_equal(request.type, LAUNCH_KILL);
		assert_int_equal(request.id, i + 1);
		assert_int_equal(request.signal, SIGUSR1);
		launch_flush(f->launch);
	}
	assert_int_equal(launch_flush(f->launch), LAUNCH_IDLE);
	assert_false(launch_is_blocked(f->launch));
	for (int i = 0; i < started; i++) {
		process_fini(&processes[i]);
		receive(f); /* it is killed */
	}
	close_fds(f);
	assert_int_equal(count_descriptors(), before);
	free(processes);
}

static void test_who_is_forgotten_is_killed_and_no_news(void **state)
{
	struct fixture *f = *state;
	start(f, &f->process);
	uint64_t id = receive(f).id;
	process_fini(&f->process);
	struct launch_request request = receive(f);
	assert_int_equal(request.type, LAUNCH_KILL);
	assert_int_equal(request.signal, SIGKILL);
	assert_int_equal(request.id, id);
	answer(f, (struct launch_reply){.type = LAUNCH_STARTED, .id = id, .pid = 4242});
	answer(f, (struct launch_reply){.type = LAUNCH_ENDED, .id = id});
	assert_null(launch_next_news(f->launch));
}

static void test_all_have_ended_when_the_launcher_has(void **state)
{
	struct fixture *f = *state;
	struct process_exit end;
	start(f, &f->process);
	close(f->fd);
	f->fd = -1;
	assert_int_equal(launch_receive(f->launch), LAUNCH_GONE);
	assert_ptr_equal(launch_next_news(f->launch), &f->process);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_ENDED);
	assert_int_equal(end.signal, SIGKILL);
	assert_int_equal(WEXITSTATUS(launch_wait(f->launch)), EXIT_STATUS);
}

static void test_a_message_of_another_size_ends_it_as_well(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send(f->fd, "?", 1, 0), 1);
	assert_int_equal(launch_receive(f->launch), LAUNCH_GONE);
}

static void test_each_refusal_says_who_and_what_to_do(void **state)
{
	(void)state;
	for (int refusal = LAUNCH_FULL; refusal <= LAUNCH_NOT_ITS_GROUP; refusal++) {
		char *text = launch_refusal_explain(refusal, ENOMEM, "images", "pictures");
		assert_non_null(text);
		bool of_a_user = refusal == LAUNCH_LOOKUP_FAILED ||
				 refusal == LAUNCH_UNKNOWN_USER || refusal >= LAUNCH_IS_ROOT;
		assert_int_equal(strstr(text, "images") != NULL, of_a_user);
		for (int other = LAUNCH_FULL; other < refusal; other++) {
			char *others = launch_refusal_explain(other, ENOMEM, "images", "pictures");
			assert_string_not_equal(text, others);
			free(others);
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		cmocka_unit_test(test_no_variable_is_no_launcher),
		cmocka_unit_test(test_what_names_no_launcher_is_refused),
		TEST(test_a_process_is_asked_for_with_all_that_it_is),
		TEST(test_its_start_and_its_end_are_news),
		TEST(test_a_refusal_is_an_end_that_is_explained),
		TEST(test_replies_of_nobody_are_passed_over),
		TEST(test_what_there_is_no_room_for_is_sent_later_in_its_order),
		TEST(test_who_is_forgotten_is_killed_and_no_news),
		TEST(test_all_have_ended_when_the_launcher_has),
		TEST(test_a_message_of_another_size_ends_it_as_well),
		cmocka_unit_test(test_each_refusal_says_who_and_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
