/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/proc.h"

#define BYTES (64 << 20)

/* A child that does this, then sleeps in a read from the pipe. */
struct child {
	pid_t pid;
	int pipe[2];
};

static struct child begin(void (*act)(void))
{
	struct child child;
	int ready[2];
	char c;
	assert_int_equal(pipe(child.pipe), 0);
	assert_int_equal(pipe(ready), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(child.pipe[1]);
		if (act)
			act();
		(void)!write(ready[1], "", 1);
		(void)!read(child.pipe[0], &c, 1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void end(struct child *child)
{
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	close(child->pipe[0]);
	close(child->pipe[1]);
}

static struct proc_status status_of(pid_t pid)
{
	struct proc_status status;
	assert_int_equal(proc_read(pid, &status), 0);
	return status;
}

static void await_state(pid_t pid, char state)
{
	for (int i = 0; i < 20000 && status_of(pid).state != state; i++)
		usleep(1000);
	assert_int_equal(status_of(pid).state, state);
}

static void lead_session(void)
{
	setsid();
	prctl(PR_SET_NAME, "a) R 1 (");
}

static void test_a_stopped_process_is_told_from_one_that_sleeps(void **state)
{
	(void)state;
	struct child child = begin(lead_session);
	await_state(child.pid, 'S');
	kill(child.pid, SIGSTOP);
	await_state(child.pid, 'T');
	kill(child.pid, SIGCONT);
	await_state(child.pid, 'S');
	end(&child);
}

static void test_a_process_that_is_traced_is_not_taken_for_stopped(void **state)
{
	(void)state;
	struct child child = begin(lead_session);
	assert_int_equal(ptrace(PTRACE_SEIZE, child.pid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, child.pid, 0, 0), 0);
	await_state(child.pid, 't');
	end(&child);
}

static void *spin(void *unused)
{
	volatile unsigned long turns = 0;
	for (;;)
		turns++;
	return unused;
}

static void spin_in_a_thread(void)
{
	pthread_t thread;
	lead_session();
	pthread_create(&thread, NULL, spin, NULL);
}

static void test_a_thread_that_runs_counts_for_its_process(void **state)
{
	(void)state;
	struct child child = begin(spin_in_a_thread);
	await_state(child.pid, 'R');
	end(&child);
}

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

static void sleep_in_many_threads(void)
{
	pthread_t thread;
	pthread_attr_t attributes;
	lead_session();
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	for (int i = 0; i < 300; i++)
		assert_int_equal(pthread_create(&thread, &attributes, sleep_on, NULL), 0);
}

static void test_a_process_of_many_threads_is_not_looked_at_in_detail(void **state)
{
	(void)state;
	struct child child = begin(sleep_in_many_threads);
	await_state(child.pid, 'R');
	end(&child);
}

static void fill_memory(void)
{
	lead_session();
	void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, BYTES);
}

static void test_its_memory_is_told(void **state)
{
	(void)state;
	struct child small = begin(lead_session), large = begin(fill_memory);
	uint64_t more = status_of(large.pid).rss_bytes - status_of(small.pid).rss_bytes;
	assert_in_range(more, BYTES - (4 << 20), BYTES + (4 << 20));
	end(&small);
	end(&large);
}

static void test_only_a_process_that_leads_a_session_is_looked_at(void **state)
{
	(void)state;
	struct proc_status status;
	struct child child = begin(NULL);
	assert_int_equal(proc_read(child.pid, &status), -ESRCH);
	assert_int_equal(proc_parent(child.pid), getpid());
	end(&child);
	assert_int_equal(proc_parent(child.pid), 0);
	assert_int_equal(proc_read(child.pid, &status), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stopped_process_is_told_from_one_that_sleeps),
		cmocka_unit_test(test_a_process_that_is_traced_is_not_taken_for_stopped),
		cmocka_unit_test(test_a_thread_that_runs_counts_for_its_process),
		cmocka_unit_test(test_a_process_of_many_threads_is_not_looked_at_in_detail),
		cmocka_unit_test(test_its_memory_is_told),
		cmocka_unit_test(test_only_a_process_that_leads_a_session_is_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
