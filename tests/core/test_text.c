/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

static int character(const char *bytes)
{
	return text_character((const uint8_t *)bytes, strlen(bytes));
}

static void test_characters_that_can_be_shown(void **state)
{
	(void)state;
	assert_int_equal(character("a"), 1);
	assert_int_equal(character("~x"), 1);
	assert_int_equal(character("\t"), 1);
	assert_int_equal(character("\\"), 1);
	assert_int_equal(character("\u00a0"), 2);
	assert_int_equal(character("\u00e9\u00e9"), 2);
	assert_int_equal(character("\u0800"), 3);
	assert_int_equal(character("\u20ac"), 3);
	assert_int_equal(character("\U00010000"), 4);
	assert_int_equal(character("\U0010ffff"), 4);
}

static void test_what_could_command_a_terminal_is_none(void **state)
{
	(void)state;
	assert_int_equal(text_character((const uint8_t *)"", 1), 0);
	assert_int_equal(character("\n"), 0);
	assert_int_equal(character("\r"), 0);
	assert_int_equal(character("\x1b[2J"), 0);
	assert_int_equal(character("\x7f"), 0);
	/* CSI, as one byte and in UTF-8. */
	assert_int_equal(character("\x9b"), 0);
	assert_int_equal(character("\xc2\x9b"), 0);
}

static void test_what_ends_a_line_or_turns_it_round_is_none(void **state)
{
	(void)state;
	static const char *const none[] = {"\u2028", "\u2029", "\u202a", "\u202e",
					   "\u2066", "\u2069", "\u202ex"};
	static const char *const some[] = {"\u2027", "\u202f", "\u2065", "\u206a", "\u20a8"};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(character(none[i]), 0);
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		assert_int_equal(character(some[i]), 3);
	/* What follows decides. */
	assert_int_equal(character("\xe2\x80"), TEXT_CUT);
}

static void test_what_is_not_utf8_is_none(void **state)
{
	(void)state;
	assert_int_equal(character("\xff"), 0);
	assert_int_equal(character("\xc0\xaf"), 0);
	assert_int_equal(character("\xc1"), 0);
	assert_int_equal(character("\xe0\x80\x80"), 0);
	assert_int_equal(character("\xed\xa0\x80"), 0);
	assert_int_equal(character("\xf0\x8f\xbf\xbf"), 0);
	assert_int_equal(character("\xf4\x90\x80\x80"), 0);
	assert_int_equal(character("\xf5\x80\x80\x80"), 0);
	assert_int_equal(character("\xe2"
				   "ab"),
			 0);
	assert_int_equal(character("\xe2\x82"
				   "a"),
			 0);
}

static void test_what_may_become_one_is_cut(void **state)
{
	(void)state;
	assert_int_equal(character("\xc3"), TEXT_CUT);
	assert_int_equal(character("\xe2"), TEXT_CUT);
	assert_int_equal(character("\xe2\x82"), TEXT_CUT);
	assert_int_equal(character("\xf0\x9f\x98"), TEXT_CUT);
}

static void test_text_is_written_with_its_line_ends(void **state)
{
	(void)state;
	static const char bytes[] = "a\tb\n\x1b[1m\u20ac\xff\\x\xe2\x82";
	char out[4 * sizeof(bytes)];
	size_t size = text_write(out, (const uint8_t *)bytes, sizeof(bytes) - 1);
	out[size] = '\0';
	assert_string_equal(out, "a\tb\n\\x1b[1m\u20ac\\xff\\x\\xe2\\x82");
}

static void assert_line(size_t room, const char *text, bool whole, const char *expected)
{
	char out[64];
	size_t size;
	assert_int_equal(text_line(out, room, text, strlen(text), &size), whole);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(out, expected, size);
}

static void test_a_line_has_no_ends_within(void **state)
{
	(void)state;
	assert_line(64, "", true, "");
	assert_line(64, "a\tb\nc\r\xff", true, "a b\\x0ac\\x0d\\xff");
	assert_line(64, "\xe2\x80\xa8", true, "\\xe2\\x80\\xa8");
}

static void test_a_line_ends_with_a_whole_character(void **state)
{
	(void)state;
	assert_line(0, "a", false, "");
	assert_line(3, "ab\xc3\xa4", false, "ab");
	assert_line(4, "ab\xc3\xa4", true, "ab\xc3\xa4");
	assert_line(4, "a\n", false, "a");
	assert_line(5, "a\n", true, "a\\x0a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters_that_can_be_shown),
		cmocka_unit_test(test_what_could_command_a_terminal_is_none),
		cmocka_unit_test(test_what_ends_a_line_or_turns_it_round_is_none),
		cmocka_unit_test(test_what_is_not_utf8_is_none),
		cmocka_unit_test(test_what_may_become_one_is_cut),
		cmocka_unit_test(test_text_is_written_with_its_line_ends),
		cmocka_unit_test(test_a_line_has_no_ends_within),
		cmocka_unit_test(test_a_line_ends_with_a_whole_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
