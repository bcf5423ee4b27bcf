/* SPDX-License-Identifier: MIT */
/* Base64 of RFC 4648 with padding, how bytes are written in JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct text;

void base64_encode(struct text *out, const void *data, size_t size);
/* Appends the decoded bytes; false, with part of them appended, where it is not padded base64. */
bool base64_decode(struct text *out, const char *data, size_t size);
