/* SPDX-License-Identifier: MIT */
/* How one result is printed, for all commands that have one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "procpool/value.h"

struct text;

/* A result as a line of JSON; with `raw` a string as a line, and bytes with nothing added. */
void print_result(struct text *out, struct procpool_value value, bool raw);

/* Bytes that people shall recognise: as they are where they are printable UTF-8, else as JSON;
 * shortened where they are long. */
void print_name(struct text *out, const char *data, size_t size);

/* Seconds with a fitting unit: "250 µs", "1.5 s", "0:02:05", "2 d 3:04". */
void print_seconds(struct text *out, double seconds);
