/* SPDX-License-Identifier: MIT */
/*
 * A growing run of bytes, the string type of ppctl. Holds any bytes, NUL included; it is not
 * NUL-terminated. A program that only prints cannot go on without memory, so that running out of it
 * ends ppctl with status 4 and nothing here returns an error.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct text {
	char *data; /* owned */
	size_t size;
	size_t capacity;
};

void text_fini(struct text *text);
/* Empties it and keeps the memory. */
void text_reset(struct text *text);
/* Makes room for at least `size` more bytes and returns the place behind the last one. */
char *text_reserve(struct text *text, size_t size);
void text_add(struct text *text, const void *data, size_t size);
void text_add_char(struct text *text, char c);
void text_add_string(struct text *text, const char *string);
__attribute__((format(printf, 2, 3))) void text_addf(struct text *text, const char *format, ...);
/* Removes the first `size` bytes. */
void text_drop(struct text *text, size_t size);
/* The bytes as a C string, borrowed until the text changes; a NUL inside ends it early. */
const char *text_cstring(struct text *text);

/* Ends the program: no memory. */
__attribute__((noreturn)) void text_no_memory(void);
