/* SPDX-License-Identifier: MIT */
/*
 * jansson parses, this file converts. jansson has no integer above 2^63-1, which are common
 * (hashes): where it says so, such numbers are wrapped in {"$int": "..."} and the text is parsed
 * again.
 */
#include "json_read.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "json_write.h"
#include "procpool/value.h"
#include "text.h"

static const char too_deep[] = "it nests deeper than 28 levels";

static bool convert(const json_t *json, unsigned depth, struct procpool_writer *w,
		    struct text *why);

static bool refuse(struct text *why, const char *reason)
{
	text_add_string(why, reason);
	return false;
}

static bool read_base64(const json_t *json, struct text *ret)
{
	return json_is_string(json) &&
	       base64_decode(ret, json_string_value(json), json_string_length(json));
}

static bool convert_bytes(const json_t *json, bool string, struct procpool_writer *w,
			  struct text *why)
{
	struct text bytes = {0};
	bool ok = read_base64(json, &bytes);
	if (!ok)
		refuse(why, "\"$bytes\" and \"$string\" take a string of padded base64");
	else if (string)
		procpool_write_string_n(w, text_cstring(&bytes), bytes.size);
	else
		procpool_write_bytes(w, text_cstring(&bytes), bytes.size);
	text_fini(&bytes);
	return ok;
}

static bool convert_float(const json_t *json, struct procpool_writer *w, struct text *why)
{
	static const struct {
		const char *name;
		double value;
	} floats[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}};
	for (size_t i = 0; json_is_string(json) && i < sizeof(floats) / sizeof(*floats); i++) {
		if (strcmp(json_string_value(json), floats[i].name) == 0) {
			procpool_write_double(w, floats[i].value);
			return true;
		}
	}
	return refuse(why, "\"$float\" takes \"nan\", \"inf\" or \"-inf\"");
}

static bool convert_int(const json_t *json, struct procpool_writer *w, struct text *why)
{
	const char *digits = json_is_string(json) ? json_string_value(json) : "";
	bool negative = *digits == '-';
	const char *first = digits + negative;
	size_t length = strspn(first, "0123456789");
	errno = 0;
	uint64_t u = strtoull(first, NULL, 10);
	bool fits = errno == 0 && length > 0 && strlen(digits) == length + negative &&
		    json_string_length(json) == length + negative;
	if (!fits || (negative && u > (uint64_t)INT64_MAX + 1))
		return refuse(why, "an integer is from -2^63 to 2^64-1");
	if (negative)
		procpool_write_int(w, (int64_t)(0 - u));
	else
		procpool_write_uint(w, u);
	return true;
}

static bool convert_ext(const json_t *json, struct procpool_writer *w, struct text *why)
{
	const json_t *type = json_array_get(json, 0);
	struct text bytes = {0};
	bool ok = json_array_size(json) == 2 && json_is_integer(type) &&
		  json_integer_value(type) >= INT8_MIN && json_integer_value(type) <= INT8_MAX &&
		  read_base64(json_array_get(json, 1), &bytes);
	if (ok)
		procpool_write_ext(w, (int8_t)json_integer_value(type), text_cstring(&bytes),
				   bytes.size);
	else
		refuse(why, "\"$ext\" takes an array of a type from -128 to 127 and padded base64");
	text_fini(&bytes);
	return ok;
}

static bool convert_pairs(const json_t *json, unsigned depth, struct procpool_writer *w,
			  struct text *why)
{
	size_t i;
	const json_t *pair;
	if (depth == JSON_DEPTH_MAX)
		return refuse(why, too_deep);
	if (!json_is_array(json))
		return refuse(why, "\"$map\" takes an array of [key, value] pairs");
	procpool_write_map(w, json_array_size(json));
	json_array_foreach((json_t *)json, i, pair)
	{
		if (json_array_size(pair) != 2)
			return refuse(why, "\"$map\" takes an array of [key, value] pairs");
		if (!convert(json_array_get(pair, 0), depth + 1, w, why) ||
		    !convert(json_array_get(pair, 1), depth + 1, w, why))
			return false;
	}
	return true;
}

static bool convert_object(const json_t *json, unsigned depth, struct procpool_writer *w,
			   struct text *why)
{
	const char *key;
	const json_t *value;
	if (depth == JSON_DEPTH_MAX)
		return refuse(why, too_deep);
	procpool_write_map(w, json_object_size(json));
	json_object_foreach((json_t *)json, key, value)
	{
		procpool_write_string(w, key);
		if (!convert(value, depth + 1, w, why))
			return false;
	}
	return true;
}

/* An object, or one of the forms: an object whose only key is a form's name. */
static bool convert_map(const json_t *json, unsigned depth, struct procpool_writer *w,
			struct text *why)
{
	void *first = json_object_iter((json_t *)json);
	const char *key = first ? json_object_iter_key(first) : "";
	const json_t *value = first ? json_object_iter_value(first) : NULL;
	enum json_form form =
		json_object_size(json) == 1 ? json_form(key, strlen(key)) : JSON_FORM_NONE;
	switch (form) {
	case JSON_FORM_BYTES:
	case JSON_FORM_STRING:
		return convert_bytes(value, form == JSON_FORM_STRING, w, why);
	case JSON_FORM_FLOAT:
		return convert_float(value, w, why);
	case JSON_FORM_INT:
		return convert_int(value, w, why);
	case JSON_FORM_EXT:
		return convert_ext(value, w, why);
	case JSON_FORM_MAP:
		return convert_pairs(value, depth, w, why);
	case JSON_FORM_NONE:
		break;
	}
	return convert_object(json, depth, w, why);
}

static bool convert_array(const json_t *json, unsigned depth, struct procpool_writer *w,
			  struct text *why)
{
	size_t i;
	const json_t *element;
	if (depth == JSON_DEPTH_MAX)
		return refuse(why, too_deep);
	procpool_write_array(w, json_array_size(json));
	json_array_foreach((json_t *)json, i, element)
	{
		if (!convert(element, depth + 1, w, why))
			return false;
	}
	return true;
}

static bool convert_scalar(const json_t *json, struct procpool_writer *w)
{
	if (json_is_string(json))
		procpool_write_string_n(w, json_string_value(json), json_string_length(json));
	else if (json_is_integer(json))
		procpool_write_int(w, json_integer_value(json));
	else if (json_is_real(json))
		procpool_write_double(w, json_real_value(json));
	else if (json_is_boolean(json))
		procpool_write_bool(w, json_is_true(json));
	else
		procpool_write_nil(w);
	return true;
}

static bool convert(const json_t *json, unsigned depth, struct procpool_writer *w, struct text *why)
{
	if (!json_is_array(json) && !json_is_object(json))
		return convert_scalar(json, w);
	return json_is_array(json) ? convert_array(json, depth, w, why)
				   : convert_map(json, depth, w, why);
}

/* The size of the number at data if it is an integer, which jansson may have no place for; else 0.
 */
static size_t big_integer_size(const char *data, size_t size)
{
	size_t i = size > 0 && data[0] == '-' ? 1 : 0;
	size_t sign = i;
	while (i < size && data[i] >= '0' && data[i] <= '9')
		i++;
	if (i - sign < 19 || data[sign] == '0') /* 2^63-1 has 19 digits */
		return 0;
	return i == size || !memchr(".eE", data[i], 3) ? i : 0;
}

/* Wraps every long integer that stands outside of strings. */
static void wrap_integers(struct text *out, const char *data, size_t size)
{
	bool quoted = false;
	for (size_t i = 0; i < size;) {
		size_t token = 1;
		if (quoted && data[i] == '\\' && i + 1 < size) {
			token = 2;
		} else if (data[i] == '"') {
			quoted = !quoted;
		} else if (!quoted && memchr("-0123456789", data[i], 11)) {
			size_t number = big_integer_size(data + i, size - i);
			if (number > 0) {
				text_addf(out, "{\"$int\":\"%.*s\"}", (int)number, data + i);
				i += number;
				continue;
			}
			while (i + token < size && memchr("-+0123456789.eE", data[i + token], 15))
				token++;
		}
		text_add(out, data + i, token);
		i += token;
	}
}

static enum json_status status_of(const json_error_t *error, struct text *why)
{
	text_reset(why);
	switch (json_error_code(error)) {
	case json_error_numeric_overflow:
		text_add_string(why, "a number is too large");
		return JSON_REFUSED;
	case json_error_stack_overflow:
		text_add_string(why, too_deep);
		return JSON_REFUSED;
	case json_error_null_byte_in_key:
		text_add_string(
			why, "a key with a NUL must be written as {\"$map\": [[key, value], ...]}");
		return JSON_REFUSED;
	case json_error_out_of_memory:
		text_no_memory();
	default:
		text_add_string(why, error->text);
		return JSON_NOT;
	}
}

static json_t *parse(const char *data, size_t size, json_error_t *error)
{
	return json_loadb(data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

enum json_status json_read(const char *data, size_t size, struct procpool_writer *w,
			   struct text *why)
{
	json_error_t error;
	json_t *json = parse(data, size, &error);
	if (!json && json_error_code(&error) == json_error_numeric_overflow) {
		struct text wrapped = {0};
		wrap_integers(&wrapped, data, size);
		json = parse(text_cstring(&wrapped), wrapped.size, &error);
		text_fini(&wrapped);
	}
	if (!json)
		return status_of(&error, why);

	struct procpool_writer value;
	procpool_writer_init(&value);
	text_reset(why);
	bool ok = convert(json, 0, &value, why);
	json_decref(json);
	if (ok && value.error)
		text_no_memory();
	if (ok)
		procpool_write_value(w, procpool_writer_value(&value));
	procpool_writer_fini(&value);
	return ok ? JSON_OK : JSON_REFUSED;
}
