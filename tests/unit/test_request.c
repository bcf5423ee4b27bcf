/* SPDX-License-Identifier: MIT */
#include "proto/request.h"

#include "alloc.h"
#include "test.h"
#include "tree.h"
#include "proto/frame.h"

static struct request decode(const uint8_t *frame, size_t size)
{
	struct request request;
	unsigned long before = alloc_calls();
	enum request_kind kind = request_decode(frame, size, &request);
	assert_int_equal(kind, request.kind);
	assert_int_equal(alloc_calls(), before);
	return request;
}

static void test_call(void **state)
{
	(void)state;
	struct request r = decode(BYTES(0x94, 0, 7, 0xa4, 'p', 'i', 'n', 'g', 0x92, 1, 0x91, 2));
	assert_int_equal(r.kind, REQUEST_CALL);
	assert_int_equal(r.msgid, 7);
	assert_true(slice_is(r.method, "ping"));
	assert_value_bytes(r.params, BYTES(0x92, 1, 0x91, 2));
}

static void test_method_may_be_bytes_and_integers_of_any_width(void **state)
{
	(void)state;
	struct request r = decode(BYTES(0xdd, 0, 0, 0, 4, 0xcc, 0, 0xd3, 0, 0, 0, 0, 0xff, 0xff,
					0xff, 0xff, 0xc4, 1, 'x', 0xdc, 0, 0));
	assert_int_equal(r.kind, REQUEST_CALL);
	assert_true(r.msgid == UINT32_MAX);
	assert_true(slice_is(r.method, "x"));
	assert_int_equal(procpool_value_count(r.params), 0);
}

static void test_response_and_notification(void **state)
{
	(void)state;
	struct request r = decode(BYTES(0x94, 1, 9, 0xc0, 0x91, 5));
	assert_int_equal(r.kind, REQUEST_RESPONSE);
	assert_int_equal(r.msgid, 9);
	assert_value_bytes(r.error, BYTES(0xc0));
	assert_value_bytes(r.result, BYTES(0x91, 5));
	r = decode(BYTES(0x93, 2, 0xa1, 'e', 0x91, 5));
	assert_int_equal(r.kind, REQUEST_NOTIFICATION);
	assert_true(slice_is(r.method, "e"));
	assert_value_bytes(r.params, BYTES(0x91, 5));
}

static void check_bad(const uint8_t *frame, size_t size)
{
	struct request r = decode(frame, size);
	assert_int_equal(r.kind, REQUEST_BAD);
	assert_int_equal(r.msgid, 7);
	assert_true(r.problem.text[0]);
}

static void test_what_has_a_msgid_can_be_answered(void **state)
{
	(void)state;
	check_bad(BYTES(0x92, 0, 7));
	check_bad(BYTES(0x93, 0, 7, 0xa1, 'x'));
	check_bad(BYTES(0x95, 0, 7, 0xa1, 'x', 0x90, 0));
	check_bad(BYTES(0x94, 0, 7, 5, 0x90));
	check_bad(BYTES(0x94, 0, 7, 0xc0, 0x90));
	check_bad(BYTES(0x94, 0, 7, 0xa1, 'x', 0x80));
	check_bad(BYTES(0x94, 0, 7, 0xa1, 'x', 0xc0));
	check_bad(BYTES(0x94, 0, 7, 0xa1, 'x', 0xa0));
}

static void test_everything_else_is_a_violation(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[16];
		size_t size;
	} rows[] = {
		{{0x05}, 1}, /* no array */
		{{0xa4, 'p', 'i', 'n', 'g'}, 5},
		{{0x84, 0, 7, 1, 1, 2, 2, 3, 3}, 9},
		{{0x90}, 1},    /* no kind */
		{{0x91, 0}, 2}, /* no msgid */
		{{0x91, 1}, 2},
		{{0x94, 3, 7, 0xa1, 'x', 0x90}, 6}, /* no such kind */
		{{0x94, 0xff, 7, 0xa1, 'x', 0x90}, 6},
		{{0x94, 0xc0, 7, 0xa1, 'x', 0x90}, 6},
		{{0x94, 0xa1, 0, 7, 0xa1, 'x', 0x90}, 7},
		{{0x94, 0xca, 0, 0, 0, 0, 7, 0xa1, 'x', 0x90}, 10},
		{{0x94, 0, 0xff, 0xa1, 'x', 0x90}, 6}, /* no such msgid */
		{{0x94, 0, 0xc0, 0xa1, 'x', 0x90}, 6},
		{{0x94, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xa1, 'x', 0x90}, 14},
		{{0x94, 1, 0xff, 0xc0, 0xc0}, 5},
		{{0x93, 1, 7, 0xc0}, 4}, /* half a response */
		{{0x95, 1, 7, 0xc0, 0xc0, 0xc0}, 6},
		{{0x91, 2}, 2}, /* half a notification */
		{{0x94, 2, 0xa1, 'x', 0x90, 0}, 6},
		{{0x93, 2, 5, 0x90}, 4},
		{{0x93, 2, 0xa1, 'x', 0x80}, 5},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request r = decode(rows[i].bytes, rows[i].size);
		assert_int_equal(r.kind, REQUEST_VIOLATION);
		assert_true(r.problem.text[0]);
	}
}

static enum request_kind begin(const uint8_t *data, size_t size, uint32_t *ret_msgid)
{
	struct request request;
	request_begin(data, size, &request);
	*ret_msgid = request.msgid;
	return request.kind;
}

static void test_beginning_of_a_large_message_tells_its_kind(void **state)
{
	(void)state;
	uint32_t msgid;
	assert_int_equal(begin(BYTES(0x94, 0, 7, 0xdb, 0xff, 0xff, 0xff, 0xff), &msgid),
			 REQUEST_CALL);
	assert_int_equal(msgid, 7);
	assert_int_equal(begin(BYTES(0x94, 0, 0xcd, 1, 0), &msgid), REQUEST_CALL);
	assert_int_equal(msgid, 256);
	assert_int_equal(begin(BYTES(0x94, 1, 7, 0xc0), &msgid), REQUEST_RESPONSE);
	assert_int_equal(begin(BYTES(0x93, 2), &msgid), REQUEST_NOTIFICATION);
	assert_int_equal(begin(BYTES(0x94, 0, 0xcd, 1), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(BYTES(0x94, 0), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(BYTES(0x94, 0, 0xdb, 0, 0, 0, 99), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(BYTES(0x94), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(BYTES(0xdd, 0xff, 0xff), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(BYTES(0xdb, 0xff, 0xff, 0xff, 0xff), &msgid), REQUEST_VIOLATION);
	assert_int_equal(begin(NULL, 0, &msgid), REQUEST_VIOLATION);
}

/* Whatever limit the scanner has, what it took until it struck tells the msgid. */
static void test_scanner_takes_enough_of_a_large_message(void **state)
{
	(void)state;
	static const uint8_t message[] = {0xdd, 0,    0,   0,    4,    0xd3, 0,    0,   0,    0,  0,
					  0,    0,    0,   0xd3, 0,    0,    0,    0,   0,    0,  0,
					  9,    0xa1, 'x', 0x93, 0xa1, 'a',  0xa1, 'b', 0xa1, 'c'};
	for (size_t size_max = REQUEST_BEGIN_MAX; size_max < sizeof(message); size_max++) {
		struct frame_scanner scanner;
		size_t used;
		uint32_t msgid;
		frame_scanner_init(&scanner, size_max, 8);
		assert_int_equal(frame_scan(&scanner, message, sizeof(message), &used),
				 FRAME_TOO_LARGE);
		assert_int_equal(begin(message, used, &msgid), REQUEST_CALL);
		assert_int_equal(msgid, 9);
	}
}

/* Random well-formed messages never lead outside of themselves. */
static void test_random_messages_are_decoded_in_bounds(void **state)
{
	(void)state;
	uint64_t random = 0xfeed;
	unsigned kinds[5] = {0};
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < 20000; i++) {
		size_t count = 2 + (size_t)(test_random(&random) % 4);
		procpool_writer_reset(&w);
		procpool_write_array(&w, count);
		procpool_write_uint(&w, test_random(&random) % 3);
		while (--count > 0)
			tree_write(&w, &random, 2);
		struct request r = decode(w.data, w.size);
		kinds[r.kind]++;
		if (r.params.size > 0)
			assert_ptr_equal(r.params.data + r.params.size, w.data + w.size);
		if (r.result.size > 0)
			assert_ptr_equal(r.error.data + r.error.size, r.result.data);
	}
	for (int kind = 0; kind < 5; kind++)
		assert_true(kinds[kind] > 0);
	procpool_writer_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_method_may_be_bytes_and_integers_of_any_width),
		cmocka_unit_test(test_response_and_notification),
		cmocka_unit_test(test_what_has_a_msgid_can_be_answered),
		cmocka_unit_test(test_everything_else_is_a_violation),
		cmocka_unit_test(test_beginning_of_a_large_message_tells_its_kind),
		cmocka_unit_test(test_scanner_takes_enough_of_a_large_message),
		cmocka_unit_test(test_random_messages_are_decoded_in_bounds),
	};
	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
