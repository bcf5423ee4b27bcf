/* SPDX-License-Identifier: MIT */
/* What goes over the wire for each function of the library, and what comes back from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"

#define ARGS_41 V("\221\051")

/* Reads one request and checks its params byte for byte, against fake->data's next. */
static uint64_t expect_params(struct fake *fake, const char *method, struct procpool_value params)
{
	struct fake_request request = fake_expect(fake, method);
	FAKE_CHECK(request.params.size == params.size);
	FAKE_CHECK(memcmp(request.params.data, params.data, params.size) == 0);
	return request.msgid;
}

static void assert_value(struct procpool_value value, struct procpool_value expected)
{
	assert_int_equal(value.size, expected.size);
	assert_memory_equal(value.data, expected.data, expected.size);
}

/* ---- apply ---- */

static void apply_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = expect_params(fake, "apply", V("\222\250demo.inc\221\051"));
	fake_answer_int(fake, id, 42);
	id = expect_params(fake, "apply", V("\222\250demo.pid\220"));
	fake_answer(fake, id,
		    V("\206\244code\257function-failed\247message\245it "
		      "is\245index\003\243job\315\001\002\244type\252ValueError\244data\221\005"),
		    NO_VALUE);
	id = expect_params(fake, "apply", V("\222\250demo.pid\220"));
	fake_answer(fake, id, V("\201\244code\250new-code"), NO_VALUE);
	id = expect_params(fake, "apply", V("\222\250demo.pid\220"));
	fake_answer(fake, id, V("\252busy: full"), NO_VALUE);
	fake_until_closed(fake);
}

static void apply_gives_the_value_or_the_error(void **state)
{
	(void)state;
	struct fake *fake = fake_start(apply_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	int64_t n = 0;

	assert_int_equal(procpool_apply(pp, "demo.inc", ARGS_41, NULL, &out), PROCPOOL_OK);
	assert_true(procpool_value_int(out.value, &n));
	assert_int_equal(n, 42);
	assert_string_equal(out.message, "");
	assert_int_equal(out.index, -1);

	assert_int_equal(procpool_apply(pp, "demo.pid", NO_VALUE, NULL, &out),
			 PROCPOOL_ERR_FUNCTION_FAILED);
	assert_int_equal(out.code, PROCPOOL_ERR_FUNCTION_FAILED);
	assert_string_equal(out.message, "it is");
	assert_int_equal(out.index, 3);
	assert_int_equal(out.job, 0x102);
	assert_int_equal(out.value.size, 0);
	assert_true(procpool_value_is(procpool_value_get(out.error, "type"), "ValueError"));

	assert_int_equal(procpool_apply(pp, "demo.pid", NO_VALUE, NULL, &out), PROCPOOL_ERR_OTHER);
	assert_true(procpool_value_is(procpool_value_get(out.error, "code"), "new-code"));
	assert_string_equal(out.message, procpool_code_text(PROCPOOL_ERR_OTHER));

	assert_int_equal(procpool_apply(pp, "demo.pid", NO_VALUE, NULL, &out), PROCPOOL_ERR_OTHER);
	assert_string_equal(out.message, "busy: full");

	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- options ---- */

static void options_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = expect_params(fake, "apply",
				    V("\223\241f\220\202\244pool\241p\246kwargs\201\241k\001"));
	fake_answer_int(fake, id, 1);
	id = expect_params(
		fake, "map",
		V("\223\241f\221\221\001\203\251chunksize\005\244star\303\246errors\247collect"));
	fake_answer(fake, id, NO_VALUE, V("\222\222\300\005\222\201\244code\244busy\300"));
	id = expect_params(fake, "apply_async",
			   V("\223\241f\220\202\246detach\303\247timeout\313\100\004\000\000\000"
			     "\000\000\000"));
	fake_answer_int(fake, id, INT64_C(1) << 52);
	id = expect_params(fake, "apply",
			   V("\223\241f\220\205\247timeout\313\077\370\0\0\0\0\0\0"
			     "\247expires\313\077\340\0\0\0\0\0\0"
			     "\247retries\003\250priority\376\246parent\315\001\002"));
	fake_answer_int(fake, id, 2);
	id = expect_params(fake, "map_async", V("\222\241f\221\001"));
	fake_answer_int(fake, id, 9);
	fake_until_closed(fake);
}

static void options_are_written_as_the_protocol_says(void **state)
{
	(void)state;
	struct fake *fake = fake_start(options_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT, one;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	uint64_t job = 0;

	options.pool = "p";
	options.kwargs = V("\201\241k\001");
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, &options, &out), PROCPOOL_OK);

	options = (struct procpool_options)PROCPOOL_OPTIONS_INIT;
	options.chunksize = 5;
	options.star = options.collect = true;
	assert_int_equal(procpool_map(pp, "f", V("\221\221\001"), &options, &out), PROCPOOL_OK);
	assert_int_equal(procpool_outcome_of_pair(procpool_value_at(out.value, 0), &one),
			 PROCPOOL_OK);
	assert_value(one.value, V("\005"));
	assert_int_equal(procpool_outcome_of_pair(procpool_value_at(out.value, 1), &one),
			 PROCPOOL_ERR_BUSY);
	assert_int_equal(procpool_outcome_of_pair(V("\221\300"), &one), PROCPOOL_ERR_INVALID);

	options = (struct procpool_options)PROCPOOL_OPTIONS_INIT;
	options.detach = true;
	options.timeout = 2.5;
	assert_int_equal(procpool_submit(pp, "f", NO_VALUE, &options, &job, &out), PROCPOOL_OK);
	assert_true(job == UINT64_C(1) << 52);

	options = (struct procpool_options)PROCPOOL_OPTIONS_INIT;
	options.timeout = 1.5;
	options.expires = 0.5;
	options.retries = 3;
	options.priority = -2;
	options.parent = 0x102;
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, &options, &out), PROCPOOL_OK);
	assert_int_equal(procpool_submit_map(pp, "f", V("\221\001"), NULL, &job, &out),
			 PROCPOOL_OK);
	assert_int_equal(job, 9);

	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- jobs and requests ---- */

static void jobs_script(struct fake *fake)
{
	fake_accept_hello(fake);
	fake_answer_int(fake, expect_params(fake, "wait", V("\221\007")), 1);
	fake_answer(fake,
		    expect_params(fake, "wait", V("\222\007\313\077\340\000\000\000\000\000\000")),
		    V("\201\244code\251not-ready"), NO_VALUE);
	fake_answer_int(fake, expect_params(fake, "result", V("\221\007")), 1);
	fake_answer(fake, expect_params(fake, "cancel", V("\221\007")), NO_VALUE,
		    V("\201\251cancelled\302"));
	fake_answer(fake, expect_params(fake, "subscribe", V("\221\201\243job\007")), NO_VALUE,
		    NO_VALUE);
	fake_answer(fake, expect_params(fake, "subscribe", V("\221\201\244pool\241p")), NO_VALUE,
		    NO_VALUE);
	fake_answer(fake, expect_params(fake, "subscribe", V("\221\200")), NO_VALUE, NO_VALUE);
	fake_answer(fake, expect_params(fake, "unsubscribe", V("\221\200")), NO_VALUE, V("\303"));
	fake_answer(fake, expect_params(fake, "pools", V("\220")), NO_VALUE, V("\220"));
	fake_until_closed(fake);
}

static void jobs_are_reached_by_their_id(void **state)
{
	(void)state;
	struct fake *fake = fake_start(jobs_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;

	assert_int_equal(procpool_wait(pp, 7, -1, &out), PROCPOOL_OK);
	assert_int_equal(procpool_wait(pp, 7, 0.5, &out), PROCPOOL_ERR_NOT_READY);
	assert_int_equal(procpool_fetch(pp, 7, NULL), PROCPOOL_OK);
	assert_int_equal(procpool_cancel(pp, 7, &out), PROCPOOL_OK);
	assert_value(procpool_value_get(out.value, "cancelled"), V("\302"));
	assert_int_equal(procpool_subscribe(pp, 7, NULL, &out), PROCPOOL_OK);
	assert_int_equal(procpool_subscribe(pp, 0, "p", &out), PROCPOOL_OK);
	assert_int_equal(procpool_subscribe(pp, 0, NULL, &out), PROCPOOL_OK);
	assert_int_equal(procpool_subscribe(pp, 7, "p", &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_unsubscribe(pp, 0, NULL, &out), PROCPOOL_OK);
	assert_value(out.value, V("\303"));
	assert_int_equal(procpool_request(pp, "pools", NO_VALUE, &out), PROCPOOL_OK);
	assert_value(out.value, V("\220"));

	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- several calls in flight ---- */

#define MANY 1000

static void many_script(struct fake *fake)
{
	uint64_t ids[MANY];
	fake_accept_hello(fake);
	for (int i = 0; i < MANY; i++)
		ids[i] = fake_expect(fake, "apply").msgid;
	for (int i = MANY; i-- > 0;)
		fake_answer_int(fake, ids[i], i);
	for (int i = 0; i < 3; i++)
		fake_answer_int(fake, fake_expect(fake, "apply").msgid, MANY);
	fake_until_closed(fake);
}

struct many {
	int ended[MANY];
	int again;
};

static void on_again(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	(void)pp;
	if (outcome->code == PROCPOOL_OK)
		++*(int *)data;
}

static struct many many;

static void on_one(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	int *count = data;
	int64_t n = -1;
	procpool_value_int(outcome->value, &n);
	assert_ptr_equal(count, &many.ended[n]);
	++*count;
	if (n < 3)
		assert_int_equal(
			procpool_apply_async(pp, "f", NO_VALUE, NULL, on_again, &many.again, NULL),
			PROCPOOL_OK);
}

static void answers_find_their_calls_in_any_order(void **state)
{
	(void)state;
	struct fake *fake = fake_start(many_script, NULL);
	struct procpool *pp = fake_connect(fake);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(
			procpool_apply_async(pp, "f", NO_VALUE, NULL, on_one, &many.ended[i], NULL),
			PROCPOOL_OK);
	assert_int_equal(procpool_in_flight(pp), MANY);
	assert_int_equal(procpool_run(pp, -1), PROCPOOL_OK);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(many.ended[i], 1);
	assert_int_equal(many.again, 3);
	assert_int_equal(procpool_in_flight(pp), 0);
	procpool_close(pp);
	fake_stop(fake);
}

static void handle_script(struct fake *fake)
{
	struct procpool_writer w;
	fake_accept_hello(fake);
	uint64_t first = fake_expect(fake, "apply").msgid,
		 second = fake_expect(fake, "apply").msgid;
	/* Only after the client has given up waiting once does it ask for the cancellation. */
	procpool_writer_init(&w);
	procpool_write_array(&w, 1);
	procpool_write_map(&w, 1);
	procpool_write_string(&w, "request");
	procpool_write_uint(&w, first);
	fake_answer(fake, expect_params(fake, "cancel", procpool_writer_value(&w)), NO_VALUE,
		    V("\201\251cancelled\303"));
	procpool_writer_fini(&w);
	fake_answer(fake, first, V("\201\244code\251cancelled"), NO_VALUE);
	fake_answer_int(fake, second, 2);
	fake_until_closed(fake);
}

static void calls_can_be_waited_for_and_cancelled(void **state)
{
	(void)state;
	struct fake *fake = fake_start(handle_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_call *first, *second;
	int64_t n = 0;
	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &first),
			 PROCPOOL_OK);
	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &second),
			 PROCPOOL_OK);
	assert_int_equal(procpool_call_wait(first, 0.01), PROCPOOL_PENDING);
	assert_null(procpool_call_outcome(first));
	assert_int_equal(procpool_call_cancel(first), PROCPOOL_OK);
	assert_int_equal(procpool_call_wait(first, -1), PROCPOOL_ERR_CANCELLED);
	assert_int_equal(procpool_call_outcome(first)->code, PROCPOOL_ERR_CANCELLED);
	assert_int_equal(procpool_call_wait(second, 60), PROCPOOL_OK);
	assert_true(procpool_value_int(procpool_call_outcome(second)->value, &n));
	assert_int_equal(n, 2);
	procpool_call_free(first);
	procpool_call_free(second);
	assert_int_equal(procpool_run(pp, -1), PROCPOOL_OK); /* the answer to cancel */
	procpool_close(pp);
	fake_stop(fake);
}

static void abandoned_script(struct fake *fake)
{
	fake_accept_hello(fake);
	fake_answer_int(fake, fake_expect(fake, "apply").msgid, 1);
	fake_answer_int(fake, fake_expect(fake, "apply").msgid, 2);
	fake_until_closed(fake);
}

static void a_freed_call_ends_unseen(void **state)
{
	(void)state;
	struct fake *fake = fake_start(abandoned_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_call *call;
	assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &call),
			 PROCPOOL_OK);
	procpool_call_free(call);
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, NULL, &out), PROCPOOL_OK);
	assert_value(out.value, V("\002"));
	assert_int_equal(procpool_in_flight(pp), 0);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- pushes ---- */

struct pushes {
	int results, events, others;
};

static void on_push(struct procpool *pp, const struct procpool_push *push, void *data)
{
	struct pushes *pushes = data;
	(void)pp;
	if (push->kind == PROCPOOL_PUSH_RESULT && push->job == 7) {
		assert_int_equal(push->outcome->code, PROCPOOL_ERR_WORKER_LOST);
		assert_int_equal(push->outcome->job, 7);
		assert_true(procpool_value_is(procpool_value_get(push->detail, "pool"), "p"));
		pushes->results++;
	} else if (push->kind == PROCPOOL_PUSH_EVENT) {
		assert_true(procpool_value_is(procpool_value_get(push->detail, "event"), "lost"));
		pushes->events++;
	} else {
		assert_int_equal(push->kind, PROCPOOL_PUSH_OTHER);
		pushes->others++;
	}
}

static void pushes_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = fake_expect(fake, "ping").msgid;
	FAKE_SEND(fake,
		  "\223\002\246result\224\007\201\244code\253worker-lost\300\201\244pool\241p");
	FAKE_SEND(fake, "\223\002\245event\221\202\245event\244lost\244lost\005");
	FAKE_SEND(fake, "\223\002\247unheard\220");
	fake_answer_int(fake, id, 1);
	fake_until_closed(fake);
}

static void pushes_reach_their_receiver(void **state)
{
	(void)state;
	struct fake *fake = fake_start(pushes_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct pushes pushes = {0};
	procpool_on_push(pp, on_push, &pushes);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_OK);
	assert_int_equal(pushes.results, 1);
	assert_int_equal(pushes.events, 1);
	assert_int_equal(pushes.others, 1);
	procpool_close(pp);
	fake_stop(fake);
}

/* ---- streamed maps ---- */

struct elements {
	int seen[4], errors;
};

static void on_items(struct procpool *pp, uint64_t first, struct procpool_value outcomes,
		     void *data)
{
	struct elements *elements = data;
	struct procpool_iter it = procpool_iter(outcomes);
	struct procpool_value pair;
	struct procpool_outcome one;
	(void)pp;
	for (uint64_t i = first; procpool_iter_next(&it, &pair); i++) {
		assert_in_range(i, 0, 3);
		elements->seen[i]++;
		elements->errors += procpool_outcome_of_pair(pair, &one) != PROCPOOL_OK;
	}
}

static void stream_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = expect_params(fake, "map_async",
				    V("\223\241f\224\001\002\003\004\201\246stream\303"));
	fake_answer_int(fake, id, 77);
	FAKE_SEND(fake, "\223\002\245items\223\115\002\222\222\300\001\222\300\002");
	FAKE_SEND(fake,
		  "\223\002\245items\223\115\000\222\222\300\001\222\201\244code\244busy\300");
	FAKE_SEND(fake, "\223\002\245items\223\116\000\221\222\300\001"); /* not ours */
	FAKE_SEND(fake, "\223\002\246result\224\115\300\004\200");

	/* A second one, cancelled before its job is known. */
	id = fake_expect(fake, "map_async").msgid;
	fake_answer_int(fake, fake_expect(fake, "ping").msgid, 1);
	fake_answer_int(fake, id, 78);
	id = expect_params(fake, "cancel", V("\221\116"));
	fake_answer(fake, id, NO_VALUE, V("\200"));
	FAKE_SEND(fake, "\223\002\246result\224\116\201\244code\251cancelled\300\200");
	fake_until_closed(fake);
}

static void a_streamed_map_gives_elements_as_they_finish(void **state)
{
	(void)state;
	struct fake *fake = fake_start(stream_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct elements elements = {0};
	struct procpool_call *call;

	options.on_items = on_items;
	options.items_data = &elements;
	assert_int_equal(procpool_map(pp, "f", V("\224\001\002\003\004"), &options, &out),
			 PROCPOOL_OK);
	assert_value(out.value, V("\004"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(elements.seen[i], 1);
	assert_int_equal(elements.errors, 1);
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, &options, &out), PROCPOOL_ERR_INVALID);

	assert_int_equal(procpool_map_async(pp, "f", V("\221\001"), &options, NULL, NULL, &call),
			 PROCPOOL_OK);
	assert_int_equal(procpool_call_cancel(call), PROCPOOL_OK);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_OK);
	assert_int_equal(procpool_call_wait(call, -1), PROCPOOL_ERR_CANCELLED);
	procpool_call_free(call);

	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- what the library refuses itself ---- */

static void refused_script(struct fake *fake)
{
	struct fake_request request;
	fake_accept_hello(fake);
	FAKE_CHECK(!fake_read(fake, &request));
}

static void values_that_would_break_the_stream_are_not_sent(void **state)
{
	(void)state;
	struct fake *fake = fake_start(refused_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	uint8_t deep[31];
	memset(deep, 0x91, sizeof(deep));
	deep[30] = 0x90;

	assert_int_equal(procpool_apply(pp, "f", V("\222\001"), NULL, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_apply(pp, "f", V("\221\001\001"), NULL, &out),
			 PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_apply(pp, "f", V("\001"), NULL, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_apply(pp, "f", V("\221\301"), NULL, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_apply(pp, "f", (struct procpool_value){deep, 31}, NULL, &out),
			 PROCPOOL_ERR_INVALID);
	options.kwargs = V("\221\001");
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, &options, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(procpool_request(pp, "ping", V("\200"), &out), PROCPOOL_ERR_INVALID);

	/* Options that nobody initialised. */
	memset(&options, 0, sizeof(options));
	options.pool = "p";
	assert_int_equal(procpool_apply(pp, "f", NO_VALUE, &options, &out), PROCPOOL_ERR_INVALID);
	assert_int_equal(
		procpool_connect(&(struct procpool_connect_options){.path = "x"}, &pp, &out),
		PROCPOOL_ERR_INVALID);

	/* Larger than hello's message_bytes. */
	struct procpool_writer w;
	size_t size = 97 << 20;
	char *bytes = calloc(1, size);
	procpool_writer_init(&w);
	procpool_write_array(&w, 1);
	procpool_write_bytes(&w, bytes, size);
	assert_int_equal(procpool_apply(pp, "f", procpool_writer_value(&w), NULL, &out),
			 PROCPOOL_ERR_TOO_LARGE);
	procpool_writer_fini(&w);
	free(bytes);
	assert_int_equal(procpool_in_flight(pp), 0);

	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apply_gives_the_value_or_the_error),
		cmocka_unit_test(options_are_written_as_the_protocol_says),
		cmocka_unit_test(jobs_are_reached_by_their_id),
		cmocka_unit_test(answers_find_their_calls_in_any_order),
		cmocka_unit_test(calls_can_be_waited_for_and_cancelled),
		cmocka_unit_test(a_freed_call_ends_unseen),
		cmocka_unit_test(pushes_reach_their_receiver),
		cmocka_unit_test(a_streamed_map_gives_elements_as_they_finish),
		cmocka_unit_test(values_that_would_break_the_stream_are_not_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
