/* SPDX-License-Identifier: MIT */
/* A value from untrusted bytes: parsed, walked, and written anew, which must change nothing. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "procpool/value.h"

static void write_again(struct procpool_writer *w, struct procpool_value value);

static bool write_number(struct procpool_writer *w, struct procpool_value value)
{
	int64_t n;
	uint64_t u;
	double d;
	if (procpool_value_int(value, &n))
		procpool_write_int(w, n);
	else if (procpool_value_uint(value, &u))
		procpool_write_uint(w, u);
	else if (procpool_value_double(value, &d))
		procpool_write_double(w, d);
	else
		return false;
	return true;
}

static bool write_bytes(struct procpool_writer *w, struct procpool_value value)
{
	const char *text;
	const void *bytes;
	size_t size;
	int8_t type;
	if (procpool_value_string(value, &text, &size))
		procpool_write_string_n(w, text, size);
	else if (procpool_value_bytes(value, &bytes, &size))
		procpool_write_bytes(w, bytes, size);
	else if (procpool_value_ext(value, &type, &bytes, &size))
		procpool_write_ext(w, type, bytes, size);
	else
		return false;
	return true;
}

static void write_elements(struct procpool_writer *w, struct procpool_value value)
{
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element = {value.data, 0};
	size_t count = 0;
	while (procpool_iter_next(&it, &element)) {
		assert(element.size > 0 && element.data > value.data);
		write_again(w, element);
		count++;
	}
	bool map = procpool_value_type(value) == PROCPOOL_MAP;
	assert(count == procpool_value_count(value) * (map ? 2 : 1));
	assert(count == 0 || element.data + element.size == value.data + value.size);
}

static void write_again(struct procpool_writer *w, struct procpool_value value)
{
	bool b;
	switch (procpool_value_type(value)) {
	case PROCPOOL_NIL:
		procpool_write_nil(w);
		break;
	case PROCPOOL_BOOL:
		assert(procpool_value_bool(value, &b));
		procpool_write_bool(w, b);
		break;
	case PROCPOOL_ARRAY:
		procpool_write_array(w, procpool_value_count(value));
		write_elements(w, value);
		break;
	case PROCPOOL_MAP:
		procpool_write_map(w, procpool_value_count(value));
		write_elements(w, value);
		break;
	default:
		assert(write_number(w, value) != write_bytes(w, value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct procpool_value value, again, third;
	struct procpool_writer first, second;
	if (!procpool_value_parse(data, size, &value))
		return 0;
	assert(value.data == data && value.size <= size);
	procpool_value_get(value, "code");
	procpool_value_at(value, 3);

	procpool_writer_init(&first);
	procpool_writer_init(&second);
	write_again(&first, value);
	again = procpool_writer_value(&first);
	write_again(&second, again);
	third = procpool_writer_value(&second);
	/* A float of single precision grows when it is written; nothing else does. */
	assert(again.size > 0 && again.size <= 2 * value.size);
	assert(third.size == again.size && memcmp(third.data, again.data, again.size) == 0);
	procpool_writer_fini(&first);
	procpool_writer_fini(&second);
	return 0;
}
