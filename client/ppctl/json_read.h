/* SPDX-License-Identifier: MIT */
/*
 * JSON to MessagePack: the other direction of json_write.h, with the same forms, and {"$int":
 * "..."} for an integer up to 2^64-1.
 */
#pragma once

#include <stddef.h>

struct procpool_writer;
struct text;

/* Nested containers in one argument: PROTOCOL.md's depth less the message's own levels. */
#define JSON_DEPTH_MAX 28

enum json_status {
	JSON_OK,
	JSON_NOT,     /* the text is not JSON */
	JSON_REFUSED, /* it is, but has no MessagePack form */
};

/*
 * Reads the whole text as one JSON value and appends it to w. Unless JSON_OK, nothing is appended
 * and *why says what is wrong, a phrase without the text.
 */
enum json_status json_read(const char *data, size_t size, struct procpool_writer *w,
			   struct text *why);
