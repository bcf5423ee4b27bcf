/* SPDX-License-Identifier: MIT */
#include "print.h"

#include <string.h>

#include "histogram.h"
#include "json_read.h"
#include "test.h"
#include "text.h"

static void assert_text(struct text *text, const char *wanted)
{
	assert_string_equal(text_cstring(text), wanted);
	text_fini(text);
}

static void test_seconds(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{0, "0 µs"},      {0.00025, "250 µs"}, {0.0123, "12.3 ms"},  {1.5, "1.5 s"},
		{125, "0:02:05"}, {86399, "23:59:59"}, {183840, "2 d 3:04"}, {-1, "?"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text out = {0};
		print_seconds(&out, cases[i].seconds);
		assert_text(&out, cases[i].text);
	}
}

static void test_names(void **state)
{
	(void)state;
	struct text out = {0};
	print_name(&out, "./a b", 5);
	assert_text(&out, "./a b");
	print_name(&out, "a\x1b[2Jb\n", 7);
	assert_text(&out, "\"a\\u001b[2Jb\\n\"");
	print_name(&out, "\xff", 1);
	assert_text(&out, "{\"$bytes\":\"/w==\"}");

	static char name[1000];
	memset(name, 'x', sizeof(name));
	memcpy(name + 199, "é", 2); /* must not be cut in half */
	print_name(&out, name, sizeof(name));
	assert_int_equal(out.size, 199 + strlen("... (1000 bytes)"));
	text_fini(&out);
}

static void assert_result(const char *json, bool raw, const char *wanted)
{
	struct procpool_writer w;
	struct text out = {0}, why = {0};
	procpool_writer_init(&w);
	assert_int_equal(json_read(json, strlen(json), &w, &why), JSON_OK);
	print_result(&out, procpool_writer_value(&w), raw);
	assert_text(&out, wanted);
	procpool_writer_fini(&w);
	text_fini(&why);
}

static void test_results(void **state)
{
	(void)state;
	assert_result("\"a\"", false, "\"a\"\n");
	assert_result("\"a\"", true, "a\n");
	assert_result("[\"a\"]", true, "[\"a\"]\n");
	assert_result("{\"$bytes\":\"aGk=\"}", true, "hi");
	assert_result("{\"$bytes\":\"aGk=\"}", false, "{\"$bytes\":\"aGk=\"}\n");
}

static void assert_histogram(const char *json, const char *wanted)
{
	struct procpool_writer w;
	struct text out = {0}, why = {0};
	procpool_writer_init(&w);
	assert_int_equal(json_read(json, strlen(json), &w, &why), JSON_OK);
	histogram_write(&out, procpool_writer_value(&w));
	assert_text(&out, wanted);
	procpool_writer_fini(&w);
	text_fini(&why);
}

static void test_histograms(void **state)
{
	(void)state;
	assert_histogram("{\"le\":[0.001,0.01],\"counts\":[0,0,0],\"count\":0,\"sum\":0}",
			 "none yet");
	assert_histogram("{\"le\":[0.001,0.01],\"counts\":[90,10,0],\"count\":100,\"sum\":0.1}",
			 "mean 1 ms, 50% ≤ 1 ms, 90% ≤ 1 ms, 99% ≤ 10 ms");
	assert_histogram("{\"le\":[0.001,0.01],\"counts\":[0,0,4],\"count\":4,\"sum\":8}",
			 "mean 2 s, 50% > 10 ms, 90% > 10 ms, 99% > 10 ms");
	assert_histogram("{}", "none yet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_histograms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
