/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CAPACITY_MIN 64

void text_no_memory(void)
{
	fputs("ppctl: out of memory\n", stderr);
	exit(4);
}

void text_fini(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

void text_reset(struct text *text)
{
	text->size = 0;
}

char *text_reserve(struct text *text, size_t size)
{
	if (size > SIZE_MAX / 2 - text->size)
		text_no_memory();
	size_t needed = text->size + size;
	if (needed > text->capacity || !text->data) {
		size_t capacity =
			text->capacity > TEXT_CAPACITY_MIN ? text->capacity : TEXT_CAPACITY_MIN;
		while (capacity < needed)
			capacity *= 2;
		char *data = realloc(text->data, capacity);
		if (!data)
			text_no_memory();
		text->data = data;
		text->capacity = capacity;
	}
	return text->data + text->size;
}

void text_add(struct text *text, const void *data, size_t size)
{
	if (size == 0)
		return;
	memcpy(text_reserve(text, size), data, size);
	text->size += size;
}

void text_add_char(struct text *text, char c)
{
	*text_reserve(text, 1) = c;
	text->size++;
}

void text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void text_addf(struct text *text, const char *format, ...)
{
	char little[128]; /* enough for nearly all: formats once */
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int size = vsnprintf(little, sizeof(little), format, args);
	va_end(args);
	if (size > 0 && (size_t)size < sizeof(little)) {
		text_add(text, little, (size_t)size);
	} else if (size > 0) {
		vsnprintf(text_reserve(text, (size_t)size + 1), (size_t)size + 1, format, again);
		text->size += (size_t)size;
	}
	va_end(again);
}

void text_drop(struct text *text, size_t size)
{
	text->size -= size;
	if (text->size > 0)
		memmove(text->data, text->data + size, text->size);
}

const char *text_cstring(struct text *text)
{
	*text_reserve(text, 1) = '\0';
	return text->data;
}
