/* SPDX-License-Identifier: MIT */
#include "arguments.h"

#include <procpool.h>
#include <string.h>

#include "json_write.h"
#include "procpool/value.h"
#include "test.h"
#include "text.h"

/* The command lines here are "ppctl" and what stands behind it. */
static enum arguments_status parse(struct arguments *args, const char *accepted, bool leading,
				   const char **words, struct text *why)
{
	static char *argv[16];
	int argc = 0;
	argv[argc++] = (char *)"ppctl";
	for (; *words; words++)
		argv[argc++] = (char *)*words;
	argv[argc] = NULL;
	arguments_init(args);
	return arguments_parse(args, accepted, leading, argc, argv, why);
}

#define WORDS(...)                                                                                 \
	(const char *[])                                                                           \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void assert_refused(const char *accepted, const char **words, const char *sentence)
{
	struct arguments args;
	struct text why = {0};
	assert_int_equal(parse(&args, accepted, false, words, &why), ARGUMENTS_WRONG);
	assert_string_equal(text_cstring(&why), sentence);
	text_fini(&why);
	arguments_fini(&args);
}

static void test_options_and_operands(void **state)
{
	(void)state;
	struct arguments args;
	struct text why = {0};
	const char **words =
		WORDS("-r", "--socket", "/s", "--timeout=1.5", "-k", "a=1", "-kb=2", "f", "-5");
	assert_int_equal(parse(&args, "rkSt", true, words, &why), ARGUMENTS_OK);
	assert_true(args.raw);
	assert_false(args.json);
	assert_string_equal(args.socket, "/s");
	assert_true(args.timeout == 1.5);
	assert_true(args.run_timeout == 0);
	assert_int_equal(args.kwarg_count, 2);
	assert_string_equal(args.kwargs[1], "b=2");
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[1], "-5");
	arguments_fini(&args);
	words = WORDS("-x", "-m", "a", "--module=/b.so", "f");
	assert_int_equal(parse(&args, OPTIONS_COMMON, true, words, &why), ARGUMENTS_OK);
	assert_true(args.is_private);
	assert_int_equal(args.module_count, 2);
	assert_string_equal(args.modules[1], "/b.so");
	arguments_fini(&args);
}

static void test_options_behind_operands_where_these_are_no_data(void **state)
{
	(void)state;
	struct arguments args;
	struct text why = {0};
	assert_int_equal(parse(&args, "t", false, WORDS("7", "--timeout", "3"), &why),
			 ARGUMENTS_OK);
	assert_true(args.timeout == 3);
	assert_int_equal(args.operand_count, 1);
	assert_int_equal(parse(&args, "R", false, WORDS("--run-timeout", "0.5"), &why),
			 ARGUMENTS_OK);
	assert_true(args.run_timeout == 0.5);
}

static void test_wrong_options_are_named(void **state)
{
	(void)state;
	assert_refused("r", WORDS("-x"), "there is no option '-x' here");
	assert_refused("r", WORDS("-rx"), "there is no option '-x' here");
	assert_refused("r", WORDS("--nope"), "there is no option '--nope' here");
	assert_refused("r", WORDS("--raw=1"), "option '--raw=1' takes no argument");
	assert_refused("t", WORDS("-t"), "option '-t' takes an argument");
	assert_refused("t", WORDS("--timeout"), "option '--timeout' takes an argument");
	assert_refused("t", WORDS("-t", "soon"), "a timeout is a number of seconds, not 'soon'");
	assert_refused("t", WORDS("-t", "-1"), "a timeout is a number of seconds, not '-1'");
	assert_refused("t", WORDS("-t", "nan"), "a timeout is a number of seconds, not 'nan'");
	assert_refused("R", WORDS("-R", "0"),
		       "a run timeout is a number of seconds, more than 0, not '0'");
	assert_refused("R", WORDS("--run-timeout", "soon"),
		       "a run timeout is a number of seconds, more than 0, not 'soon'");
	assert_refused("R", WORDS("-R", "inf"),
		       "a run timeout is a number of seconds, more than 0, not 'inf'");
	assert_refused("t", WORDS("-t", "1e999"), "a timeout is a number of seconds, not '1e999'");
	assert_refused("k", WORDS("-k", "=1"), "a named argument is NAME=ARG, not '=1'");
	assert_refused("k", WORDS("-k", "a"), "a named argument is NAME=ARG, not 'a'");
	assert_refused("w", WORDS("-w", "0"), "a window is a number from 1 to 100000, not '0'");
	assert_refused("e", WORDS("-e", "soon"), "an expiry is a number of seconds, not 'soon'");
	assert_refused("y", WORDS("-y", "101"),
		       "the number of retries is a number from 0 to 100, not '101'");
	assert_refused("P", WORDS("--priority=3"), "a priority is a number from -2 to 2, not '3'");
	assert_refused("j0", WORDS("-j0"), "-j and -0 exclude each other");
}

static void test_options_of_calls(void **state)
{
	(void)state;
	struct arguments args;
	struct procpool_options options;
	struct text why = {0};
	assert_int_equal(parse(&args, "eyPp", true, WORDS("f"), &why), ARGUMENTS_OK);
	arguments_call_options(&args, &options);
	assert_true(options.expires == 0 && options.retries == 0 && options.priority == 0);
	arguments_fini(&args);
	const char **words = WORDS("-e", "2.5", "--retries", "3", "-P", "-2", "-p", "one", "f");
	assert_int_equal(parse(&args, "eyPp", true, words, &why), ARGUMENTS_OK);
	arguments_call_options(&args, &options);
	assert_true(options.expires == 2.5 && options.retries == 3 && options.priority == -2);
	assert_string_equal(options.pool, "one");
	arguments_fini(&args);
	/* At once is not never. */
	assert_int_equal(parse(&args, "e", true, WORDS("-e", "0", "f"), &why), ARGUMENTS_OK);
	arguments_call_options(&args, &options);
	assert_true(options.expires > 0 && options.expires < 1e-6);
	arguments_fini(&args);
}

static void assert_value(const char *arg, bool strings, const char *json)
{
	struct procpool_writer w;
	struct text out = {0}, why = {0};
	procpool_writer_init(&w);
	assert_int_equal(argument_value(&w, arg, strlen(arg), strings, &why), ARGUMENTS_OK);
	json_write(&out, procpool_writer_value(&w));
	assert_string_equal(text_cstring(&out), json);
	procpool_writer_fini(&w);
	text_fini(&out);
	text_fini(&why);
}

static void test_an_argument_is_json_or_a_string(void **state)
{
	(void)state;
	assert_value("41", false, "41");
	assert_value("-5", false, "-5");
	assert_value("[1, {\"a\": null}]", false, "[1,{\"a\":null}]");
	assert_value("\"41\"", false, "\"41\"");
	assert_value("hello", false, "\"hello\"");
	assert_value("", false, "\"\"");
	assert_value("007", false, "\"007\"");
	assert_value("NaN", false, "\"NaN\"");
	assert_value("[1", false, "\"[1\"");
	assert_value("41", true, "\"41\"");
	assert_value("18446744073709551615", false, "18446744073709551615");
	assert_value("\xff", false, "{\"$bytes\":\"/w==\"}");
	assert_value("\xff", true, "{\"$bytes\":\"/w==\"}");
}

static void test_json_that_cannot_be_sent_is_not_taken_for_a_string(void **state)
{
	(void)state;
	static const char *const args[] = {"1e999", "18446744073709551616", "-9223372036854775809",
					   "{\"$bytes\": 1}", "{\"a\\u0000\": 1}"};
	for (size_t i = 0; i < sizeof(args) / sizeof(*args); i++) {
		struct procpool_writer w;
		struct text why = {0};
		procpool_writer_init(&w);
		assert_int_equal(argument_value(&w, args[i], strlen(args[i]), false, &why),
				 ARGUMENTS_WRONG);
		assert_non_null(strstr(text_cstring(&why), "-s takes it as a string"));
		assert_int_equal(w.size, 0);
		procpool_writer_fini(&w);
		text_fini(&why);
	}
}

static void test_job_ids(void **state)
{
	(void)state;
	int64_t job = 0;
	struct text why = {0};
	assert_int_equal(argument_job("9007199254740991", &job, &why), ARGUMENTS_OK);
	assert_int_equal(job, (INT64_C(1) << 53) - 1);
	static const char *const wrong[] = {
		"", "0", "-1", "x", "1x", "9007199254740992", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(argument_job(wrong[i], &job, &why), ARGUMENTS_WRONG);
	text_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_operands),
		cmocka_unit_test(test_options_behind_operands_where_these_are_no_data),
		cmocka_unit_test(test_wrong_options_are_named),
		cmocka_unit_test(test_options_of_calls),
		cmocka_unit_test(test_an_argument_is_json_or_a_string),
		cmocka_unit_test(test_json_that_cannot_be_sent_is_not_taken_for_a_string),
		cmocka_unit_test(test_job_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
