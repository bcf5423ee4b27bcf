/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/blob.h"
#include "io/input.h"
#include "procpool/value.h"

#define SIZE_LIMIT (8U << 20)

struct fixture {
	struct input input;
	struct input_scratch *scratch;
	int near, far;
	int large, refused; /* frames seen by any_stream() */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->near = fds[0];
	f->far = fds[1];
	f->scratch = malloc(sizeof(*f->scratch));
	input_init(&f->input, SIZE_LIMIT, 32);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	input_fini(&f->input);
	close(f->near);
	if (f->far >= 0)
		close(f->far);
	free(f->scratch);
	free(f);
	return 0;
}

static void give(struct fixture *f, const void *data, size_t size)
{
	assert_int_equal(send(f->far, data, size, MSG_DONTWAIT), size);
}

static int receive(struct fixture *f)
{
	/* What another input would do with the shared buffer between two wake-ups. */
	memset(f->scratch, 0xc1, sizeof(*f->scratch));
	return input_receive(&f->input, f->near, f->scratch);
}

static void assert_frame(struct fixture *f, const void *data, size_t size)
{
	struct frame frame;
	assert_int_equal(input_next(&f->input, &frame), FRAME_DONE);
	assert_int_equal(frame.size, size);
	assert_memory_equal(frame.data, data, size);
	if (frame.blob)
		assert_ptr_equal(frame.data, frame.blob->data);
}

static void assert_more(struct fixture *f)
{
	struct frame frame;
	assert_int_equal(input_next(&f->input, &frame), FRAME_MORE);
}

static void test_frames_are_split(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(receive(f), INPUT_BLOCKED);
	give(f, "\x91\x01\x92\x02\xa1x\xc0", 7);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_frame(f, "\x91\x01", 2);
	assert_frame(f, "\x92\x02\xa1x", 4);
	assert_frame(f, "\xc0", 1);
	assert_more(f);
	assert_int_equal(f->input.received, 7);
	assert_int_equal(f->input.ended, 7);
	assert_false(input_in_frame(&f->input));
	/* Idle: no memory is held. */
	assert_null(f->input.kept);
	assert_null(f->input.blob);
}

static void test_a_frame_cut_at_every_byte_is_put_together(void **state)
{
	struct fixture *f = *state;
	static const char bytes[] = "\x94\x00\xcd\x12\x34\xda\x00\x03"
				    "abc\x92\xc4\x01\x80\xcb\x01\x02\x03\x04\x05\x06\x07\x08";
	size_t size = sizeof(bytes) - 1;
	for (size_t cut = 1; cut < size; cut++) {
		give(f, bytes, cut);
		assert_int_equal(receive(f), INPUT_BYTES);
		assert_more(f);
		assert_true(input_in_frame(&f->input));
		assert_int_equal(f->input.ended, f->input.received - cut);
		give(f, bytes + cut, size - cut);
		give(f, bytes, size);
		assert_int_equal(receive(f), INPUT_BYTES);
		assert_frame(f, bytes, size);
		assert_frame(f, bytes, size);
		assert_more(f);
		assert_false(input_in_frame(&f->input));
	}
	for (size_t i = 0; i < size; i++) {
		give(f, bytes + i, 1);
		assert_int_equal(receive(f), INPUT_BYTES);
		if (i + 1 < size)
			assert_more(f);
	}
	assert_frame(f, bytes, size);
	assert_more(f);
}

/* One array of strings and numbers of any size, encoded. */
static void write_message(struct procpool_writer *w, size_t longest)
{
	static uint8_t filler[1 << 20];
	size_t count = (size_t)rand() % 6;
	procpool_write_array(w, count);
	for (size_t i = 0; i < count; i++) {
		size_t size = (size_t)rand() % longest + 1;
		memset(filler, rand(), size);
		switch (rand() % 4) {
		case 0:
			procpool_write_int(w, rand());
			break;
		case 1:
			procpool_write_bytes(w, filler, size % 300);
			break;
		case 2:
			procpool_write_bytes(w, filler, size);
			break;
		default:
			procpool_write_array(w, longest / 8);
			for (int k = 0; k < (int)(longest / 8); k++)
				procpool_write_int(w, k * 100);
		}
	}
}

/* Messages of any size in pieces of any size, paused now and then, come out as they went in; too
 * large ones are reported, each once, and nothing else suffers. */
static void any_stream(struct fixture *f, unsigned seed, size_t longest, size_t piece)
{
	enum { MESSAGES = 120 };
	struct procpool_writer w;
	size_t ends[MESSAGES + 1] = {0};
	srand(seed);
	procpool_writer_init(&w);
	for (int i = 0; i < MESSAGES; i++) {
		write_message(&w, longest);
		ends[i + 1] = w.size;
	}
	size_t sent = 0;
	int next = 0;
	while (next < MESSAGES) {
		size_t size = (size_t)rand() % piece + 1;
		if (size > w.size - sent)
			size = w.size - sent;
		if (size > 0) {
			ssize_t n = send(f->far, w.data + sent, size, MSG_DONTWAIT);
			if (n > 0)
				sent += (size_t)n;
		}
		assert_int_equal(receive(f), INPUT_BYTES);
		for (;;) {
			if (rand() % 8 == 0) {
				assert_int_equal(input_pause(&f->input), 0);
				memset(f->scratch, 0xc1, sizeof(*f->scratch));
				if (!input_paused(&f->input))
					break;
				assert_int_equal(receive(f), INPUT_BYTES);
			}
			struct frame frame;
			int r = input_next(&f->input, &frame);
			if (r == FRAME_MORE)
				break;
			size_t expected = ends[next + 1] - ends[next];
			if (r == FRAME_TOO_LARGE) {
				assert_true(expected > f->input.size_max);
				assert_true(frame.size <= INPUT_HEAD_MAX);
				f->refused++;
			} else {
				assert_int_equal(r, FRAME_DONE);
				assert_int_equal(frame.size, expected);
				f->large += frame.blob != NULL;
				if (frame.blob)
					assert_int_equal(frame.blob->size, expected);
				assert_int_equal(f->input.ended, ends[next + 1]);
			}
			assert_memory_equal(frame.data, w.data + ends[next], frame.size);
			next++;
		}
	}
	/* The end of the last may still be being skipped. */
	while (f->input.received < w.size) {
		if (sent < w.size) {
			ssize_t n = send(f->far, w.data + sent, w.size - sent, MSG_DONTWAIT);
			assert_true(n > 0);
			sent += (size_t)n;
		}
		assert_int_equal(receive(f), INPUT_BYTES);
		assert_more(f);
	}
	assert_int_equal(f->input.received, w.size);
	assert_false(input_in_frame(&f->input));
	procpool_writer_fini(&w);
}

static void test_any_stream_comes_out_as_it_went_in(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 0;
	for (size_t longest = 20; longest <= 100000; longest *= 16) {
		for (size_t piece = longest / 50 + 3; piece <= 1 << 20; piece *= 10) {
			input_fini(&f->input);
			input_init(&f->input, 200000, 32);
			any_stream(f, ++seed, longest, piece);
		}
	}
	assert_true(f->large > 0);
	assert_true(f->refused > 0);
}

static void test_a_large_frame_is_a_blob_that_can_be_kept(void **state)
{
	struct fixture *f = *state;
	size_t size = 3 << 20;
	uint8_t *bytes = calloc(1, size + 5);
	memcpy(bytes, "\xc6\x00\x30\x00\x00", 5);
	bytes[size] = 'e';
	size_t sent = 0;
	struct frame frame;
	int r = FRAME_MORE;
	while (r == FRAME_MORE) {
		ssize_t n = send(f->far, bytes + sent, size + 5 - sent, MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		assert_int_equal(receive(f), INPUT_BYTES);
		r = input_next(&f->input, &frame);
		/* Grown by what has arrived, not by what was declared. */
		if (f->input.blob)
			assert_true(f->input.blob->capacity <= 2 * f->input.received);
	}
	assert_int_equal(r, FRAME_DONE);
	assert_non_null(frame.blob);
	struct blob *kept = blob_ref(frame.blob);
	assert_more(f);
	assert_null(f->input.blob);
	give(f, "\x01", 1);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_frame(f, "\x01", 1);
	assert_int_equal(kept->refs, 1);
	assert_int_equal(kept->size, size + 5);
	assert_memory_equal(kept->data, bytes, size + 5);
	blob_unref(kept);
	free(bytes);
}

static void test_a_declared_size_allocates_nothing(void **state)
{
	struct fixture *f = *state;
	give(f, "\x94\x00\x05\xa4ping\xdd\x00\x70\x00\x00", 13);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_more(f);
	assert_null(f->input.blob);
	assert_int_equal(f->input.kept_size, 13);
}

static void test_a_too_large_frame_is_reported_once_and_skipped(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	/* [0, 7, "echo", [bin of 16 MiB]], then nil */
	static const char head[] = "\x94\x00\x07\xa4"
				   "echo\x91\xc6\x01\x00\x00\x00";
	give(f, head, sizeof(head) - 1);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_int_equal(input_next(&f->input, &frame), FRAME_TOO_LARGE);
	assert_int_equal(frame.size, sizeof(head) - 1);
	assert_memory_equal(frame.data, head, sizeof(head) - 1);
	assert_more(f);
	assert_true(input_in_frame(&f->input));

	char *zeros = calloc(1, 65536);
	for (int i = 0; i < (16 << 20) / 65536; i++) {
		assert_false(f->input.ended > 0);
		give(f, zeros, 65536);
		assert_int_equal(receive(f), INPUT_BYTES);
		assert_more(f);
		assert_null(f->input.kept);
		assert_null(f->input.blob);
	}
	free(zeros);
	assert_false(input_in_frame(&f->input));
	/* And the limit holds again. */
	give(f, "\xc0\xc6\x01\x00\x00\x00", 6);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_frame(f, "\xc0", 1);
	assert_int_equal(input_next(&f->input, &frame), FRAME_TOO_LARGE);
}

static void test_a_frame_too_large_by_its_last_byte_ends_there(void **state)
{
	struct fixture *f = *state;
	static const char bytes[] = "\x92\xa2xy\xc0\x91\x01\xc3";
	struct frame frame;
	input_fini(&f->input);
	input_init(&f->input, 4, 32);
	for (size_t cut = 1; cut <= 8; cut++) {
		give(f, bytes, cut);
		if (cut < 8) {
			assert_int_equal(receive(f), INPUT_BYTES);
			int r = input_next(&f->input, &frame);
			assert_int_equal(r, cut < 5 ? FRAME_MORE : FRAME_TOO_LARGE);
			if (r == FRAME_TOO_LARGE) {
				assert_memory_equal(frame.data, "\x92\xa2xy\xc0", 5);
				assert_int_equal(input_in_frame(&f->input), cut > 5);
				assert_int_equal(f->input.received - f->input.ended, cut - 5);
				if (cut >= 7)
					assert_frame(f, "\x91\x01", 2);
				assert_more(f);
			}
			give(f, &bytes[cut], 8 - cut);
		}
		assert_int_equal(receive(f), INPUT_BYTES);
		if (cut < 5 || cut == 8)
			assert_int_equal(input_next(&f->input, &frame), FRAME_TOO_LARGE);
		if (cut < 7 || cut == 8)
			assert_frame(f, "\x91\x01", 2);
		assert_frame(f, "\xc3", 1);
		assert_more(f);
		assert_false(input_in_frame(&f->input));
	}
}

static void test_what_cannot_be_followed_is_reported(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	give(f, "\x01\x92\x01\xc1", 4);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_frame(f, "\x01", 1);
	assert_int_equal(input_next(&f->input, &frame), FRAME_INVALID);

	input_fini(&f->input);
	input_init(&f->input, 100, 2);
	give(f, "\x91\x91\x91", 3);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_int_equal(input_next(&f->input, &frame), FRAME_TOO_DEEP);

	/* The header that is too large is also too deep. */
	input_fini(&f->input);
	input_init(&f->input, 100, 2);
	give(f, "\x91\x91\xdd\x00\x10\x00\x00", 7);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_int_equal(input_next(&f->input, &frame), FRAME_TOO_DEEP);
}

static void test_the_end_of_the_stream_is_told(void **state)
{
	struct fixture *f = *state;
	give(f, "\xc0\x91", 2);
	close(f->far);
	f->far = -1;
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_frame(f, "\xc0", 1);
	assert_more(f);
	assert_int_equal(receive(f), INPUT_EOF);
	assert_true(input_in_frame(&f->input));
}

static void test_bytes_fed_follow_those_received(void **state)
{
	struct fixture *f = *state;
	static const char zeros[200000];
	give(f, "\x93\x01", 2);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_more(f);
	assert_int_equal(input_feed(&f->input, "\x02\x03\xc0", 3, f->scratch), INPUT_BYTES);
	assert_frame(f, "\x93\x01\x02\x03", 4);
	assert_frame(f, "\xc0", 1);
	assert_more(f);
	assert_int_equal(f->input.received, 5);

	/* Also to a large one. */
	give(f, "\x92\xc6\x00\x01\x86\xa0", 6);
	give(f, zeros, 99000);
	assert_int_equal(receive(f), INPUT_BYTES);
	assert_more(f);
	assert_non_null(f->input.blob);
	assert_int_equal(input_feed(&f->input, zeros, 1000, f->scratch), INPUT_BYTES);
	assert_more(f);
	assert_int_equal(input_feed(&f->input, "\xc2\xc3", 2, f->scratch), INPUT_BYTES);
	struct frame frame;
	assert_int_equal(input_next(&f->input, &frame), FRAME_DONE);
	assert_int_equal(frame.size, 100007);
	assert_int_equal(frame.data[100006], 0xc2);
	assert_frame(f, "\xc3", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_frames_are_split),
		TEST(test_a_frame_cut_at_every_byte_is_put_together),
		TEST(test_any_stream_comes_out_as_it_went_in),
		TEST(test_a_large_frame_is_a_blob_that_can_be_kept),
		TEST(test_a_declared_size_allocates_nothing),
		TEST(test_a_too_large_frame_is_reported_once_and_skipped),
		TEST(test_a_frame_too_large_by_its_last_byte_ends_there),
		TEST(test_what_cannot_be_followed_is_reported),
		TEST(test_the_end_of_the_stream_is_told),
		TEST(test_bytes_fed_follow_those_received),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
