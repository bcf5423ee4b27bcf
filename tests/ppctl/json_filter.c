/* SPDX-License-Identifier: MIT */
/*
 * The conversions between MessagePack and JSON as a filter, for test_json.py. Requests and answers
 * are a letter, a size in bytes (u32, this machine's order) and so many bytes: 'w' writes a
 * MessagePack value as JSON, 'r' reads JSON. The answer's letter is 'o' for a result, 'n' for no
 * JSON, 'x' for refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json_read.h"
#include "json_write.h"
#include "procpool/value.h"
#include "text.h"

static void answer(char letter, const void *data, size_t size)
{
	uint32_t length = (uint32_t)size;
	fwrite(&letter, 1, 1, stdout);
	fwrite(&length, sizeof(length), 1, stdout);
	fwrite(data, 1, size, stdout);
	fflush(stdout);
}

static void convert_from_msgpack(const struct text *in)
{
	struct procpool_value value;
	struct text out = {0};
	if (!procpool_value_parse(in->data, in->size, &value)) {
		answer('n', "", 0);
		return;
	}
	json_write(&out, value);
	answer('o', out.data, out.size);
	text_fini(&out);
}

static void convert_from_json(const struct text *in)
{
	/* Exactly as large as the text, so that a sanitizer sees a read behind its end. */
	char *exact = malloc(in->size > 0 ? in->size : 1);
	if (!exact)
		text_no_memory();
	for (size_t i = 0; i < in->size; i++)
		exact[i] = in->data[i];
	struct procpool_writer w;
	struct text why = {0};
	procpool_writer_init(&w);
	enum json_status status = json_read(exact, in->size, &w, &why);
	if (status == JSON_OK)
		answer('o', w.data, w.size);
	else
		answer(status == JSON_NOT ? 'n' : 'x', why.data, why.size);
	procpool_writer_fini(&w);
	text_fini(&why);
	free(exact);
}

int main(void)
{
	int letter;
	struct text in = {0};
	while ((letter = getchar()) != EOF) {
		uint32_t size;
		text_reset(&in);
		if (fread(&size, sizeof(size), 1, stdin) != 1 ||
		    fread(text_reserve(&in, size), 1, size, stdin) != size)
			break;
		in.size = size;
		if (letter == 'w')
			convert_from_msgpack(&in);
		else
			convert_from_json(&in);
	}
	text_fini(&in);
	return 0;
}
