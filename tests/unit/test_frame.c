/* SPDX-License-Identifier: MIT */
#include "proto/frame.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"
#include "tree.h"

static struct frame_scanner scanner_of(size_t size_max, unsigned depth_max)
{
	struct frame_scanner scanner;
	frame_scanner_init(&scanner, size_max, depth_max);
	return scanner;
}

static enum frame_status scan(size_t size_max, unsigned depth_max, const uint8_t *data, size_t size,
			      size_t *ret_used)
{
	struct frame_scanner scanner = scanner_of(size_max, depth_max);
	return frame_scan(&scanner, data, size, ret_used);
}

/* Scans the bytes in pieces of `step`; every piece but the last must ask for more. */
static void check_pieces(const uint8_t *data, size_t size, size_t step)
{
	struct frame_scanner scanner = scanner_of(size, FRAME_DEPTH_MAX);
	for (size_t at = 0; at < size; at += step) {
		size_t here = size - at < step ? size - at : step, used;
		enum frame_status status = frame_scan(&scanner, data + at, here, &used);
		assert_int_equal(status, at + here == size ? FRAME_DONE : FRAME_MORE);
		assert_int_equal(used, here);
	}
}

/* What must hold for every well-formed message. The copies end where the bytes end, so that ASan
 * sees a read beyond them. */
static void check_message(const uint8_t *message, size_t size)
{
	size_t used;
	for (size_t cut = 0; cut <= size; cut++) {
		uint8_t *head = malloc(cut + 1), *tail = malloc(size - cut + 1);
		memcpy(head, message, cut);
		memcpy(tail, message + cut, size - cut);
		struct frame_scanner scanner = scanner_of(size, FRAME_DEPTH_MAX);
		assert_int_equal(frame_scan(&scanner, head, cut, &used),
				 cut < size ? FRAME_MORE : FRAME_DONE);
		assert_int_equal(used, cut);
		if (cut < size) {
			assert_int_equal(frame_scan(&scanner, tail, size - cut, &used), FRAME_DONE);
			assert_int_equal(used, size - cut);
		}
		free(head);
		free(tail);
	}
	for (size_t step = 1; step < 8; step++)
		check_pieces(message, size, step);
	assert_int_equal(frame_value_size(message, message + size), size);
	assert_int_equal(scan(size - 1, FRAME_DEPTH_MAX, message, size, &used), FRAME_TOO_LARGE);
}

/* One of every first byte that is not a container, with payload; and containers of all widths. */
static void test_every_encoding_is_followed(void **state)
{
	(void)state;
	for (int b = 0; b < 256; b++) {
		uint8_t message[64] = {(uint8_t)b};
		struct frame_header header;
		if (b == 0xc1)
			continue;
		int missing = frame_header_decode(message, 1, &header);
		size_t header_size = missing > 0 ? (size_t)missing : 1;
		message[header_size - 1] = header_size > 1 ? 3 : message[header_size - 1];
		assert_int_equal(frame_header_decode(message, header_size, &header), 0);
		assert_int_equal(header.size, header_size);
		check_message(message, header_size + header.payload + header.children);
	}
}

static void test_header_tells_its_size_when_cut(void **state)
{
	(void)state;
	struct frame_header header;
	assert_int_equal(frame_header_decode(BYTES(0xd9), &header), 2);
	assert_int_equal(frame_header_decode(BYTES(0xda, 1), &header), 3);
	assert_int_equal(frame_header_decode(BYTES(0xdd, 1, 2, 3), &header), 5);
	assert_int_equal(frame_header_decode(BYTES(0xc1), &header), -1);
	assert_int_equal(frame_header_decode(BYTES(0xdf, 1, 2, 3, 4), &header), 0);
	assert_int_equal(header.kind, PROCPOOL_MAP);
	assert_true(header.children == 2 * UINT64_C(0x01020304));
	assert_true(header.payload == 0);
}

static void test_scanner_stops_at_the_end_of_a_message_and_goes_on(void **state)
{
	(void)state;
	static const uint8_t stream[] = {0x92, 1, 2, 0x90, 0x05, 0x93, 1, 0xa1, 'x', 0x80, 0x91};
	static const size_t sizes[] = {3, 1, 1, 5};
	struct frame_scanner scanner = scanner_of(100, 4);
	size_t at = 0, used;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(frame_scan(&scanner, stream + at, sizeof(stream) - at, &used),
				 FRAME_DONE);
		assert_int_equal(used, sizes[i]);
		at += used;
	}
	assert_int_equal(frame_scan(&scanner, stream + at, sizeof(stream) - at, &used), FRAME_MORE);
	assert_int_equal(frame_scan(&scanner, stream, 0, &used), FRAME_MORE);
	assert_int_equal(used, 0);
}

static void test_unused_byte_is_invalid_wherever_a_value_begins(void **state)
{
	(void)state;
	size_t used;
	assert_int_equal(scan(100, 4, BYTES(0xc1), &used), FRAME_INVALID);
	assert_int_equal(scan(100, 4, BYTES(0x92, 1, 0xc1), &used), FRAME_INVALID);
	assert_int_equal(scan(100, 4, BYTES(0x81, 1, 0x91, 0xc1), &used), FRAME_INVALID);
	assert_int_equal(scan(100, 4, BYTES(0x92, 1, 0xa1, 0xc1), &used), FRAME_DONE);
}

static void test_depth_is_limited(void **state)
{
	(void)state;
	uint8_t arrays[FRAME_DEPTH_MAX + 1], maps[2 * FRAME_DEPTH_MAX + 1];
	size_t used;
	for (unsigned depth = 1; depth <= FRAME_DEPTH_MAX; depth++) {
		for (unsigned i = 0; i < depth; i++) {
			arrays[i] = 0x91;
			maps[2 * i] = 0x81;
			maps[2 * i + 1] = 7;
		}
		arrays[depth] = maps[2 * depth] = 1;
		assert_int_equal(scan(100, depth, arrays, depth + 1, &used), FRAME_DONE);
		assert_int_equal(scan(100, depth, maps, 2 * depth + 1, &used), FRAME_DONE);
		arrays[depth] = 0x90; /* an empty container is a level, too */
		maps[2 * depth] = 0x80;
		assert_int_equal(scan(100, depth, arrays, depth + 1, &used), FRAME_TOO_DEEP);
		assert_int_equal(scan(100, depth, maps, 2 * depth + 1, &used), FRAME_TOO_DEEP);
	}
}

static void test_siblings_do_not_add_to_the_depth(void **state)
{
	(void)state;
	size_t used;
	assert_int_equal(scan(100, 2, BYTES(0x94, 0x91, 1, 0x90, 0x81, 1, 2, 0x91, 3), &used),
			 FRAME_DONE);
	assert_int_equal(used, 9);
}

/* The largest counts and lengths that can be declared, in a scanner that would take them. */
static void test_declared_counts_cost_no_memory(void **state)
{
	(void)state;
	static const uint8_t huge[] = {0xc6, 0xc9, 0xdb, 0xdd, 0xdf};
	for (size_t i = 0; i < sizeof(huge); i++) {
		uint8_t bytes[4096] = {huge[i], 0xff, 0xff, 0xff, 0xff};
		struct frame_scanner scanner = scanner_of(SIZE_MAX, FRAME_DEPTH_MAX);
		size_t used;
		unsigned long before = alloc_calls();
		assert_int_equal(frame_scan(&scanner, bytes, sizeof(bytes), &used), FRAME_MORE);
		assert_int_equal(frame_scan(&scanner, bytes + 5, sizeof(bytes) - 5, &used),
				 FRAME_MORE);
		assert_int_equal(alloc_calls(), before);
		scanner = scanner_of(96 << 20, FRAME_DEPTH_MAX);
		assert_int_equal(frame_scan(&scanner, bytes, sizeof(bytes), &used),
				 FRAME_TOO_LARGE);
	}
}

static void test_declared_size_is_too_large_before_it_arrives(void **state)
{
	(void)state;
	size_t used;
	assert_int_equal(scan(10, 4, BYTES(0xd9, 8), &used), FRAME_MORE);
	assert_int_equal(scan(10, 4, BYTES(0xd9, 9), &used), FRAME_TOO_LARGE);
	assert_int_equal(scan(10, 4, BYTES(0xdc, 0, 7), &used), FRAME_MORE);
	assert_int_equal(scan(10, 4, BYTES(0xdc, 0, 8), &used), FRAME_TOO_LARGE);
	assert_int_equal(scan(10, 4, BYTES(0xde, 0, 4), &used), FRAME_TOO_LARGE);
	assert_int_equal(scan(10, 4, BYTES(0xc7, 7, 0), &used), FRAME_MORE);
	assert_int_equal(scan(10, 4, BYTES(0xc7, 8, 0), &used), FRAME_TOO_LARGE);
}

/* Wherever the limit strikes and however the bytes are cut, a raised limit lets the scanner go on.
 */
static void check_resume(const uint8_t *message, size_t size, size_t size_max, size_t cut)
{
	struct frame_scanner scanner = scanner_of(size_max, FRAME_DEPTH_MAX);
	size_t at = 0, used;
	bool raised = false;
	for (;;) {
		size_t end = at < cut ? cut : size;
		enum frame_status status = frame_scan(&scanner, message + at, end - at, &used);
		at += used;
		if (status == FRAME_TOO_LARGE) {
			assert_false(raised);
			raised = true;
			scanner.size_max = SIZE_MAX;
			continue;
		}
		if (status == FRAME_DONE)
			break;
		assert_int_equal(status, FRAME_MORE);
		assert_true(at == cut);
	}
	assert_int_equal(at, size);
	assert_true(raised);
}

static void test_scanner_resumes_after_too_large(void **state)
{
	(void)state;
	static const uint8_t message[] = {0x94, 0x00, 0xcd, 1,   2,   0xa3, 'm', 'a', 'p',
					  0x92, 0xc4, 2,    'a', 'b', 0x82, 1,   2,   0xd9,
					  1,    'x',  0xca, 1,   2,   3,    4};
	struct frame_scanner reset = scanner_of(4, 4);
	size_t used;
	for (size_t size_max = 0; size_max < sizeof(message); size_max++)
		for (size_t cut = 0; cut <= sizeof(message); cut++)
			check_resume(message, sizeof(message), size_max, cut);
	assert_int_equal(frame_scan(&reset, message, sizeof(message), &used), FRAME_TOO_LARGE);
	frame_scanner_reset(&reset);
	assert_int_equal(frame_scan(&reset, BYTES(0x91, 1), &used), FRAME_DONE);
}

static void test_value_size_stays_inside_what_it_is_given(void **state)
{
	(void)state;
	static const uint8_t lies[][6] = {
		{0xdd, 0xff, 0xff, 0xff, 0xff, 1}, {0xdf, 0xff, 0xff, 0xff, 0xff, 1},
		{0x95, 1, 2, 3, 0xda, 9},          {0xc6, 0xff, 0xff, 0xff, 0xff, 1},
		{0x93, 1, 2, 0xc1, 1, 1},          {0x92, 1, 1, 0, 0, 0},
	};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(frame_value_size(lies[i], lies[i] + 6), 6);
	assert_int_equal(frame_value_size(lies[5], lies[5] + 6), 3);
	assert_int_equal(frame_value_size(lies[5], lies[5]), 0);
}

static bool msgpack_accepts(const uint8_t *data, size_t size, size_t *ret_used)
{
	msgpack_unpacked unpacked;
	msgpack_unpacked_init(&unpacked);
	*ret_used = 0;
	bool ok = msgpack_unpack_next(&unpacked, (const char *)data, size, ret_used) ==
		  MSGPACK_UNPACK_SUCCESS;
	msgpack_unpacked_destroy(&unpacked);
	return ok;
}

static void test_random_messages_end_where_msgpack_says(void **state)
{
	(void)state;
	uint64_t random = 0x5eed;
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < 3000; i++) {
		size_t used, theirs;
		procpool_writer_reset(&w);
		tree_write(&w, &random, (unsigned)(i % 6));
		assert_int_equal(w.error, 0);
		assert_true(msgpack_accepts(w.data, w.size, &theirs));
		assert_int_equal(theirs, w.size);
		assert_int_equal(scan(w.size, FRAME_DEPTH_MAX, w.data, w.size, &used), FRAME_DONE);
		assert_int_equal(used, w.size);
		if (w.size < 200)
			check_message(w.data, w.size);
		else
			check_pieces(w.data, w.size, 1 + (size_t)(test_random(&random) % 64));
	}
	procpool_writer_fini(&w);
}

/* What the scanner accepts, msgpack-c accepts: with bytes changed at random. */
static void test_changed_messages_are_accepted_only_if_well_formed(void **state)
{
	(void)state;
	uint64_t random = 0xbad5eed;
	unsigned accepted = 0, refused = 0;
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < 20000; i++) {
		size_t used, theirs;
		procpool_writer_reset(&w);
		tree_write(&w, &random, 4);
		for (int changes = 0; changes < 3; changes++)
			w.data[test_random(&random) % w.size] = (uint8_t)test_random(&random);
		enum frame_status status = scan(1 << 20, 31, w.data, w.size, &used);
		assert_true(used <= w.size);
		assert_true(frame_value_size(w.data, w.data + w.size) <= w.size);
		if (status != FRAME_DONE) {
			refused++;
			continue;
		}
		accepted++;
		assert_true(msgpack_accepts(w.data, w.size, &theirs));
		assert_int_equal(used, theirs);
	}
	assert_true(accepted > 1000 && refused > 1000);
	procpool_writer_fini(&w);
}

/* The ends of `count` random values one after the other, also of runs of one type. */
static void write_values(struct procpool_writer *w, uint64_t *random, size_t *ends, uint32_t count)
{
	procpool_writer_reset(w);
	for (uint32_t i = 0; i < count; i++) {
		if (test_random(random) % 4 > 0)
			procpool_write_int(w, 70000);
		else
			tree_write(w, random, 3);
		ends[i] = w->size;
	}
}

/* Many at once, as one after the other: limited by count, by bytes, by both or by neither. */
static void test_sizes_of_several_values_add_up(void **state)
{
	(void)state;
	enum { VALUES = 40 };
	uint64_t random = 0xadd;
	size_t ends[VALUES];
	struct procpool_writer w;
	procpool_writer_init(&w);
	for (int i = 0; i < 2000; i++) {
		write_values(&w, &random, ends, VALUES);
		uint32_t wanted = 1 + (uint32_t)(test_random(&random) % (VALUES + 5));
		size_t size_max =
			test_random(&random) % 8 ? test_random(&random) % (2 * w.size) : SIZE_MAX;
		uint32_t expected = 1, count = wanted;
		while (expected < VALUES && expected < wanted && ends[expected] <= size_max)
			expected++;
		size_t size = frame_values_size(w.data, w.data + w.size, size_max, &count);
		assert_int_equal(count, expected);
		assert_int_equal(size, ends[expected - 1]);
	}
	uint32_t none = 0, some = 3;
	assert_int_equal(frame_values_size(w.data, w.data + w.size, 10, &none), 0);
	assert_int_equal(frame_values_size(w.data, w.data, 10, &some), 0);
	assert_int_equal(some, 0);
	procpool_writer_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_encoding_is_followed),
		cmocka_unit_test(test_header_tells_its_size_when_cut),
		cmocka_unit_test(test_scanner_stops_at_the_end_of_a_message_and_goes_on),
		cmocka_unit_test(test_unused_byte_is_invalid_wherever_a_value_begins),
		cmocka_unit_test(test_depth_is_limited),
		cmocka_unit_test(test_siblings_do_not_add_to_the_depth),
		cmocka_unit_test(test_declared_counts_cost_no_memory),
		cmocka_unit_test(test_declared_size_is_too_large_before_it_arrives),
		cmocka_unit_test(test_scanner_resumes_after_too_large),
		cmocka_unit_test(test_value_size_stays_inside_what_it_is_given),
		cmocka_unit_test(test_sizes_of_several_values_add_up),
		cmocka_unit_test(test_random_messages_end_where_msgpack_says),
		cmocka_unit_test(test_changed_messages_are_accepted_only_if_well_formed),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
