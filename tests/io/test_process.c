/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/process_settings.h"
#include "io/process.h"

#define DEADLINE_MS 20000

struct fixture {
	struct process process;
	int channel; /* the daemon's end */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	process_init(&f->process);
	f->channel = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	process_fini(&f->process);
	if (f->channel >= 0)
		close(f->channel);
	free(f);
	return 0;
}

static void start_as(struct fixture *f, struct process_spec spec)
{
	assert_int_equal(process_channel(&f->channel, &spec.channel), 0);
	if (spec.outputs[0] == 0)
		spec.outputs[0] = spec.outputs[1] = STDERR_FILENO;
	assert_int_equal(process_start(&f->process, &spec), 0);
	close(spec.channel);
}

static int move(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static void start(struct fixture *f, char *const *argv, const struct process_settings *settings)
{
	start_as(f, (struct process_spec){.argv = argv, .settings = settings});
}

static void start_shell(struct fixture *f, const char *script,
			const struct process_settings *settings)
{
	char *const argv[] = {"sh", "-c", (char *)script, NULL};
	start(f, argv, settings);
}

/* Starts another in the place of what has ended. */
static void start_shell_again(struct fixture *f, const char *script,
			      const struct process_settings *settings)
{
	process_fini(&f->process);
	close(f->channel);
	start_shell(f, script, settings);
}

static void await(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
}

/* All that the process says until its channel ends. */
static const char *read_all(struct fixture *f)
{
	static char text[4096];
	size_t size = 0;
	ssize_t n;
	do {
		await(f->channel);
		n = read(f->channel, text + size, sizeof(text) - 1 - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0);
	text[size] = '\0';
	return text;
}

static struct process_exit await_exit(struct fixture *f)
{
	struct process_exit end;
	await(f->process.pidfd);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_ENDED);
	assert_int_equal(f->process.pid, 0);
	return end;
}

static void test_a_program_gets_its_channel_and_no_other_descriptor(void **state)
{
	struct fixture *f = *state;
	/* One that everybody would inherit, and more than there are places to be taken. */
	int leak = open("/dev/zero", O_RDONLY);
	start_shell(f,
		    "i=0; while [ $i -lt 100 ]; do [ -e /proc/$$/fd/$i ] && echo $i >&3; "
		    "i=$((i+1)); done;"
		    "[ /proc/$$/fd/0 -ef /dev/null ] && echo null >&3; exit 7",
		    NULL);
	assert_string_equal(read_all(f), "0\n1\n2\n3\nnull\n");
	assert_int_equal(await_exit(f).exit_status, 7);
	char *error = NULL;
	assert_int_equal(process_exec_error(&f->process, &error), 0);
	assert_null(error);
	close(leak);
}

/* Also where they are each other's place. */
static void test_output_and_error_are_those_given(void **state)
{
	struct fixture *f = *state;
	char text[32] = "";
	int files[2] = {memfd_create("output", MFD_CLOEXEC), memfd_create("error", MFD_CLOEXEC)};
	int usual[2] = {move(STDOUT_FILENO), move(STDERR_FILENO)};
	dup2(files[0], STDERR_FILENO);
	dup2(files[1], STDOUT_FILENO);
	char *const argv[] = {"sh", "-c", "echo out; echo error >&2", NULL};
	struct process_spec spec = {.argv = argv, .outputs = {STDERR_FILENO, STDOUT_FILENO}};
	start_as(f, spec);
	dup2(usual[0], STDOUT_FILENO);
	dup2(usual[1], STDERR_FILENO);
	assert_int_equal(await_exit(f).exit_status, 0);
	assert_int_equal(pread(files[0], text, sizeof(text), 0), 4);
	assert_string_equal(text, "out\n");
	assert_int_equal(pread(files[1], text, sizeof(text), 0), 6);
	assert_string_equal(text, "error\n");
	for (int i = 0; i < 2; i++) {
		close(files[i]);
		close(usual[i]);
	}
}

static void test_it_leads_a_session_with_default_signals(void **state)
{
	struct fixture *f = *state;
	sigset_t usual, blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &usual);
	signal(SIGPIPE, SIG_IGN);
	/* The shell itself blocks signals while it waits for a program. */
	start_shell(f,
		    "echo $(cut -d' ' -f6 /proc/$$/stat) $$ >&3;"
		    "exec grep -E '^Sig(Blk|Ign)' /proc/self/status >&3",
		    NULL);
	signal(SIGPIPE, SIG_DFL);
	sigset_t now;
	sigprocmask(SIG_SETMASK, &usual, &now);
	assert_true(sigismember(&now, SIGTERM));

	int session, pid;
	const char *text = read_all(f);
	assert_int_equal(sscanf(text, "%d %d", &session, &pid), 2);
	assert_int_equal(session, pid);
	assert_int_equal(pid, f->process.pid);
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
	assert_non_null(strstr(text, "SigIgn:\t0000000000000000"));
}

static void test_the_environment_is_the_daemons_with_additions(void **state)
{
	struct fixture *f = *state;
	setenv("PROCPOOL_TEST_KEPT", "kept", 1);
	setenv("PROCPOOL_TEST_REPLACED", "old", 1);
	setenv("NOTIFY_SOCKET", "/run/notify", 1);
	setenv("PROCPOOL_TEST_REMOVED", "old", 1);
	char *added[] = {"PROCPOOL_TEST_REPLACED=new", "PROCPOOL_TEST_REMOVED",
			 "PROCPOOL_TEST=added", "PROCPOOL_TEST_UNKNOWN", NULL};
	const struct process_settings settings = {.environment = added};
	start_shell(f, "env | grep -E '^(PROCPOOL_TEST|NOTIFY_SOCKET)' | sort >&3", &settings);
	unsetenv("NOTIFY_SOCKET");
	assert_string_equal(
		read_all(f),
		"PROCPOOL_TEST=added\nPROCPOOL_TEST_KEPT=kept\nPROCPOOL_TEST_REPLACED=new\n");
}

static void test_it_is_told_where_the_daemon_is_whatever_else_is_said(void **state)
{
	struct fixture *f = *state;
	char *added[] = {"PROCPOOL_SOCKET=/pool's", NULL};
	char *const argv[] = {"sh", "-c", "env | grep ^PROCPOOL_SOCKET >&3", NULL};
	const struct process_settings settings = {.environment = added};
	struct process_spec spec = {.argv = argv, .settings = &settings};
	setenv("PROCPOOL_SOCKET", "/another's", 1);
	start_as(f, spec);
	assert_string_equal(read_all(f), "");
	process_fini(&f->process);
	close(f->channel);
	spec.socket = "PROCPOOL_SOCKET=/its";
	start_as(f, spec);
	unsetenv("PROCPOOL_SOCKET");
	assert_string_equal(read_all(f), "PROCPOOL_SOCKET=/its\n");
}

static void test_libraries_are_told_how_many_threads_to_start(void **state)
{
	struct fixture *f = *state;
	char *added[] = {"MKL_NUM_THREADS=5", "NUMEXPR_NUM_THREADS", NULL};
	const struct process_settings settings = {.environment = added};
	char *const argv[] = {"sh", "-c", "env | grep _NUM_THREADS= | sort >&3", NULL};
	unsetenv("OMP_NUM_THREADS");
	setenv("OPENBLAS_NUM_THREADS", "7", 1);
	start_as(f, (struct process_spec){.argv = argv, .settings = &settings, .threads = 2});
	unsetenv("OPENBLAS_NUM_THREADS");
	assert_string_equal(read_all(f), "MKL_NUM_THREADS=5\n"
					 "OMP_NUM_THREADS=2\nOPENBLAS_NUM_THREADS=7\n");
}

static void test_it_gains_no_privileges_and_is_killed_before_the_daemon(void **state)
{
	struct fixture *f = *state;
	FILE *file = fopen("/proc/self/oom_score_adj", "r");
	int own = 0;
	char expected[64];
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &own), 1);
	fclose(file);
	start_shell(f, "grep NoNewPrivs /proc/self/status >&3; cat /proc/self/oom_score_adj >&3",
		    NULL);
	snprintf(expected, sizeof(expected), "NoNewPrivs:\t1\n%d\n", own < 500 ? 500 : own);
	assert_string_equal(read_all(f), expected);
}

static void test_it_is_as_its_settings_say(void **state)
{
	struct fixture *f = *state;
	cpu_set_t mine;
	int cpu = 0;
	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	while (!CPU_ISSET(cpu, &mine))
		cpu++;
	struct process_settings settings = {
		.cwd = "/proc/self",
		.has_umask = true,
		.umask = 027,
		.nice = 3,
	};
	process_settings_set_limit(&settings, RLIMIT_CORE, 0, 0);
	process_settings_set_limit(&settings, RLIMIT_NOFILE, 98, 99);
	process_settings_set_limit(&settings, RLIMIT_CPU, 7, 7);
	settings.cpus[cpu / 64] = UINT64_C(1) << cpu % 64;
	char expected[128];
	start_shell(f,
		    "umask >&3; nice >&3; ulimit -c >&3; ulimit -Hc >&3; ulimit -Sn >&3;"
		    "ulimit -Hn >&3; ulimit -St >&3; ulimit -Ht >&3; nproc >&3;"
		    "grep Cpus_allowed_list /proc/self/status | cut -f2 >&3;"
		    "[ /proc/$$ -ef . ] && echo there >&3",
		    &settings);
	snprintf(expected, sizeof(expected), "0027\n%d\n0\n0\n98\n99\n7\n8\n1\n%d\nthere\n",
		 getpriority(PRIO_PROCESS, 0) + 3, cpu);
	assert_string_equal(read_all(f), expected);
}

static void expect_failure(struct fixture *f, int error, const char *explanation)
{
	char *text = NULL;
	assert_string_equal(read_all(f), "");
	assert_int_equal(process_exec_error(&f->process, &text), error);
	assert_string_equal(text, explanation);
	free(text);
	assert_int_equal(await_exit(f).exit_status, 127);
}

static void test_a_setting_that_is_impossible_is_explained(void **state)
{
	struct fixture *f = *state;
	struct process_settings settings = {.cwd = "/nonexistent/place"};
	start_shell(f, "echo >&3", &settings);
	expect_failure(f, -ENOENT,
		       "cannot change to directory /nonexistent/place: No such file or directory");

	settings = (struct process_settings){0};
	process_settings_set_limit(&settings, RLIMIT_NOFILE, 1U << 31, 1U << 31);
	start_shell_again(f, "echo >&3", &settings);
	expect_failure(f, -EPERM, "cannot set the limit of open files: Operation not permitted");

	settings = (struct process_settings){.cpus = {[15] = UINT64_C(1) << 63}};
	start_shell_again(f, "echo >&3", &settings);
	expect_failure(f, -EINVAL, "cannot bind sh to its processors: Invalid argument");
}

static void test_the_descriptor_limit_is_the_one_asked_for(void **state)
{
	struct fixture *f = *state;
	char *const argv[] = {"sh", "-c", "ulimit -Sn >&3; ulimit -Hn >&3", NULL};
	struct rlimit usual;
	char expected[64];
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	start_as(f, (struct process_spec){.argv = argv, .descriptors = 123});
	snprintf(expected, sizeof(expected), "123\n%llu\n", (unsigned long long)usual.rlim_max);
	assert_string_equal(read_all(f), expected);

	process_fini(&f->process);
	close(f->channel);
	start(f, argv, NULL);
	snprintf(expected, sizeof(expected), "%llu\n%llu\n", (unsigned long long)usual.rlim_cur,
		 (unsigned long long)usual.rlim_max);
	assert_string_equal(read_all(f), expected);
}

static void test_a_program_that_cannot_be_started_is_explained(void **state)
{
	struct fixture *f = *state;
	char *error = NULL;
	start(f, (char *const[]){"/nonexistent/program", NULL}, NULL);
	assert_string_equal(read_all(f), "");
	assert_int_equal(process_exec_error(&f->process, &error), -ENOENT);
	assert_string_equal(error, "cannot start /nonexistent/program: No such file or directory");
	free(error);
	assert_int_equal(await_exit(f).exit_status, 127);

	process_fini(&f->process);
	close(f->channel);
	start(f, (char *const[]){"/dev/null", NULL}, NULL);
	assert_string_equal(read_all(f), "");
	assert_int_equal(process_exec_error(&f->process, &error), -EACCES);
	free(error);
}

static void test_how_it_ended_is_told(void **state)
{
	struct fixture *f = *state;
	struct process_exit end;
	start_shell(f, "echo >&3; read line <&3", NULL);
	await(f->channel);
	assert_int_equal(process_reap(&f->process, &end), PROCESS_RUNNING);
	assert_int_equal(process_signal(&f->process, SIGUSR1), 0);
	end = await_exit(f);
	assert_int_equal(end.signal, SIGUSR1);
	assert_true(end.max_rss_kib > 0);
	assert_int_equal(process_signal(&f->process, SIGUSR1), -ESRCH);
	assert_int_equal(process_reap(&f->process, &end), -ECHILD);
}

static void test_fini_ends_it(void **state)
{
	struct fixture *f = *state;
	start_shell(f, "trap '' TERM; echo >&3; read line <&3", NULL);
	await(f->channel);
	pid_t pid = f->process.pid;
	process_fini(&f->process);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_it_dies_with_the_daemon(void **state)
{
	struct fixture *f = *state;
	int reports[2];
	pid_t pid;
	assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
	pid_t daemon = fork();
	assert_true(daemon >= 0);
	if (daemon == 0) {
		/* Only the signal can end it: it is stopped. */
		start_shell(f, "echo >&3; kill -STOP $$", NULL);
		await(f->channel);
		(void)!write(reports[1], &f->process.pid, sizeof(pid));
		pause();
		_exit(1);
	}
	await(reports[0]);
	assert_int_equal(read(reports[0], &pid, sizeof(pid)), sizeof(pid));
	int pidfd = pidfd_open(pid, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(kill(daemon, SIGKILL), 0);
	assert_int_equal(waitpid(daemon, NULL, 0), daemon);
	await(pidfd);
	close(pidfd);
	close(reports[0]);
	close(reports[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_program_gets_its_channel_and_no_other_descriptor),
		TEST(test_output_and_error_are_those_given),
		TEST(test_it_leads_a_session_with_default_signals),
		TEST(test_the_environment_is_the_daemons_with_additions),
		TEST(test_it_is_told_where_the_daemon_is_whatever_else_is_said),
		TEST(test_libraries_are_told_how_many_threads_to_start),
		TEST(test_it_gains_no_privileges_and_is_killed_before_the_daemon),
		TEST(test_it_is_as_its_settings_say),
		TEST(test_a_setting_that_is_impossible_is_explained),
		TEST(test_the_descriptor_limit_is_the_one_asked_for),
		TEST(test_a_program_that_cannot_be_started_is_explained),
		TEST(test_how_it_ended_is_told),
		TEST(test_fini_ends_it),
		TEST(test_it_dies_with_the_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
