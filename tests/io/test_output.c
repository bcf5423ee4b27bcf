/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
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
#include "io/output.h"

struct fixture {
	struct output output;
	int near, far;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->near = fds[0];
	f->far = fds[1];
	output_init(&f->output);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	output_fini(&f->output);
	close(f->near);
	if (f->far >= 0)
		close(f->far);
	free(f);
	return 0;
}

static int flush(struct fixture *f)
{
	return output_flush(&f->output, f->near, OUTPUT_BUDGET);
}

/* Reads exactly size bytes that must be there. */
static void receive_exactly(struct fixture *f, void *data, size_t size)
{
	size_t got = 0;
	while (got < size) {
		ssize_t n = recv(f->far, (char *)data + got, size - got, MSG_DONTWAIT);
		assert_true(n > 0);
		got += (size_t)n;
	}
}

static void assert_nothing_there(struct fixture *f)
{
	char byte;
	assert_int_equal(recv(f->far, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static struct blob *pattern_blob(size_t size, uint8_t first)
{
	struct blob *blob = blob_create(size);
	assert_non_null(blob);
	for (size_t i = 0; i < size; i++)
		blob->data[i] = (uint8_t)(first + i * 7);
	blob->size = size;
	return blob;
}

static void test_small_bytes_are_sent_in_order(void **state)
{
	struct fixture *f = *state;
	char got[8];
	assert_int_equal(flush(f), OUTPUT_EMPTY);
	output_append(&f->output, "ab", 2);
	procpool_write_array(output_writer(&f->output), 2);
	procpool_write_int(output_writer(&f->output), 1);
	uint8_t *room = output_reserve(&f->output, 100);
	room[0] = 'c';
	output_commit(&f->output, 1);
	output_append(&f->output, "d", 1);
	assert_int_equal(output_size(&f->output), 6);
	assert_int_equal(flush(f), OUTPUT_EMPTY);
	assert_int_equal(output_size(&f->output), 0);
	assert_int_equal(f->output.total, 6);
	receive_exactly(f, got, 6);
	assert_memory_equal(got,
			    "ab\x92\x01"
			    "cd",
			    6);
	assert_nothing_there(f);
}

static void test_large_slices_are_referenced_and_small_ones_copied(void **state)
{
	struct fixture *f = *state;
	struct blob *blob = pattern_blob(20000, 3);
	output_append_blob(&f->output, blob, 0, OUTPUT_COPY_MAX);
	assert_int_equal(blob->refs, 1);
	output_append(&f->output, "x", 1);
	output_append_blob(&f->output, blob, 100, 10000);
	output_append_blob(&f->output, blob, 1, 5000);
	assert_int_equal(blob->refs, 3);
	output_append(&f->output, "y", 1);
	assert_int_equal(output_size(&f->output), OUTPUT_COPY_MAX + 15002);
	assert_int_equal(flush(f), OUTPUT_EMPTY);
	assert_int_equal(blob->refs, 1);

	uint8_t got[20000];
	receive_exactly(f, got, OUTPUT_COPY_MAX + 15002);
	assert_memory_equal(got, blob->data, OUTPUT_COPY_MAX);
	assert_int_equal(got[OUTPUT_COPY_MAX], 'x');
	assert_memory_equal(got + OUTPUT_COPY_MAX + 1, blob->data + 100, 10000);
	assert_memory_equal(got + OUTPUT_COPY_MAX + 10001, blob->data + 1, 5000);
	assert_int_equal(got[OUTPUT_COPY_MAX + 15001], 'y');
	blob_unref(blob);
}

static void test_the_budget_ends_a_flush(void **state)
{
	struct fixture *f = *state;
	struct blob *blob = pattern_blob(30000, 0);
	output_append_blob(&f->output, blob, 0, 30000);
	assert_int_equal(output_flush(&f->output, f->near, 10000), OUTPUT_MORE);
	assert_int_equal(output_size(&f->output), 20000);
	uint8_t got[30000];
	receive_exactly(f, got, 10000);
	assert_nothing_there(f);
	assert_int_equal(output_flush(&f->output, f->near, 20000), OUTPUT_EMPTY);
	receive_exactly(f, got + 10000, 20000);
	assert_memory_equal(got, blob->data, 30000);
	blob_unref(blob);
}

/* Any mixture of bytes and slices, with a reader that takes pieces of any size, arrives as
 * appended. */
static void test_any_mixture_arrives_unchanged(void **state)
{
	struct fixture *f = *state;
	size_t expected_size = 0, expected_capacity = 64 << 20, checked = 0;
	uint8_t *expected = malloc(expected_capacity), *got = malloc(1 << 20);
	struct blob *blob = pattern_blob(100000, 9);
	bool blocked = false;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		for (int k = rand() % 4; k > 0; k--) {
			size_t size = (size_t)rand() % (rand() % 3 ? 200 : 12000);
			size_t offset = (size_t)rand() % (blob->size - size);
			if (rand() % 2)
				output_append(&f->output, blob->data + offset, size);
			else
				output_append_blob(&f->output, blob, offset, size);
			memcpy(expected + expected_size, blob->data + offset, size);
			expected_size += size;
		}
		int r = output_flush(&f->output, f->near, (size_t)rand() % 90000);
		assert_true(r == OUTPUT_EMPTY || r == OUTPUT_BLOCKED || r == OUTPUT_MORE);
		assert_int_equal(r == OUTPUT_EMPTY, output_size(&f->output) == 0);
		blocked = blocked || r == OUTPUT_BLOCKED;
		ssize_t n = recv(f->far, got, (size_t)rand() % 3000 + 1, MSG_DONTWAIT);
		if (n > 0) {
			assert_memory_equal(got, expected + checked, n);
			checked += (size_t)n;
		}
	}
	assert_true(blocked);
	while (checked < expected_size) {
		assert_true(flush(f) >= 0);
		ssize_t n = recv(f->far, got, 1 << 20, MSG_DONTWAIT);
		assert_true(n > 0);
		assert_memory_equal(got, expected + checked, n);
		checked += (size_t)n;
	}
	assert_int_equal(output_size(&f->output), 0);
	assert_int_equal(f->output.total, expected_size);
	assert_int_equal(blob->refs, 1);
	/* What the burst needed has been given back. */
	assert_true(f->output.buffer.capacity <= OUTPUT_SPARE_BYTES);
	assert_null(f->output.slices);
	blob_unref(blob);
	free(expected);
	free(got);
}

static void test_a_peer_that_is_gone_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	struct blob *blob = pattern_blob(10000, 0);
	close(f->far);
	f->far = -1;
	output_append(&f->output, "x", 1);
	output_append_blob(&f->output, blob, 0, 10000);
	assert_int_equal(flush(f), -EPIPE);
	assert_int_equal(blob->refs, 1);
	assert_int_equal(output_size(&f->output), 0);
	output_append(&f->output, "y", 1);
	output_append_blob(&f->output, blob, 0, 10000);
	assert_int_equal(output_size(&f->output), 0);
	assert_int_equal(flush(f), -EPIPE);
	blob_unref(blob);
}

static void test_memory_that_ran_out_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	output_append(&f->output, "x", 1);
	assert_null(output_reserve(&f->output, SIZE_MAX - 10));
	output_append(&f->output, "y", 1);
	assert_int_equal(flush(f), -ENOMEM);
	assert_nothing_there(f);
}

/* Receives at most size bytes and one descriptor with them, or -1. */
static ssize_t receive_with_fd(struct fixture *f, char *data, size_t size, int fds[2])
{
	struct iovec iov = {.iov_base = data, .iov_len = size};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(f->far, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	fds[0] = fds[1] = -1;
	struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header)
		memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return n;
}

static void test_descriptors_come_with_the_first_byte_of_their_message(void **state)
{
	struct fixture *f = *state;
	struct blob *blob = pattern_blob(5000, 0);
	int pipe1[2], pipe2[2], fds[2];
	char got[8192];
	assert_int_equal(pipe(pipe1), 0);
	assert_int_equal(pipe(pipe2), 0);

	output_append(&f->output, "before", 6);
	output_append_with_fds(&f->output, "one", 3, &(int){pipe1[1]}, 1);
	output_append_blob(&f->output, blob, 0, 5000);
	output_attach_fds(&f->output, (int[]){pipe2[1], pipe2[0]}, 2);
	procpool_write_int(output_writer(&f->output), 7);
	assert_int_equal(flush(f), OUTPUT_EMPTY);
	/* Sent, so no longer ours: a later pipe may have the number, but nobody has these open for
	 * now. */
	assert_int_equal(fcntl(pipe1[1], F_GETFD), -1);
	assert_int_equal(fcntl(pipe2[0], F_GETFD), -1);

	assert_int_equal(receive_with_fd(f, got, 6, fds), 6);
	assert_int_equal(fds[0], -1);
	assert_int_equal(receive_with_fd(f, got, 3, fds), 3);
	assert_memory_equal(got, "one", 3);
	assert_true(fds[0] >= 0 && fds[1] == -1);
	assert_int_equal(write(fds[0], "!", 1), 1);
	assert_int_equal(read(pipe1[0], got, 1), 1);
	close(fds[0]);
	receive_exactly(f, got, 5000);
	assert_memory_equal(got, blob->data, 5000);
	assert_int_equal(receive_with_fd(f, got, sizeof(got), fds), 1);
	assert_int_equal(got[0], 7);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	close(fds[0]);
	close(fds[1]);
	close(pipe1[0]);
	blob_unref(blob);
}

static void test_unsent_descriptors_are_closed(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	output_append_with_fds(&f->output, "x", 1, &fds[0], 1);
	output_fini(&f->output);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);

	close(f->far);
	f->far = -1;
	output_append(&f->output, "x", 1);
	assert_int_equal(flush(f), -EPIPE);
	output_append_with_fds(&f->output, "x", 1, &fds[1], 1);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_small_bytes_are_sent_in_order),
		TEST(test_large_slices_are_referenced_and_small_ones_copied),
		TEST(test_the_budget_ends_a_flush),
		TEST(test_any_mixture_arrives_unchanged),
		TEST(test_a_peer_that_is_gone_ends_the_stream),
		TEST(test_memory_that_ran_out_ends_the_stream),
		TEST(test_descriptors_come_with_the_first_byte_of_their_message),
		TEST(test_unsent_descriptors_are_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
