/* SPDX-License-Identifier: MIT */
/* The life of a connection: how it ends, and who may use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

/* ---- loss ---- */

static sem_t queued;

static void vanish_script(struct fake *fake)
{
	fake_accept_hello(fake);
	sem_wait(&queued);
	fake_hang_up(fake);
	fake_serve_pings(fake);
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

	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, note_end, &sent, NULL),
			 PROCPOOL_OK);
	assert_int_equal(procpool_flush(pp), PROCPOOL_OK);
	procpool_writer_init(&w);
	procpool_write_array(&w, 1);
	procpool_write_bytes(&w, bytes, size);
	assert_int_equal(procpool_apply_async(pp, "f", procpool_writer_value(&w), NULL, note_end,
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
	procpool_request_async(pp, "ping", NO_VALUE, note_end, &first, NULL);
	procpool_request_async(pp, "ping", NO_VALUE, note_end, &second, NULL);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_ERR_LOST);
	assert_int_equal(first.code, PROCPOOL_OK);
	assert_int_equal(second.code, PROCPOOL_ERR_LOST);
	assert_non_null(strstr(procpool_lost_reason(pp), "bye!"));
	procpool_close(pp);
	fake_stop(fake);
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
		procpool_apply_async(pp, "f", NO_VALUE, NULL, note_end, &ends[i], NULL);
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
	note_end(pp, outcome, data);
}

static void on_end_close(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	procpool_close(pp);
	procpool_close(pp);
	/* What was borrowed is still there. */
	assert_int_equal(outcome->value.data[0], 1);
	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, note_end, data, NULL),
			 PROCPOOL_ERR_NOT_SENT);
	note_end(pp, outcome, data);
}

static void callbacks_may_close_but_not_wait(void **state)
{
	(void)state;
	struct fake *fake = fake_start(fake_serve_pings, NULL);
	struct procpool *pp = fake_connect(fake);
	struct end misuse = {0}, closed = {0}, after = {0};
	procpool_request_async(pp, "ping", NO_VALUE, on_end_misuse, &misuse, NULL);
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_OK);
	assert_int_equal(misuse.count, 1);
	procpool_request_async(pp, "ping", NO_VALUE, on_end_close, &closed, NULL);
	procpool_request_async(pp, "ping", NO_VALUE, note_end, &after, NULL);
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
	EXPECT(procpool_apply_async(pp, "f", NO_VALUE, NULL, note_end, NULL, NULL),
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
	struct fake *fake = fake_start(fake_serve_pings, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_call *call;
	struct end end = {0};
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, NULL, NULL, &call),
			 PROCPOOL_OK);
	assert_int_equal(procpool_request_async(pp, "ping", NO_VALUE, note_end, &end, NULL),
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
		struct fake *fake = fake_start(fake_serve_pings, NULL);
		struct procpool *pp = fake_connect(fake);
		struct forked forked = {.close = close_it};
		struct end end = {0};
		procpool_request_async(pp, "ping", NO_VALUE, on_end_fork, &forked, NULL);
		procpool_request_async(pp, "ping", NO_VALUE, note_end, &end, NULL);
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
		fakes[i] = fake_start(fake_serve_pings, NULL);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loss_tells_what_was_sent_from_what_was_not),
		cmocka_unit_test(what_the_daemon_said_before_it_left_is_heard),
		cmocka_unit_test(closing_ends_all_calls_once),
		cmocka_unit_test(callbacks_may_close_but_not_wait),
		cmocka_unit_test(a_child_cannot_use_its_parents_connection),
		cmocka_unit_test(a_child_made_in_a_callback_gets_no_more_of_them),
		cmocka_unit_test(threads_use_connections_of_their_own),
		cmocka_unit_test(waiting_ends_with_its_time_or_a_signal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
