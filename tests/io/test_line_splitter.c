/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/line_splitter.h"

/* What was handed out, each line in brackets. */
struct lines {
	char text[16384];
	size_t size;
	size_t longest;
};

static void collect(void *data, const char *line, size_t size)
{
	struct lines *lines = data;
	assert_true(size <= LINE_BYTES_MAX);
	assert_true(lines->size + size + 3 < sizeof(lines->text));
	lines->text[lines->size++] = '[';
	memcpy(lines->text + lines->size, line, size);
	lines->size += size;
	lines->text[lines->size++] = ']';
	lines->text[lines->size] = '\0';
	if (size > lines->longest)
		lines->longest = size;
}

static void feed(struct line_splitter *splitter, struct lines *lines, const char *text)
{
	line_splitter_feed(splitter, (const uint8_t *)text, strlen(text), collect, lines);
}

static void test_lines_end_with_newlines(void **state)
{
	(void)state;
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	feed(&splitter, &lines, "one\ntwo\r\n\nthr");
	assert_string_equal(lines.text, "[one][two][]");
	assert_true(line_splitter_has_rest(&splitter));
	feed(&splitter, &lines, "ee\n");
	assert_string_equal(lines.text, "[one][two][][three]");
	assert_false(line_splitter_has_rest(&splitter));
	assert_null(splitter.line);
}

static void test_the_rest_is_handed_out_at_the_end(void **state)
{
	(void)state;
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	line_splitter_end(&splitter, collect, &lines);
	assert_int_equal(lines.size, 0);
	feed(&splitter, &lines, "no newline\r");
	line_splitter_end(&splitter, collect, &lines);
	assert_string_equal(lines.text, "[no newline]");
	feed(&splitter, &lines, "\xe2\x82");
	line_splitter_end(&splitter, collect, &lines);
	assert_string_equal(lines.text, "[no newline][\\xe2\\x82]");
	assert_null(splitter.line);
}

static void test_what_is_kept_can_be_dropped(void **state)
{
	(void)state;
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	feed(&splitter, &lines, "dropped\xe2");
	line_splitter_fini(&splitter);
	assert_false(line_splitter_has_rest(&splitter));
	feed(&splitter, &lines, "kept\n");
	assert_string_equal(lines.text, "[kept]");
}

static void test_no_control_character_gets_through(void **state)
{
	(void)state;
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	feed(&splitter, &lines, "\x1b]0;title\x07\x1b[2Ja\rb\r\r\n\xc2\x9b[31m\x9b\n");
	assert_string_equal(lines.text, "[\\x1b]0;title\\x07\\x1b[2Ja\\x0db\\x0d]"
					"[\\xc2\\x9b[31m\\x9b]");
	static const uint8_t nul[] = {0, '\n'};
	line_splitter_feed(&splitter, nul, sizeof(nul), collect, &lines);
	assert_string_equal(lines.text + lines.size - 6, "[\\x00]");
}

static void test_characters_may_come_in_parts(void **state)
{
	(void)state;
	static const char text[] = "\u20ac\U0001f600\xf0\x9f\xe2\x82z\xc3\n";
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		line_splitter_feed(&splitter, (const uint8_t *)text + i, 1, collect, &lines);
	assert_string_equal(lines.text, "[\u20ac\U0001f600\\xf0\\x9f\\xe2\\x82z\\xc3]");
}

static void test_long_lines_come_in_pieces(void **state)
{
	(void)state;
	struct line_splitter splitter = {0};
	struct lines lines = {0};
	char text[LINE_BYTES_MAX * 2 + 2];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	feed(&splitter, &lines, text);
	assert_int_equal(lines.size, 2 * (LINE_BYTES_MAX + 2));
	feed(&splitter, &lines, "\n");
	assert_string_equal(lines.text + 2 * (LINE_BYTES_MAX + 2), "[x]");

	/* No character and no escape is torn apart. */
	lines = (struct lines){0};
	for (unsigned i = 0; i < LINE_BYTES_MAX; i++)
		feed(&splitter, &lines, i % 2 ? "\u20ac" : "\x01");
	feed(&splitter, &lines, "\n");
	assert_true(lines.longest > LINE_BYTES_MAX - 4);
	for (const char *p = lines.text; (p = strstr(p, "][")); p++)
		assert_true(memcmp(p - 3, "\u20ac", 3) == 0 || memcmp(p - 4, "\\x01", 4) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_end_with_newlines),
		cmocka_unit_test(test_the_rest_is_handed_out_at_the_end),
		cmocka_unit_test(test_what_is_kept_can_be_dropped),
		cmocka_unit_test(test_no_control_character_gets_through),
		cmocka_unit_test(test_characters_may_come_in_parts),
		cmocka_unit_test(test_long_lines_come_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
