/* SPDX-License-Identifier: MIT */
/* libprocpool and the real daemon, which the first argument names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "procpool.h"

#define V(literal) ((struct procpool_value){(const uint8_t *)(literal), sizeof(literal) - 1})
#define NO_VALUE   ((struct procpool_value){NULL, 0})

static const char *daemon_path;
static char dir[] = "/tmp/procpool-test-XXXXXX", path[64], lock_path[80];
static pid_t daemon_pid;
static FILE *daemon_log;

/* Starts it and awaits the line that says that it serves. */
static int start_daemon(void **state)
{
	char line[512];
	int log[2];
	(void)state;
	if (!mkdtemp(dir) || pipe(log) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		dup2(log[1], STDERR_FILENO);
		close(log[0]);
		close(log[1]);
		execl(daemon_path, daemon_path, "--socket", path, "--workers", "2", (char *)NULL);
		_exit(127);
	}
	close(log[1]);
	daemon_log = fdopen(log[0], "r");
	while (daemon_log && fgets(line, sizeof(line), daemon_log))
		if (strstr(line, "ready on"))
			return 0;
	return -1;
}

static int stop_daemon(void **state)
{
	(void)state;
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGKILL);
		waitpid(daemon_pid, NULL, 0);
	}
	fclose(daemon_log);
	unlink(path);
	unlink(lock_path); /* one that is killed leaves it */
	return rmdir(dir);
}

static int connect_one(void **state)
{
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool *pp;
	options.path = path;
	if (procpool_connect(&options, &pp, NULL) != PROCPOOL_OK)
		return -1;
	*state = pp;
	return 0;
}

static int close_one(void **state)
{
	procpool_close(*state);
	return 0;
}

static int64_t int_of(struct procpool_value value)
{
	int64_t i = INT64_MIN;
	assert_true(procpool_value_int(value, &i));
	return i;
}

static void apply_calls_and_reports(void **state)
{
	struct procpool *pp = *state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	assert_int_equal(procpool_apply(pp, "demo.inc", V("\221\051"), NULL, &out), PROCPOOL_OK);
	assert_int_equal(int_of(out.value), 42);
	assert_int_equal(procpool_apply(pp, "demo.fail", V("\221\243why"), NULL, &out),
			 PROCPOOL_ERR_FUNCTION_FAILED);
	assert_non_null(strstr(out.message, "why"));
	assert_int_equal(procpool_apply(pp, "demo.icn", V("\221\051"), NULL, &out),
			 PROCPOOL_ERR_UNKNOWN_FUNCTION);
	assert_true(procpool_value_is(
		procpool_value_at(procpool_value_get(out.error, "suggestions"), 0), "demo.inc"));
	assert_int_equal(procpool_apply(pp, "demo.crash", V("\221\011"), NULL, &out),
			 PROCPOOL_ERR_WORKER_LOST);
	assert_int_equal(int_of(procpool_value_get(out.error, "signal")), SIGKILL);
	assert_int_equal(procpool_request(pp, "nothing", NO_VALUE, &out),
			 PROCPOOL_ERR_UNKNOWN_METHOD);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, &out), PROCPOOL_OK);
	assert_true(procpool_value_is(out.value, "pong"));
	procpool_outcome_fini(&out);
}

static void map_keeps_order_and_names_what_failed(void **state)
{
	struct procpool *pp = *state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT, one;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct procpool_writer items;
	struct procpool_value element;
	procpool_writer_init(&items);
	procpool_write_array(&items, 10000);
	for (int i = 0; i < 10000; i++)
		procpool_write_int(&items, i);
	assert_int_equal(procpool_map(pp, "demo.inc", procpool_writer_value(&items), NULL, &out),
			 PROCPOOL_OK);
	struct procpool_iter it = procpool_iter(out.value);
	for (int i = 0; i < 10000; i++) {
		assert_true(procpool_iter_next(&it, &element));
		assert_int_equal(int_of(element), i + 1);
	}
	assert_false(procpool_iter_next(&it, &element));

	struct procpool_value second_fails = V("\223\001\241x\003");
	assert_int_not_equal(procpool_map(pp, "demo.inc", second_fails, NULL, &out), PROCPOOL_OK);
	assert_int_equal(out.index, 1);
	options.collect = true;
	assert_int_equal(procpool_map(pp, "demo.inc", second_fails, &options, &out), PROCPOOL_OK);
	assert_int_equal(procpool_outcome_of_pair(procpool_value_at(out.value, 0), &one),
			 PROCPOOL_OK);
	assert_int_not_equal(procpool_outcome_of_pair(procpool_value_at(out.value, 1), &one),
			     PROCPOOL_OK);
	assert_int_equal(procpool_outcome_of_pair(procpool_value_at(out.value, 2), &one),
			 PROCPOOL_OK);
	assert_int_equal(int_of(one.value), 4);
	procpool_writer_fini(&items);
	procpool_outcome_fini(&out);
}

#define STREAMED 20000

static void on_items(struct procpool *pp, uint64_t first, struct procpool_value outcomes,
		     void *data)
{
	uint8_t *seen = data;
	struct procpool_iter it = procpool_iter(outcomes);
	struct procpool_value pair;
	struct procpool_outcome one;
	(void)pp;
	for (uint64_t i = first; procpool_iter_next(&it, &pair); i++) {
		assert_in_range(i, 0, STREAMED - 1);
		assert_int_equal(procpool_outcome_of_pair(pair, &one), PROCPOOL_OK);
		assert_int_equal(int_of(one.value), (int64_t)i + 1);
		seen[i]++;
	}
}

static void streamed_elements_come_once_each(void **state)
{
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct procpool_writer items;
	uint8_t seen[STREAMED] = {0};
	procpool_writer_init(&items);
	procpool_write_array(&items, STREAMED);
	for (int i = 0; i < STREAMED; i++)
		procpool_write_int(&items, i);
	options.on_items = on_items;
	options.items_data = seen;
	assert_int_equal(
		procpool_map(*state, "demo.inc", procpool_writer_value(&items), &options, &out),
		PROCPOOL_OK);
	assert_int_equal(int_of(out.value), STREAMED);
	for (int i = 0; i < STREAMED; i++)
		assert_int_equal(seen[i], 1);
	procpool_writer_fini(&items);
	procpool_outcome_fini(&out);
}

struct flood {
	int left, ended, bad;
};

static void on_one(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	struct flood *flood = data;
	flood->ended++;
	flood->bad += outcome->code != PROCPOOL_OK || int_of(outcome->value) != 42;
	if (flood->left > 0) {
		flood->left--;
		assert_int_equal(procpool_apply_async(pp, "demo.inc", V("\221\051"), NULL, on_one,
						      flood, NULL),
				 PROCPOOL_OK);
	}
}

static void many_calls_are_in_flight_at_once(void **state)
{
	struct flood flood = {.left = 50000 - 1024};
	for (int i = 0; i < 1024; i++)
		assert_int_equal(procpool_apply_async(*state, "demo.inc", V("\221\051"), NULL,
						      on_one, &flood, NULL),
				 PROCPOOL_OK);
	assert_int_equal(procpool_run(*state, 60), PROCPOOL_OK);
	assert_int_equal(flood.ended, 50000);
	assert_int_equal(flood.bad, 0);
}

static void large_values_go_through_while_others_do(void **state)
{
	const size_t size = (size_t)48 << 20;
	struct procpool_writer args;
	struct procpool_call *calls[3];
	struct flood flood = {.left = 1000};
	char *bytes = calloc(1, size);
	assert_non_null(bytes);
	procpool_writer_init(&args);
	procpool_write_array(&args, 1);
	procpool_write_bytes(&args, bytes, size);
	for (int i = 0; i < 3; i++)
		assert_int_equal(procpool_apply_async(*state, "demo.echo",
						      procpool_writer_value(&args), NULL, NULL,
						      NULL, &calls[i]),
				 PROCPOOL_OK);
	assert_int_equal(
		procpool_apply_async(*state, "demo.inc", V("\221\051"), NULL, on_one, &flood, NULL),
		PROCPOOL_OK);
	assert_int_equal(procpool_run(*state, 120), PROCPOOL_OK);
	for (int i = 0; i < 3; i++) {
		const struct procpool_outcome *out = procpool_call_outcome(calls[i]);
		const void *back;
		size_t back_size = 0;
		assert_int_equal(out->code, PROCPOOL_OK);
		assert_true(procpool_value_bytes(out->value, &back, &back_size));
		assert_int_equal(back_size, size);
		procpool_call_free(calls[i]);
	}
	assert_int_equal(flood.ended, 1001);
	procpool_writer_fini(&args);
	free(bytes);
}

static void a_detached_job_is_found_after_reconnecting(void **state)
{
	struct procpool *pp = *state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	uint64_t job = 0;
	options.detach = true;
	assert_int_equal(procpool_submit(pp, "demo.inc", V("\221\001"), &options, &job, &out),
			 PROCPOOL_OK);
	assert_int_equal(procpool_reconnect(pp, &out), PROCPOOL_OK);
	assert_int_equal(procpool_wait(pp, job, 60, &out), PROCPOOL_OK);
	assert_int_equal(int_of(out.value), 2);
	assert_int_equal(procpool_fetch(pp, job, &out), PROCPOOL_OK);
	assert_int_equal(int_of(out.value), 2);
	assert_int_equal(procpool_submit_map(pp, "demo.inc", V("\222\001\002"), NULL, &job, &out),
			 PROCPOOL_OK);
	assert_int_equal(procpool_wait(pp, job, -1, &out), PROCPOOL_OK);
	assert_int_equal(procpool_value_count(out.value), 2);
	assert_int_equal(procpool_wait(pp, 1, 0, &out), PROCPOOL_ERR_NO_SUCH_JOB);
	procpool_outcome_fini(&out);
}

static const char *const demo[] = {"demo", NULL};

static void a_pool_of_one_s_own_is_opened_used_closed_and_joined(void **state)
{
	struct procpool *pp = *state;
	static const char *const env[] = {"A=1", "B=", "HOME", NULL};
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_pool_options own = PROCPOOL_POOL_OPTIONS_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	char pool[PROCPOOL_POOL_NAME_SIZE] = "";
	own.modules = demo;
	own.workers = 2;
	own.initargs = V("\222\001\243abc"); /* [1, "abc"] */
	own.cwd = "/";
	own.env = env;
	own.more = V("\202\245umask\022\245idle?\300");
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_ERR_BAD_REQUEST);
	assert_non_null(strstr(out.message, "idle?"));
	own.more = V("\201\245umask\022");
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_OK);
	assert_memory_equal(pool, "session-", 8);
	assert_int_equal(int_of(procpool_value_get(out.value, "workers")), 2);

	options.pool = pool;
	assert_int_equal(procpool_map(pp, "demo.inc", V("\222\001\002"), &options, &out),
			 PROCPOOL_OK);
	assert_int_equal(procpool_pool_join(pp, pool, 0, &out), PROCPOOL_ERR_BAD_REQUEST);
	assert_int_equal(procpool_pool_close(pp, pool, &out), PROCPOOL_OK);
	assert_int_equal(procpool_apply(pp, "demo.inc", V("\221\001"), &options, &out),
			 PROCPOOL_ERR_POOL_CLOSED);
	assert_int_equal(procpool_pool_join(pp, pool, 60, &out), PROCPOOL_OK);
	assert_int_equal(procpool_pool_join(pp, pool, -1, &out), PROCPOOL_OK);
	assert_int_equal(procpool_pool_terminate(pp, pool, NULL), PROCPOOL_OK);
	procpool_outcome_fini(&out);
}

static void a_pool_that_cannot_be_opened_says_why(void **state)
{
	struct procpool *pp = *state;
	static const char *const runtime[] = {"/nonexistent/runtime", "-x", NULL};
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_pool_options own = PROCPOOL_POOL_OPTIONS_INIT;
	char pool[PROCPOOL_POOL_NAME_SIZE] = "";
	own.runtime = runtime;
	own.main = "/script";
	own.initializer = "script:setup";
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_ERR_INITIALIZER_FAILED);
	assert_non_null(strstr(out.message, "/nonexistent/runtime"));
	assert_string_equal(pool, "");
	own.initargs = V("\201\001\002"); /* not an array */
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_ERR_INVALID);
	own.initargs = V("\222\001"); /* not a whole one */
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_ERR_INVALID);
	own.initargs = NO_VALUE;
	own.more = V("\220"); /* not a map */
	assert_int_equal(procpool_pool_open(pp, &own, pool, NULL), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_pool_open(pp, NULL, pool, &out), PROCPOOL_ERR_INVALID);
	own.size = 0;
	assert_int_equal(procpool_pool_open(pp, &own, pool, &out), PROCPOOL_ERR_INVALID);
	procpool_outcome_fini(&out);
}

static void terminating_a_pool_cancels_its_calls(void **state)
{
	struct procpool *pp = *state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_pool_options own = PROCPOOL_POOL_OPTIONS_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct procpool_call *call;
	char pool[PROCPOOL_POOL_NAME_SIZE];
	own.modules = demo;
	own.workers = 1;
	assert_int_equal(procpool_pool_open(pp, &own, pool, NULL), PROCPOOL_OK);
	options.pool = pool;
	/* [60] */
	assert_int_equal(
		procpool_apply_async(pp, "demo.sleep", V("\221\074"), &options, NULL, NULL, &call),
		PROCPOOL_OK);
	assert_int_equal(procpool_pool_terminate(pp, pool, &out), PROCPOOL_OK);
	assert_int_equal(procpool_call_wait(call, 60), PROCPOOL_ERR_CANCELLED);
	procpool_call_free(call);
	assert_int_equal(procpool_pool_join(pp, pool, -1, &out), PROCPOOL_OK);
	procpool_outcome_fini(&out);
}

static void on_push(struct procpool *pp, const struct procpool_push *push, void *data)
{
	(void)pp;
	if (push->kind == PROCPOOL_PUSH_RESULT && push->outcome->code == PROCPOOL_OK)
		*(uint64_t *)data = push->job;
}

static void the_end_of_a_job_is_pushed(void **state)
{
	struct procpool *pp = *state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	uint64_t job = 0, pushed = 0;
	procpool_on_push(pp, on_push, &pushed);
	assert_int_equal(procpool_submit(pp, "demo.inc", V("\221\001"), NULL, &job, &out),
			 PROCPOOL_OK);
	while (pushed == 0)
		assert_int_equal(procpool_poll(pp, 60), PROCPOOL_OK);
	assert_true(pushed == job);

	/* Of a job that has ended it is pushed at once, to whoever subscribes to it. */
	pushed = 0;
	assert_int_equal(procpool_subscribe(pp, job, NULL, &out), PROCPOOL_OK);
	while (pushed == 0)
		assert_int_equal(procpool_poll(pp, 60), PROCPOOL_OK);
	assert_true(pushed == job);
	procpool_outcome_fini(&out);
}

static void calls_that_wait_are_cancelled(void **state)
{
	struct procpool *pp = *state;
	struct procpool_call *waiting;
	struct procpool_call *busy[2];
	/* demo.sleep(0.2) in both workers; the third cannot have begun. */
	struct procpool_value seconds = V("\221\313\077\311\231\231\231\231\231\232");
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			procpool_apply_async(pp, "demo.sleep", seconds, NULL, NULL, NULL, &busy[i]),
			PROCPOOL_OK);
	assert_int_equal(
		procpool_apply_async(pp, "demo.sleep", seconds, NULL, NULL, NULL, &waiting),
		PROCPOOL_OK);
	assert_int_equal(procpool_call_cancel(waiting), PROCPOOL_OK);
	assert_int_equal(procpool_call_wait(waiting, 60), PROCPOOL_ERR_CANCELLED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(procpool_call_wait(busy[i], 60), PROCPOOL_OK);
		procpool_call_free(busy[i]);
	}
	procpool_call_free(waiting);
}

/* The last: nothing is left to talk to. */
static void a_killed_daemon_loses_its_calls(void **state)
{
	struct procpool *pp = *state;
	struct procpool_call *call;
	assert_int_equal(
		procpool_apply_async(pp, "demo.sleep", V("\221\074"), NULL, NULL, NULL, &call),
		PROCPOOL_OK);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_OK);
	assert_int_equal(kill(daemon_pid, SIGKILL), 0);
	assert_int_equal(procpool_call_wait(call, 60), PROCPOOL_ERR_LOST);
	assert_int_equal(waitpid(daemon_pid, NULL, 0), daemon_pid);
	daemon_pid = 0;
	procpool_call_free(call);
	assert_int_equal(procpool_reconnect(pp, NULL), PROCPOOL_ERR_NO_DAEMON);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, connect_one, close_one)
	const struct CMUnitTest tests[] = {
		TEST(apply_calls_and_reports),
		TEST(map_keeps_order_and_names_what_failed),
		TEST(streamed_elements_come_once_each),
		TEST(many_calls_are_in_flight_at_once),
		TEST(large_values_go_through_while_others_do),
		TEST(a_detached_job_is_found_after_reconnecting),
		TEST(a_pool_of_one_s_own_is_opened_used_closed_and_joined),
		TEST(a_pool_that_cannot_be_opened_says_why),
		TEST(terminating_a_pool_cancels_its_calls),
		TEST(the_end_of_a_job_is_pushed),
		TEST(calls_that_wait_are_cancelled),
		TEST(a_killed_daemon_loses_its_calls),
	};
	if (argc < 2)
		return 2;
	daemon_path = argv[1];
	return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
