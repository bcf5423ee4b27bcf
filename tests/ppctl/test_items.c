/* SPDX-License-Identifier: MIT */
#include "items.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

/* What items_next() gives for the input, written in pieces of `piece` bytes: "[a][b]", "!" for one
 * too large. */
static void collect(const char *input, size_t size, size_t piece, char delimiter, size_t size_max,
		    struct text *out)
{
	int fds[2];
	struct items items;
	assert_int_equal(pipe(fds), 0);
	items_init_fd(&items, fds[0], delimiter, size_max);
	enum items_status status;
	const char *data;
	size_t length;
	while ((status = items_next(&items, &data, &length)) != ITEMS_END) {
		if (status == ITEMS_READY) {
			text_addf(out, "[%.*s]", (int)length, data);
		} else if (status == ITEMS_TOO_LARGE) {
			text_add_char(out, '!');
		} else {
			size_t n = piece < size ? piece : size;
			assert_int_equal(write(fds[1], input, n), n);
			if (n == 0)
				close(fds[1]);
			input += n;
			size -= n;
			assert_int_equal(items_read(&items), 0);
		}
	}
	items_fini(&items);
	close(fds[0]);
}

static void assert_items(const char *input, size_t size, char delimiter, size_t size_max,
			 const char *wanted)
{
	for (size_t piece = 1; piece <= size + 1; piece++) {
		struct text out = {0};
		collect(input, size, piece, delimiter, size_max, &out);
		assert_string_equal(text_cstring(&out), wanted);
		text_fini(&out);
	}
}

#define LITERAL(text) text, sizeof(text) - 1

static void test_input_in_any_pieces(void **state)
{
	(void)state;
	assert_items(LITERAL(""), '\n', 100, "");
	assert_items(LITERAL("a"), '\n', 100, "[a]");
	assert_items(LITERAL("a\n"), '\n', 100, "[a]");
	assert_items(LITERAL("\n"), '\n', 100, "[]");
	assert_items(LITERAL("\n\n"), '\n', 100, "[][]");
	assert_items(LITERAL("one\n\nthree\nfo ur"), '\n', 100, "[one][][three][fo ur]");
	assert_items(LITERAL("a\nb\0c"), '\0', 100, "[a\nb][c]");
}

static void test_items_that_are_too_large_are_skipped_alone(void **state)
{
	(void)state;
	assert_items(LITERAL("abcd\nabcde\nabc\n"), '\n', 4, "[abcd]![abc]");
	assert_items(LITERAL("abcdefgh"), '\n', 4, "!");
	assert_items(LITERAL("abcde\n"), '\n', 4, "!");
	assert_items(LITERAL("ab\nabcdefghijk"), '\n', 4, "[ab]!");
}

static void test_skipping_keeps_nothing(void **state)
{
	(void)state;
	int fds[2];
	struct items items;
	const char *data;
	size_t length;
	static char block[4096];
	memset(block, 'x', sizeof(block));
	assert_int_equal(pipe(fds), 0);
	items_init_fd(&items, fds[0], '\n', 100);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(write(fds[1], block, sizeof(block)), sizeof(block));
		assert_int_equal(items_read(&items), 0);
		assert_int_equal(items_next(&items, &data, &length), ITEMS_MORE);
	}
	assert_true(items.buffer.capacity <= 256 << 10);
	items_fini(&items);
	close(fds[0]);
	close(fds[1]);
}

static void test_a_read_that_fails(void **state)
{
	(void)state;
	struct items items;
	items_init_fd(&items, 1000000, '\n', 100);
	assert_int_equal(items_read(&items), -EBADF);
	items_fini(&items);
}

static void test_arguments(void **state)
{
	(void)state;
	char *argv[] = {(char *)"a", (char *)"", NULL};
	struct items items;
	const char *data;
	size_t size;
	items_init_argv(&items, argv, 2);
	assert_int_equal(items_next(&items, &data, &size), ITEMS_READY);
	assert_string_equal(data, "a");
	assert_int_equal(items_next(&items, &data, &size), ITEMS_READY);
	assert_int_equal(size, 0);
	assert_int_equal(items_next(&items, &data, &size), ITEMS_END);
	items_fini(&items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_in_any_pieces),
		cmocka_unit_test(test_items_that_are_too_large_are_skipped_alone),
		cmocka_unit_test(test_skipping_keeps_nothing),
		cmocka_unit_test(test_a_read_that_fails),
		cmocka_unit_test(test_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
