/* SPDX-License-Identifier: MIT */
/*
 * MessagePack to JSON, on one line and without loss: json_read() turns the text into the same
 * value. What JSON has no form for is written as an object with one key:
 *
 *   bytes                       {"$bytes": "aGk="}            base64
 *   a string that is not UTF-8  {"$string": "/w=="}           base64
 *   NaN, infinities             {"$float": "nan"}, "inf", "-inf"
 *   ext                         {"$ext": [5, "aGk="]}         type and base64
 *   a map that is no object     {"$map": [[key, value], ...]}
 *
 * A map is no object where a key is not a string, not UTF-8, has a NUL or comes twice, or where its
 * only key is one of these names. Integers are written as they are, up to 2^64-1.
 */
#pragma once

#include "procpool/value.h"

struct text;

void json_write(struct text *out, struct procpool_value value);

/* A string or bytes as they are, everything else as JSON. */
void json_write_raw(struct text *out, struct procpool_value value);

/* The forms' names, for both directions. */
enum json_form {
	JSON_FORM_NONE,
	JSON_FORM_BYTES,
	JSON_FORM_STRING,
	JSON_FORM_FLOAT,
	JSON_FORM_INT, /* only read: {"$int": "18446744073709551615"} */
	JSON_FORM_EXT,
	JSON_FORM_MAP,
};
enum json_form json_form(const char *key, size_t size);
