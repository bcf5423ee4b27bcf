/* SPDX-License-Identifier: MIT */
/*
 * The text is written straight from the value's bytes: a tree for each of a million results would
 * cost more than the results, and jansson's has no place for an integer above 2^63-1.
 */
#include "json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "text.h"
#include "utf8.h"

static const char *const forms[] = {
	[JSON_FORM_BYTES] = "$bytes", [JSON_FORM_STRING] = "$string", [JSON_FORM_FLOAT] = "$float",
	[JSON_FORM_INT] = "$int",     [JSON_FORM_EXT] = "$ext",       [JSON_FORM_MAP] = "$map",
};

enum json_form json_form(const char *key, size_t size)
{
	for (int form = JSON_FORM_BYTES; form <= JSON_FORM_MAP; form++)
		if (strlen(forms[form]) == size && memcmp(forms[form], key, size) == 0)
			return (enum json_form)form;
	return JSON_FORM_NONE;
}

static void open_form(struct text *out, enum json_form form)
{
	text_addf(out, "{\"%s\":", forms[form]);
}

static void write_escape(struct text *out, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *place = c ? strchr(plain, c) : NULL;
	if (place)
		text_addf(out, "\\%c", letter[place - plain]);
	else
		text_addf(out, "\\u%04x", (unsigned char)c);
}

static void write_string(struct text *out, const char *data, size_t size)
{
	text_add_char(out, '"');
	size_t begin = 0;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)data[i];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		text_add(out, data + begin, i - begin);
		write_escape(out, data[i]);
		begin = i + 1;
	}
	text_add(out, data + begin, size - begin);
	text_add_char(out, '"');
}

static void write_base64(struct text *out, const void *data, size_t size)
{
	text_add_char(out, '"');
	base64_encode(out, data, size);
	text_add_char(out, '"');
}

/* Whole numbers that fit come as integers; what is left is above 2^63-1. */
static void write_int(struct text *out, struct procpool_value value)
{
	int64_t i;
	uint64_t u;
	if (procpool_value_int(value, &i))
		text_addf(out, "%" PRId64, i);
	else if (procpool_value_uint(value, &u))
		text_addf(out, "%" PRIu64, u);
}

/* The shortest of three precisions that reads back as the same number; always recognisable as a
 * float. */
static void write_float(struct text *out, double d)
{
	char digits[40];
	if (!isfinite(d)) {
		open_form(out, JSON_FORM_FLOAT);
		text_addf(out, "\"%s\"}", isnan(d) ? "nan" : d > 0 ? "inf" : "-inf");
		return;
	}
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, d);
		if (strtod(digits, NULL) == d)
			break;
	}
	text_add_string(out, digits);
	if (!strpbrk(digits, ".e"))
		text_add_string(out, ".0");
}

static void write_array(struct text *out, struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element;
	const char *separator = "[";
	while (procpool_iter_next(&it, &element)) {
		text_add_string(out, separator);
		json_write(out, element);
		separator = ",";
	}
	text_add_string(out, *separator == '[' ? "[]" : "]");
}

struct key {
	const char *data;
	size_t size;
};

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->data, y->data, x->size);
}

static bool has_duplicates(struct key *keys, size_t count)
{
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < count; i++)
		if (compare_keys(&keys[i - 1], &keys[i]) == 0)
			return true;
	return false;
}

/* Whether each key can be a JSON object's and the object cannot be taken for one of the forms. */
static bool is_object(struct procpool_value map)
{
	size_t count = procpool_value_count(map);
	if (count == 0)
		return true;
	struct key *keys = calloc(count, sizeof(*keys));
	if (!keys)
		text_no_memory();
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	bool object = true;
	for (size_t i = 0; object && procpool_iter_next_pair(&it, &key, &value); i++)
		object = procpool_value_string(key, &keys[i].data, &keys[i].size) &&
			 utf8_valid(keys[i].data, keys[i].size) &&
			 !memchr(keys[i].data, '\0', keys[i].size);
	if (object && count == 1)
		object = json_form(keys[0].data, keys[0].size) == JSON_FORM_NONE;
	else if (object)
		object = !has_duplicates(keys, count);
	free(keys);
	return object;
}

static void write_map(struct text *out, struct procpool_value map)
{
	bool object = is_object(map);
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	const char *separator = "";
	if (!object)
		open_form(out, JSON_FORM_MAP);
	text_add_char(out, object ? '{' : '[');
	while (procpool_iter_next_pair(&it, &key, &value)) {
		text_add_string(out, separator);
		text_add_string(out, object ? "" : "[");
		json_write(out, key);
		text_add_char(out, object ? ':' : ',');
		json_write(out, value);
		text_add_string(out, object ? "" : "]");
		separator = ",";
	}
	text_add_string(out, object ? "}" : "]}");
}

static void write_ext(struct text *out, struct procpool_value value)
{
	int8_t type = 0;
	const void *data = NULL;
	size_t size = 0;
	procpool_value_ext(value, &type, &data, &size);
	open_form(out, JSON_FORM_EXT);
	text_addf(out, "[%d,", type);
	write_base64(out, data, size);
	text_add_string(out, "]}");
}

static void write_bytes(struct text *out, struct procpool_value value)
{
	const void *data = NULL;
	size_t size = 0;
	procpool_value_bytes(value, &data, &size);
	bool text = procpool_value_type(value) == PROCPOOL_STRING;
	if (text && utf8_valid(data, size)) {
		write_string(out, data, size);
		return;
	}
	open_form(out, text ? JSON_FORM_STRING : JSON_FORM_BYTES);
	write_base64(out, data, size);
	text_add_char(out, '}');
}

static void write_scalar(struct text *out, struct procpool_value value)
{
	bool b;
	double d;
	if (procpool_value_bool(value, &b))
		text_add_string(out, b ? "true" : "false");
	else if (procpool_value_type(value) == PROCPOOL_INT)
		write_int(out, value);
	else if (procpool_value_double(value, &d))
		write_float(out, d);
	else
		text_add_string(out, "null");
}

void json_write(struct text *out, struct procpool_value value)
{
	switch (procpool_value_type(value)) {
	case PROCPOOL_STRING:
	case PROCPOOL_BYTES:
		write_bytes(out, value);
		break;
	case PROCPOOL_ARRAY:
		write_array(out, value);
		break;
	case PROCPOOL_MAP:
		write_map(out, value);
		break;
	case PROCPOOL_EXT:
		write_ext(out, value);
		break;
	case PROCPOOL_NONE:
	case PROCPOOL_NIL:
	case PROCPOOL_BOOL:
	case PROCPOOL_INT:
	case PROCPOOL_FLOAT:
		write_scalar(out, value);
		break;
	}
}

void json_write_raw(struct text *out, struct procpool_value value)
{
	const void *data;
	size_t size;
	if (procpool_value_bytes(value, &data, &size))
		text_add(out, data, size);
	else
		json_write(out, value);
}
