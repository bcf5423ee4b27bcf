/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out at every single allocation of a conversation: whatever fails, each call that
 * was accepted ends exactly once, and the connection can be closed. The library is linked in, so
 * that alloc.h reaches it, and both ends are played in one thread, so that only the library goes
 * hungry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <poll.h>

#include "alloc.h"
#include "fake.h"

#define CALLS 100 /* more than one block of the library's table */

enum stage { CONNECT, HELLO, SUBMIT, ANSWER, STAGE_COUNT };

struct talk {
	enum stage hungry; /* the stage in which memory runs out */
	long after;        /* that many allocations */
	bool ran_out;
	int accepted, ended, held, items;
	struct procpool *pp;
	struct procpool_call *calls[CALLS];
};

/* Around each stage. */
static unsigned long hunger_begin(const struct talk *talk, enum stage stage)
{
	if (talk->hungry == stage)
		alloc_fail_after(talk->after);
	return alloc_calls();
}

static void hunger_end(struct talk *talk, enum stage stage, unsigned long before)
{
	alloc_fail_after(-1);
	if (talk->hungry == stage && alloc_calls() - before > (unsigned long)talk->after)
		talk->ran_out = true;
}

static void on_end(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	(void)pp;
	assert_non_null(outcome->message);
	((struct talk *)data)->ended++;
}

static void on_items(struct procpool *pp, uint64_t first, struct procpool_value outcomes,
		     void *data)
{
	(void)pp, (void)first;
	((struct talk *)data)->items += (int)procpool_value_count(outcomes);
}

static void connect_hungry(struct talk *talk, struct fake *fake)
{
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	options.path = fake->path;
	options.client = "hungry";
	options.nonblock = true;
	unsigned long before = hunger_begin(talk, CONNECT);
	enum procpool_code code = procpool_connect(&options, &talk->pp, &out);
	if (code == PROCPOOL_OK)
		procpool_flush(talk->pp);
	hunger_end(talk, CONNECT, before);
	assert_true((code == PROCPOOL_OK) == (talk->pp != NULL));
	assert_non_null(out.message);
	procpool_outcome_fini(&out);
}

/* Calls of each kind: with a callback, held, and streamed. */
static void submit_hungry(struct talk *talk)
{
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	options.on_items = on_items;
	options.items_data = talk;
	unsigned long before = hunger_begin(talk, SUBMIT);
	for (int i = 0; i < CALLS; i++) {
		enum procpool_code code;
		if (i % 3 == 0)
			code = procpool_apply_async(talk->pp, "f", NO_VALUE, NULL, on_end, talk,
						    NULL);
		else if (i % 3 == 1)
			code = procpool_map_async(talk->pp, "f", V("\221\001"), &options, on_end,
						  talk, NULL);
		else
			code = procpool_apply_async(talk->pp, "f", NO_VALUE, NULL, NULL, NULL,
						    &talk->calls[i]);
		if (code == PROCPOOL_OK)
			talk->accepted++;
		else
			assert_int_equal(code, PROCPOOL_ERR_NO_MEMORY);
		talk->held += talk->calls[i] != NULL;
	}
	procpool_flush(talk->pp);
	hunger_end(talk, SUBMIT, before);
}

static void answer(struct talk *talk, struct fake *fake)
{
	struct fake_request request;
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < talk->accepted; i++) {
		FAKE_CHECK(fake_read(fake, &request));
		if (!procpool_value_is(request.method, "map_async")) {
			fake_answer(fake, request.msgid, NO_VALUE, V("\245value"));
			continue;
		}
		/* The job's id is its msgid and something. */
		fake_answer_int(fake, request.msgid, (int64_t)request.msgid + 1000);
		procpool_writer_reset(&w);
		procpool_write_value(&w, V("\223\002\245items\223"));
		procpool_write_uint(&w, request.msgid + 1000);
		procpool_write_value(&w, V("\000\221\222\300\001"));
		procpool_write_value(&w, V("\223\002\246result\224"));
		procpool_write_uint(&w, request.msgid + 1000);
		procpool_write_value(&w, V("\202\244code\244busy\247message\244full\300\200"));
		fake_send(fake, w.data, w.size);
	}
	procpool_writer_fini(&w);
}

static void take_hungry(struct talk *talk, enum stage stage)
{
	struct pollfd pfd = {procpool_fd(talk->pp), POLLIN, 0};
	assert_int_equal(poll(&pfd, 1, 60000), 1);
	unsigned long before = hunger_begin(talk, stage);
	procpool_dispatch(talk->pp);
	hunger_end(talk, stage, before);
}

/* Whether memory ran out. */
static bool converse(enum stage hungry, long after)
{
	struct fake *fake = fake_start(NULL, NULL);
	struct talk talk = {.hungry = hungry, .after = after};
	connect_hungry(&talk, fake);
	if (talk.pp) {
		fake_accept_hello(fake);
		take_hungry(&talk, HELLO);
		if (procpool_state(talk.pp) == PROCPOOL_CONNECTED) {
			submit_hungry(&talk);
			answer(&talk, fake);
			take_hungry(&talk, ANSWER);
		}
		procpool_run(talk.pp, 60);
		assert_int_equal(procpool_in_flight(talk.pp), 0);
		for (int i = 0; i < CALLS; i++)
			if (talk.calls[i]) {
				assert_non_null(procpool_call_outcome(talk.calls[i]));
				procpool_call_free(talk.calls[i]);
			}
		assert_int_equal(talk.ended + talk.held, talk.accepted);
		procpool_close(talk.pp);
	}
	fake_stop(fake);
	return talk.ran_out;
}

static void each_call_ends_once_whatever_memory_there_is(void **state)
{
	(void)state;
	int failures = 0;
	for (enum stage stage = CONNECT; stage < STAGE_COUNT; stage++)
		for (long after = 0; converse(stage, after); after++)
			failures++;
	assert_in_range(failures, 20, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_ends_once_whatever_memory_there_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
