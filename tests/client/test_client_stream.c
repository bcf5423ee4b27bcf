/* SPDX-License-Identifier: MIT */
/* The bytes of a connection: cut anywhere, hostile, and many at once in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"

/* ---- cut ---- */

/* Pushes and an answer of every kind of MessagePack; the answer's msgid is patched in at ID_AT. */
static const char conversation[] =
	"\223\002\245event\221\202\245event\244lost\244lost\315\001\000\224\001\316\000\000\000\000"
	"\300\334\000\012\300\303\323\377\377\377\377\377\377\377\376\313\100\011\041\373\124\104"
	"\055\030\331\003abc\304\002\000\377\307\003\005xyz\337\000\000\000\001\001\002\335\000\000"
	"\000\000\324\007\001";
#define CONVERSATION_SIZE (sizeof(conversation) - 1)
#define ANSWER_AT         29
#define ID_AT             (ANSWER_AT + 3)
#define VALUE_AT          (ANSWER_AT + 8)

static void cut_script(struct fake *fake)
{
	fake_accept_hello(fake);
	for (size_t cut = 1; cut < CONVERSATION_SIZE; cut++) {
		char bytes[CONVERSATION_SIZE];
		memcpy(bytes, conversation, sizeof(bytes));
		bytes[ID_AT + 3] = (char)fake_expect(fake, "apply").msgid;
		fake_send(fake, bytes, cut);
		/* Goes on only when the client has taken what came so far. */
		uint64_t ping = fake_expect(fake, "first").msgid;
		FAKE_CHECK(ping < 128);
		fake_send(fake, bytes + cut, sizeof(bytes) - cut);
		fake_answer_int(fake, ping, 1);
	}
	fake_until_closed(fake);
}

static void count_push(struct procpool *pp, const struct procpool_push *push, void *data)
{
	(void)pp;
	assert_int_equal(push->kind, PROCPOOL_PUSH_EVENT);
	++*(int *)data;
}

static void messages_may_be_cut_at_every_byte(void **state)
{
	(void)state;
	struct fake *fake = fake_start(cut_script, NULL);
	struct procpool *pp = fake_connect(fake);
	int pushes = 0;
	procpool_on_push(pp, count_push, &pushes);
	for (size_t cut = 1; cut < CONVERSATION_SIZE; cut++) {
		struct procpool_call *call, *first;
		assert_int_equal(procpool_apply_async(pp, "f", NO_VALUE, NULL, NULL, NULL, &call),
				 PROCPOOL_OK);
		/* Some bytes arrive: the call cannot have ended yet. */
		assert_int_equal(procpool_poll(pp, 60), PROCPOOL_OK);
		assert_null(procpool_call_outcome(call));
		assert_int_equal(procpool_request_async(pp, "first", NO_VALUE, NULL, NULL, &first),
				 PROCPOOL_OK);
		assert_int_equal(procpool_call_wait(call, 60), PROCPOOL_OK);
		struct procpool_value value = procpool_call_outcome(call)->value;
		assert_int_equal(value.size, CONVERSATION_SIZE - VALUE_AT);
		assert_memory_equal(value.data, conversation + VALUE_AT, value.size);
		assert_int_equal(procpool_call_wait(first, 60), PROCPOOL_OK);
		procpool_call_free(call);
		procpool_call_free(first);
		assert_int_equal(pushes, (int)cut);
	}
	procpool_close(pp);
	fake_stop(fake);
}

/* ---- hostile ---- */

static const struct hostile {
	const char *bytes;
	size_t size;
} hostile[] = {
#define H(literal)                                                                                 \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}
	H("\301"), /* never used */
	H("\001"), /* no array */
	H("\245hello"),
	H("\200"),
	H("\220"), /* arrays of the wrong size or kind */
	H("\224\001\000\300\301"),
	H("\223\001\000\300"),
	H("\225\001\000\300\300\300"),
	H("\224\000\000\244ping\220"), /* a request */
	H("\224\003\000\300\300"),
	H("\224\2411\000\300\300"),
	H("\224\001\140\300\300"), /* an answer to no request */
	H("\224\001\317\377\377\377\377\377\377\377\377\300\300"),
	H("\224\001\377\300\300"),
	H("\224\001\300\300\300"),
	H("\223\002\246result\200"), /* params that are no array */
	H("\222\002\246result"),
	H("\335\377\377\377\377"), /* more than may be */
	H("\224\001\000\300\306\377\377\377\377"),
	H("\224\001\000\300\337\377\377\377\377"),
	H("\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221\221"
	  "\221\221\221\221\221\221\221\221\221\221\221\221"),
#undef H
};

static void hostile_script(struct fake *fake)
{
	const struct hostile *h = fake->data;
	fake_accept_hello(fake);
	fake_expect(fake, "ping");
	fake_send(fake, h->bytes, h->size);
	fake_until_closed(fake);
}

static void bytes_that_make_no_sense_end_the_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct fake *fake = fake_start(hostile_script, (void *)&hostile[i]);
		struct procpool *pp = fake_connect(fake);
		struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
		assert_int_equal(procpool_request(pp, "ping", NO_VALUE, &out), PROCPOOL_ERR_LOST);
		assert_non_null(strstr(out.message, "broke the protocol"));
		assert_int_equal(procpool_state(pp), PROCPOOL_LOST);
		procpool_close(pp);
		procpool_outcome_fini(&out);
		fake_stop(fake);
	}
}

static void odd_push_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = fake_expect(fake, "ping").msgid;
	FAKE_SEND(fake, "\223\002\246result\220");
	FAKE_SEND(fake, "\223\002\246result\224\300\300\300\300");
	FAKE_SEND(fake, "\223\002\246result\222\001\300");
	FAKE_SEND(fake, "\223\002\245items\220");
	FAKE_SEND(fake, "\223\002\245items\223\001\002\003");
	FAKE_SEND(fake, "\223\002\245event\220");
	FAKE_SEND(fake, "\223\002\245event\221\005");
	FAKE_SEND(fake, "\223\002\245error\220");
	FAKE_SEND(fake, "\223\002\245error\221\300");
	FAKE_SEND(fake, "\223\002\246output\220");
	FAKE_SEND(fake, "\223\002\246output\224\241p\001\245stdin\304\000");
	FAKE_SEND(fake, "\223\002\246output\224\241p\001\246stdout\001");
	FAKE_SEND(fake, "\223\002\005\220");
	fake_answer_int(fake, id, 1);
	fake_until_closed(fake);
}

static void count_other(struct procpool *pp, const struct procpool_push *push, void *data)
{
	(void)pp;
	assert_int_equal(push->kind, PROCPOOL_PUSH_OTHER);
	++*(int *)data;
}

static void pushes_that_make_no_sense_are_passed_on_as_they_are(void **state)
{
	(void)state;
	struct fake *fake = fake_start(odd_push_script, NULL);
	struct procpool *pp = fake_connect(fake);
	int pushes = 0;
	procpool_on_push(pp, count_other, &pushes);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_OK);
	assert_int_equal(pushes, 13);
	procpool_close(pp);
	fake_stop(fake);
}

static void output_script(struct fake *fake)
{
	fake_accept_hello(fake);
	uint64_t id = fake_expect(fake, "ping").msgid;
	FAKE_SEND(fake, "\223\002\246output\224\253session-3.1\002\246stdout\304\003a\0b");
	FAKE_SEND(fake, "\223\002\246output\225\253session-3.1\000\246stderr\304\001!\300");
	fake_answer_int(fake, id, 1);
	fake_until_closed(fake);
}

static void check_output(struct procpool *pp, const struct procpool_push *push, void *data)
{
	int number = ++*(int *)data;
	const struct procpool_output *output = push->output;
	(void)pp;
	assert_int_equal(push->kind, PROCPOOL_PUSH_OUTPUT);
	assert_int_equal(output->pool_size, 11);
	assert_memory_equal(output->pool, "session-3.1", 11);
	assert_int_equal(output->worker, number == 1 ? 2 : 0);
	assert_int_equal(output->error, number == 2);
	assert_int_equal(output->size, number == 1 ? 3 : 1);
	assert_memory_equal(output->data, number == 1 ? "a\0b" : "!", output->size);
}

static void output_of_a_pool_of_ones_own_comes_with_its_parts(void **state)
{
	(void)state;
	struct fake *fake = fake_start(output_script, NULL);
	struct procpool *pp = fake_connect(fake);
	int pushes = 0;
	procpool_on_push(pp, check_output, &pushes);
	assert_int_equal(procpool_request(pp, "ping", NO_VALUE, NULL), PROCPOOL_OK);
	assert_int_equal(pushes, 2);
	procpool_close(pp);
	fake_stop(fake);
}

#define MUTATIONS 3000

/* The conversation with some bytes changed, the same ones in every run; then the end. */
static void mutating_script(struct fake *fake)
{
	uint32_t random = 12345;
	for (int i = 0; i < MUTATIONS; i++) {
		char bytes[CONVERSATION_SIZE];
		fake_accept_hello(fake);
		memcpy(bytes, conversation, sizeof(bytes));
		bytes[ID_AT + 3] = (char)fake_expect(fake, "ping").msgid;
		for (int n = i % 4; n >= 0; n--) {
			random = random * 1664525 + 1013904223;
			bytes[(random >> 8) % sizeof(bytes)] = (char)(random >> 24);
		}
		fake_send(fake, bytes, sizeof(bytes));
		fake_hang_up(fake);
	}
}

/* Reads all of a value, so that a sanitizer sees what is behind it. */
static size_t walk(struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value inner;
	const void *bytes;
	size_t size = 0;
	if (procpool_value_bytes(value, &bytes, &size) && size > 0)
		size = ((const uint8_t *)bytes)[size - 1];
	while (procpool_iter_next(&it, &inner))
		size += walk(inner);
	return size;
}

static void walk_push(struct procpool *pp, const struct procpool_push *push, void *data)
{
	(void)pp;
	*(size_t *)data += walk(push->params) + walk(push->name) + walk(push->detail);
	if (push->outcome)
		*(size_t *)data += walk(push->outcome->value) + walk(push->outcome->error);
}

static void mutated_messages_answer_or_end_the_connection(void **state)
{
	(void)state;
	struct fake *fake = fake_start(mutating_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	size_t sum = 0;
	int answered = 0;
	procpool_on_push(pp, walk_push, &sum);
	for (int i = 0; i < MUTATIONS; i++) {
		if (i > 0)
			assert_int_equal(procpool_reconnect(pp, NULL), PROCPOOL_OK);
		enum procpool_code code = procpool_request(pp, "ping", NO_VALUE, &out);
		assert_int_not_equal(code, PROCPOOL_ERR_NOT_SENT);
		assert_int_equal(code, out.code);
		answered += code == PROCPOOL_OK;
		sum += walk(out.value) + walk(out.error);
	}
	assert_in_range(answered, MUTATIONS / 10, MUTATIONS);
	procpool_close(pp);
	procpool_outcome_fini(&out);
	fake_stop(fake);
}

/* ---- hello ---- */

static void bad_hello_script(struct fake *fake)
{
	struct procpool_value *answer = fake->data;
	fake_accept(fake);
	uint64_t id = fake_expect(fake, "hello").msgid;
	if (answer->size > 0 && answer->data[0] == 0x82)
		fake_answer(fake, id, *answer, NO_VALUE);
	else
		fake_answer(fake, id, NO_VALUE, *answer);
	fake_until_closed(fake);
}

static enum procpool_code connect_to(struct fake *fake, struct procpool_outcome *out)
{
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool *pp = NULL;
	options.path = fake->path;
	enum procpool_code code = procpool_connect(&options, &pp, out);
	assert_null(pp);
	return code;
}

static void a_daemon_that_is_none_is_refused(void **state)
{
	(void)state;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct {
		struct procpool_value answer;
		enum procpool_code code;
	} cases[] = {
		{NO_VALUE, PROCPOOL_ERR_LOST},
		{V("\201\250protocol\002"), PROCPOOL_ERR_LOST},
		{V("\221\001"), PROCPOOL_ERR_LOST},
		{V("\202\244code\246denied\247message\242no"), PROCPOOL_ERR_DENIED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *fake = fake_start(bad_hello_script, &cases[i].answer);
		assert_int_equal(connect_to(fake, &out), cases[i].code);
		assert_string_not_equal(out.message, "");
		fake_stop(fake);
	}
	procpool_outcome_fini(&out);
}

static void hello_script(struct fake *fake)
{
	fake_accept(fake);
	struct fake_request hello = fake_expect(fake, "hello");
	struct procpool_value options = procpool_value_at(hello.params, 0);
	FAKE_CHECK(procpool_value_is(procpool_value_get(options, "client"), "tester"));
	FAKE_CHECK(procpool_value_type(procpool_value_get(options, "version")) == PROCPOOL_STRING);
	fake_answer(fake, hello.msgid, NO_VALUE, V("\202\250protocol\001\247session\011"));
	fake_until_closed(fake);
}

static void hello_names_the_client(void **state)
{
	(void)state;
	struct fake *fake = fake_start(hello_script, NULL);
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	struct procpool *pp = NULL;
	uint64_t session = 0;
	options.path = fake->path;
	options.client = "tester";
	assert_int_equal(procpool_connect(&options, &pp, NULL), PROCPOOL_OK);
	assert_true(
		procpool_value_uint(procpool_value_get(procpool_hello(pp), "session"), &session));
	assert_int_equal(session, 9);
	assert_string_equal(procpool_path(pp), fake->path);
	procpool_close(pp);
	fake_stop(fake);
}

/* ---- much at once ---- */

#define BIG_BYTES ((size_t)16 << 20)
#define BIG_CALLS 4

/* Answers each request before it has read the next, as slowly as the client lets it: neither side
 * gets on unless the client reads while it writes. */
static void big_script(struct fake *fake)
{
	fake_accept_hello(fake);
	for (int i = 0; i < BIG_CALLS; i++) {
		struct fake_request request = fake_expect(fake, "apply");
		struct procpool_value args = procpool_value_at(request.params, 1);
		FAKE_CHECK(args.size > BIG_BYTES);
		fake_answer(fake, request.msgid, NO_VALUE, procpool_value_at(args, 0));
	}
	fake_until_closed(fake);
}

static void on_big(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	const void *bytes;
	size_t size = 0;
	int *next = data;
	(void)pp;
	assert_int_equal(outcome->code, PROCPOOL_OK);
	assert_true(procpool_value_bytes(outcome->value, &bytes, &size));
	assert_int_equal(size, BIG_BYTES);
	assert_int_equal(((const char *)bytes)[0], 'a' + *next);
	assert_int_equal(((const char *)bytes)[BIG_BYTES - 1], 'a' + *next);
	++*next;
}

static void large_values_pass_in_both_directions_at_once(void **state)
{
	(void)state;
	struct fake *fake = fake_start(big_script, NULL);
	struct procpool *pp = fake_connect(fake);
	char *bytes = malloc(BIG_BYTES);
	int next = 0;
	assert_non_null(bytes);
	for (int i = 0; i < BIG_CALLS; i++) {
		struct procpool_writer w;
		memset(bytes, 'a' + i, BIG_BYTES);
		procpool_writer_init(&w);
		procpool_write_array(&w, 1);
		procpool_write_bytes(&w, bytes, BIG_BYTES);
		assert_int_equal(procpool_apply_async(pp, "f", procpool_writer_value(&w), NULL,
						      on_big, &next, NULL),
				 PROCPOOL_OK);
		procpool_writer_fini(&w);
	}
	assert_int_equal(procpool_run(pp, 60), PROCPOOL_OK);
	assert_int_equal(next, BIG_CALLS);
	free(bytes);
	procpool_close(pp);
	fake_stop(fake);
}

#define ECHO_CALLS 9

/* Each answer is the request's argument; a push comes right behind every second one. */
static void echo_script(struct fake *fake)
{
	fake_accept_hello(fake);
	for (int i = 0; i < ECHO_CALLS; i++) {
		struct fake_request request = fake_expect(fake, "apply");
		struct procpool_value args = procpool_value_at(request.params, 1);
		struct procpool_writer w;
		procpool_writer_init(&w);
		procpool_write_array(&w, 4);
		procpool_write_int(&w, 1);
		procpool_write_uint(&w, request.msgid);
		procpool_write_nil(&w);
		procpool_write_value(&w, procpool_value_at(args, 0));
		if (i % 2) {
			procpool_write_array(&w, 3);
			procpool_write_int(&w, 2);
			procpool_write_string(&w, "unknown");
			procpool_write_array(&w, 0);
		}
		FAKE_CHECK(w.error == 0);
		fake_send(fake, w.data, w.size);
		procpool_writer_fini(&w);
	}
	fake_until_closed(fake);
}

static void check_filled(const struct procpool_outcome *out, char byte, size_t expected)
{
	const void *data;
	size_t size = 0;
	assert_int_equal(out->code, PROCPOOL_OK);
	assert_true(procpool_value_bytes(out->value, &data, &size));
	assert_int_equal(size, expected);
	for (size_t i = 0; i < size; i++)
		if (((const char *)data)[i] != byte)
			fail_msg("byte %zu of %zu is another", i, size);
}

static void count_unknown(struct procpool *pp, const struct procpool_push *push, void *data)
{
	int *count = data;
	(void)pp;
	assert_true(procpool_value_is(push->name, "unknown"));
	++*count;
}

/* Large values change owner together with their buffer: whatever comes next, they stay. */
static void large_values_outlive_the_calls_after_them(void **state)
{
	(void)state;
	static const size_t sizes[] = {2000000, 10, 300000, 1200000};
	struct fake *fake = fake_start(echo_script, NULL);
	struct procpool *pp = fake_connect(fake);
	struct procpool_outcome outs[3] = {PROCPOOL_OUTCOME_INIT, PROCPOOL_OUTCOME_INIT,
					   PROCPOOL_OUTCOME_INIT};
	char *bytes = malloc(sizes[0]);
	int pushes = 0;
	assert_non_null(bytes);
	procpool_on_push(pp, count_unknown, &pushes);
	for (int i = 0; i < ECHO_CALLS; i++) {
		struct procpool_writer w;
		size_t size = sizes[i % 4];
		memset(bytes, 'a' + i, size);
		procpool_writer_init(&w);
		procpool_write_array(&w, 1);
		procpool_write_bytes(&w, bytes, size);
		assert_int_equal(
			procpool_apply(pp, "f", procpool_writer_value(&w), NULL, &outs[i % 3]),
			PROCPOOL_OK);
		procpool_writer_fini(&w);
		for (int j = i; j >= 0 && j > i - 3; j--)
			check_filled(&outs[j % 3], (char)('a' + j), sizes[j % 4]);
	}
	assert_int_equal(pushes, ECHO_CALLS / 2);
	for (int i = 0; i < 3; i++)
		procpool_outcome_fini(&outs[i]);
	free(bytes);
	procpool_close(pp);
	fake_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_may_be_cut_at_every_byte),
		cmocka_unit_test(bytes_that_make_no_sense_end_the_connection),
		cmocka_unit_test(pushes_that_make_no_sense_are_passed_on_as_they_are),
		cmocka_unit_test(output_of_a_pool_of_ones_own_comes_with_its_parts),
		cmocka_unit_test(mutated_messages_answer_or_end_the_connection),
		cmocka_unit_test(a_daemon_that_is_none_is_refused),
		cmocka_unit_test(hello_names_the_client),
		cmocka_unit_test(large_values_pass_in_both_directions_at_once),
		cmocka_unit_test(large_values_outlive_the_calls_after_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
