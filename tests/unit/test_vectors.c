/* SPDX-License-Identifier: MIT */
/* The golden vectors of proto/vectors (its README.md says what they are), as proto reads and writes
 * them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/limit_table.h"
#include "proto/options.h"
#include "proto/request.h"
#include "test.h"

#define LIMIT(name) (LIMITS_DEFAULT.name)

static json_t *load(const char *name)
{
	char path[4096];
	json_error_t error;
	snprintf(path, sizeof(path), "%s/%s", VECTORS_DIR, name);
	json_t *vectors = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!vectors)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	assert_true(json_array_size(vectors) > 10);
	return vectors;
}

struct bytes {
	uint8_t *data; /* owned, and not a byte longer than size, so that ASan sees a read beyond */
	size_t size;
};

static struct bytes unhex(const char *hex)
{
	struct bytes bytes = {.size = strlen(hex) / 2};
	assert_int_equal(strlen(hex) % 2, 0);
	bytes.data = malloc(bytes.size + !bytes.size);
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned b;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &b), 1);
		bytes.data[i] = (uint8_t)b;
	}
	return bytes;
}

static struct bytes hex_of(json_t *vector)
{
	return unhex(json_string_value(json_object_get(vector, "hex")));
}

/* The value of {"$key": ...}, what JSON lacks; otherwise NULL. */
static json_t *special(json_t *json, const char *key)
{
	return json_object_size(json) == 1 ? json_object_get(json, key) : NULL;
}

static void write_special(struct procpool_writer *w, json_t *json);

static void write_json(struct procpool_writer *w, json_t *json)
{
	const char *key;
	json_t *element;
	size_t i;
	switch (json_typeof(json)) {
	case JSON_NULL:
		procpool_write_nil(w);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		procpool_write_bool(w, json_is_true(json));
		break;
	case JSON_INTEGER:
		procpool_write_int(w, json_integer_value(json));
		break;
	case JSON_REAL:
		procpool_write_double(w, json_real_value(json));
		break;
	case JSON_STRING:
		procpool_write_string_n(w, json_string_value(json), json_string_length(json));
		break;
	case JSON_ARRAY:
		procpool_write_array(w, json_array_size(json));
		json_array_foreach(json, i, element) write_json(w, element);
		break;
	case JSON_OBJECT:
		key = json_object_iter_key(json_object_iter(json));
		if (key && key[0] == '$') {
			write_special(w, json);
			break;
		}
		procpool_write_map(w, json_object_size(json));
		json_object_foreach(json, key, element)
		{
			procpool_write_string(w, key);
			write_json(w, element);
		}
		break;
	}
}

static void write_special(struct procpool_writer *w, json_t *json)
{
	json_t *inner, *pair;
	size_t i;
	if ((inner = special(json, "$bin"))) {
		struct bytes bytes = unhex(json_string_value(inner));
		procpool_write_bytes(w, bytes.data, bytes.size);
		free(bytes.data);
	} else if ((inner = special(json, "$ext"))) {
		struct bytes bytes = unhex(json_string_value(json_array_get(inner, 1)));
		procpool_write_ext(w, (int8_t)json_integer_value(json_array_get(inner, 0)),
				   bytes.data, bytes.size);
		free(bytes.data);
	} else if ((inner = special(json, "$float"))) {
		procpool_write_double(w, strtod(json_string_value(inner), NULL));
	} else if ((inner = special(json, "$uint"))) {
		procpool_write_uint(w, strtoull(json_string_value(inner), NULL, 10));
	} else if ((inner = special(json, "$map"))) {
		procpool_write_map(w, json_array_size(inner));
		json_array_foreach(inner, i, pair)
		{
			write_json(w, json_array_get(pair, 0));
			write_json(w, json_array_get(pair, 1));
		}
	} else {
		fail_msg("a value of no known kind");
	}
}

/* A value written anew, everything in its shortest form. */
static void write_again(struct procpool_writer *w, struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element;
	const void *bytes;
	size_t size;
	bool b;
	int64_t n;
	uint64_t u;
	double d;
	int8_t ext;
	switch (procpool_value_type(value)) {
	case PROCPOOL_NIL:
		procpool_write_nil(w);
		break;
	case PROCPOOL_BOOL:
		assert_true(procpool_value_bool(value, &b));
		procpool_write_bool(w, b);
		break;
	case PROCPOOL_INT:
		if (procpool_value_int(value, &n))
			procpool_write_int(w, n);
		else if (procpool_value_uint(value, &u))
			procpool_write_uint(w, u);
		break;
	case PROCPOOL_FLOAT:
		assert_true(procpool_value_double(value, &d));
		procpool_write_double(w, d);
		break;
	case PROCPOOL_STRING:
		assert_true(procpool_value_bytes(value, &bytes, &size));
		procpool_write_string_n(w, bytes, size);
		break;
	case PROCPOOL_BYTES:
		assert_true(procpool_value_bytes(value, &bytes, &size));
		procpool_write_bytes(w, bytes, size);
		break;
	case PROCPOOL_EXT:
		assert_true(procpool_value_ext(value, &ext, &bytes, &size));
		procpool_write_ext(w, ext, bytes, size);
		break;
	case PROCPOOL_ARRAY:
		procpool_write_array(w, procpool_value_count(value));
		break;
	case PROCPOOL_MAP:
		procpool_write_map(w, procpool_value_count(value));
		break;
	case PROCPOOL_NONE:
		fail_msg("no value");
	}
	while (procpool_iter_next(&it, &element))
		write_again(w, element);
}

/* The bytes are one whole message, however they are cut. */
static void check_cuts(struct bytes bytes)
{
	for (size_t cut = 0; cut < bytes.size; cut++) {
		struct frame_scanner scanner;
		size_t used;
		frame_scanner_init(&scanner, LIMIT(message_bytes), (unsigned)LIMIT(depth));
		assert_int_equal(frame_scan(&scanner, bytes.data, cut, &used), FRAME_MORE);
		assert_int_equal(frame_scan(&scanner, bytes.data + cut, bytes.size - cut, &used),
				 FRAME_DONE);
		assert_int_equal(cut + used, bytes.size);
	}
}

/* The bytes are read as the JSON says, and unless they are of another form, written so too. */
static void check_value(struct bytes bytes, json_t *json, bool decode_only)
{
	struct procpool_writer from_json, from_bytes;
	struct procpool_value value;
	procpool_writer_init(&from_json);
	procpool_writer_init(&from_bytes);
	check_cuts(bytes);
	assert_true(procpool_value_parse(bytes.data, bytes.size, &value));
	assert_int_equal(value.size, bytes.size);
	write_json(&from_json, json);
	write_again(&from_bytes, value);
	assert_value_bytes(procpool_writer_value(&from_bytes), from_json.data, from_json.size);
	if (decode_only)
		assert_true(from_json.size != bytes.size);
	else
		assert_value_bytes(value, from_json.data, from_json.size);
	procpool_writer_fini(&from_json);
	procpool_writer_fini(&from_bytes);
}

static void test_values(void **state)
{
	(void)state;
	json_t *vectors = load("values.json"), *vector;
	size_t i;
	json_array_foreach(vectors, i, vector)
	{
		struct bytes bytes = hex_of(vector);
		check_value(bytes, json_object_get(vector, "value"),
			    json_is_true(json_object_get(vector, "decode_only")));
		free(bytes.data);
	}
	json_decref(vectors);
}

/* Whether a call that is one of the four has params and options as it should. */
static bool call_is_right(const struct request *request)
{
	static const struct param table[] = {
		{"func", PARAM_STRING}, {"args", PARAM_ARRAY}, {"options", PARAM_MAP}};
	static const struct {
		const char *name;
		enum options_method method;
	} rows[] = {
		{"apply", OPTIONS_APPLY},
		{"apply_async", OPTIONS_APPLY_ASYNC},
		{"map", OPTIONS_MAP},
		{"map_async", OPTIONS_MAP_ASYNC},
	};
	struct procpool_value params[3];
	struct task_options options;
	struct problem problem;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_is(request->method, rows[i].name))
			return params_read(request->params, table, 2, 3, LIMIT(name_bytes), params,
					   &problem) &&
			       task_options_parse(params[2], rows[i].method, LIMIT(name_bytes),
						  &options, &problem);
	return true;
}

static void check_message(json_t *message, bool envelope)
{
	const char *from = json_string_value(json_object_get(message, "from"));
	struct bytes bytes = hex_of(message);
	check_value(bytes, json_object_get(message, "message"), false);
	struct request request;
	request_decode(bytes.data, bytes.size, &request);
	if (envelope && strcmp(from, "daemon") == 0) {
		assert_true(request.kind == REQUEST_RESPONSE ||
			    request.kind == REQUEST_NOTIFICATION);
	} else if (envelope) {
		assert_string_equal(from, "client");
		assert_true(request.kind != REQUEST_CALL || call_is_right(&request));
	} else {
		uint64_t number;
		struct procpool_value value = {bytes.data, bytes.size};
		assert_true(procpool_value_uint(procpool_value_at(value, 0), &number));
		assert_int_equal(number >= 16, strcmp(from, "runtime") == 0);
	}
	free(bytes.data);
}

static void check_exchanges(const char *name, bool envelope)
{
	json_t *vectors = load(name), *vector, *message;
	size_t i, k;
	json_array_foreach(vectors, i, vector)
	{
		json_t *messages = json_object_get(vector, "messages");
		assert_true(json_array_size(messages) > 0);
		json_array_foreach(messages, k, message) check_message(message, envelope);
	}
	json_decref(vectors);
}

static void test_messages_of_the_client_protocol(void **state)
{
	(void)state;
	check_exchanges("client.json", true);
}

static void test_messages_of_the_worker_protocol(void **state)
{
	(void)state;
	check_exchanges("worker.json", false);
}

static const char *outcome_of(struct bytes bytes, size_t message_bytes, struct request *request)
{
	struct frame_scanner scanner;
	size_t used;
	frame_scanner_init(&scanner, message_bytes, (unsigned)LIMIT(depth));
	enum frame_status status = frame_scan(&scanner, bytes.data, bytes.size, &used);
	if (status == FRAME_INVALID || status == FRAME_TOO_DEEP)
		return "violation";
	if (status == FRAME_MORE)
		return "incomplete";
	enum request_kind kind = status == FRAME_DONE ? request_decode(bytes.data, used, request)
						      : request_begin(bytes.data, used, request);
	if (kind == REQUEST_VIOLATION || kind == REQUEST_RESPONSE)
		return "violation";
	if (kind == REQUEST_NOTIFICATION)
		return "ignored";
	if (status == FRAME_TOO_LARGE)
		return "too-large";
	return kind == REQUEST_CALL && call_is_right(request) ? "accepted" : "bad-request";
}

static void test_hostile_messages_come_out_as_said(void **state)
{
	(void)state;
	json_t *vectors = load("hostile.json"), *vector;
	size_t i;
	json_array_foreach(vectors, i, vector)
	{
		json_t *limit = json_object_get(vector, "message_bytes");
		json_t *msgid = json_object_get(vector, "msgid");
		struct bytes bytes = hex_of(vector);
		struct request request = {0};
		const char *outcome = outcome_of(
			bytes, limit ? (size_t)json_integer_value(limit) : LIMIT(message_bytes),
			&request);
		if (strcmp(outcome, json_string_value(json_object_get(vector, "outcome"))) != 0)
			fail_msg("%s: %s", json_string_value(json_object_get(vector, "name")),
				 outcome);
		if (msgid)
			assert_int_equal(request.msgid, json_integer_value(msgid));
		free(bytes.data);
	}
	json_decref(vectors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_messages_of_the_client_protocol),
		cmocka_unit_test(test_messages_of_the_worker_protocol),
		cmocka_unit_test(test_hostile_messages_come_out_as_said),
	};
	return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
