/* SPDX-License-Identifier: MIT */
#include "proto/reply.h"

#include <string.h>

#include "proto/request.h"
#include "test.h"

static struct procpool_writer writer;

static int setup(void **state)
{
	(void)state;
	procpool_writer_init(&writer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	procpool_writer_fini(&writer);
	return 0;
}

/* What was written must be one whole message. */
static struct request written(void)
{
	struct procpool_value message = procpool_writer_value(&writer), parsed = {0};
	struct request request;
	assert_true(procpool_value_parse(message.data, message.size, &parsed));
	assert_int_equal(parsed.size, message.size);
	request_decode(message.data, message.size, &request);
	return request;
}

static void assert_text(struct procpool_value value, const char *text)
{
	assert_true(procpool_value_is(value, text));
}

static void test_results(void **state)
{
	(void)state;
	reply_begin_result(&writer, 9);
	procpool_write_int(&writer, 42);
	assert_value_bytes(procpool_writer_value(&writer), BYTES(0x94, 1, 9, 0xc0, 42));
	procpool_writer_reset(&writer);
	reply_result(&writer, UINT32_MAX, VALUE(0x91, 1));
	assert_value_bytes(procpool_writer_value(&writer),
			   BYTES(0x94, 1, 0xce, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x91, 1));
	procpool_writer_reset(&writer);
	reply_result(&writer, 0, (struct procpool_value){0});
	assert_value_bytes(procpool_writer_value(&writer), BYTES(0x94, 1, 0, 0xc0, 0xc0));
}

static void test_error_as_a_map(void **state)
{
	(void)state;
	reply_error(&writer, 3, ERROR_FORM_MAP, ERR_BUSY, "too many jobs");
	struct request r = written();
	assert_int_equal(r.kind, REQUEST_RESPONSE);
	assert_int_equal(r.msgid, 3);
	assert_int_equal(procpool_value_count(r.error), 2);
	assert_text(procpool_value_get(r.error, "code"), "busy");
	assert_text(procpool_value_get(r.error, "message"), "too many jobs");
	assert_value_bytes(r.result, BYTES(0xc0));
}

static void test_error_as_text(void **state)
{
	(void)state;
	reply_error(&writer, 3, ERROR_FORM_TEXT, ERR_BUSY, "too many jobs");
	assert_text(written().error, "busy: too many jobs");
	assert_value_bytes(written().result, BYTES(0xc0));
}

static void test_error_with_more_keys(void **state)
{
	(void)state;
	error_begin(&writer, ERR_BUSY, "no", 1);
	procpool_write_string(&writer, "limit");
	procpool_write_string(&writer, "jobs_user");
	struct procpool_value error = procpool_writer_value(&writer);
	assert_int_equal(procpool_value_count(error), 3);
	assert_text(procpool_value_get(error, "limit"), "jobs_user");
}

static void test_copied_error_gets_its_numbers(void **state)
{
	(void)state;
	static const struct error_number numbers[] = {{"job", INT64_C(1) << 40}, {"index", 3}};
	struct procpool_writer copy;
	int64_t n;
	error_begin(&writer, ERR_FUNCTION_FAILED, "no", 2);
	procpool_write_string(&writer, "index");
	procpool_write_string(&writer, "a worker's own idea");
	procpool_write_string(&writer, "type");
	procpool_write_string(&writer, "ValueError");
	procpool_writer_init(&copy);
	error_copy(&copy, procpool_writer_value(&writer), numbers, 2);

	struct procpool_value error = procpool_writer_value(&copy);
	assert_int_equal(procpool_value_count(error), 5);
	assert_text(procpool_value_get(error, "code"), "function-failed");
	assert_text(procpool_value_get(error, "type"), "ValueError");
	assert_true(procpool_value_int(procpool_value_get(error, "job"), &n) &&
		    n == INT64_C(1) << 40);
	assert_true(procpool_value_int(procpool_value_get(error, "index"), &n) && n == 3);
	procpool_writer_fini(&copy);
}

static void test_error_value_takes_the_form_asked_for(void **state)
{
	(void)state;
	struct procpool_writer map;
	procpool_writer_init(&map);
	error_begin(&map, ERR_TIMEOUT, "late", 0);
	struct procpool_value error = procpool_writer_value(&map);

	reply_error_value(&writer, 1, ERROR_FORM_MAP, error);
	assert_value_bytes(written().error, error.data, error.size);
	procpool_writer_reset(&writer);
	reply_error_value(&writer, 1, ERROR_FORM_TEXT, error);
	assert_text(written().error, "timeout: late");
	procpool_writer_reset(&writer);
	error_write(&writer, ERROR_FORM_TEXT, VALUE(0xc0));
	assert_value_bytes(procpool_writer_value(&writer), BYTES(0xc0));
	procpool_writer_reset(&writer);
	error_write(&writer, ERROR_FORM_TEXT, VALUE(0x80));
	assert_text(procpool_writer_value(&writer), ": ");
	procpool_writer_fini(&map);
}

static void test_long_error_text_is_whole(void **state)
{
	(void)state;
	char message[70000];
	const char *text;
	size_t size;
	memset(message, 'm', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	reply_error(&writer, 3, ERROR_FORM_TEXT, ERR_BUSY, message);
	assert_true(procpool_value_string(written().error, &text, &size));
	assert_int_equal(size, strlen("busy: ") + strlen(message));
	assert_memory_equal(text, "busy: mmm", 9);
}

static void test_push(void **state)
{
	(void)state;
	push_begin(&writer, "event", 1);
	procpool_write_map(&writer, 0);
	struct request r = written();
	assert_int_equal(r.kind, REQUEST_NOTIFICATION);
	assert_true(slice_is(r.method, "event"));
	assert_value_bytes(r.params, BYTES(0x91, 0x80));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_results),
		TEST(test_error_as_a_map),
		TEST(test_error_as_text),
		TEST(test_error_with_more_keys),
		TEST(test_copied_error_gets_its_numbers),
		TEST(test_error_value_takes_the_form_asked_for),
		TEST(test_long_error_text_is_whole),
		TEST(test_push),
	};
	return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
