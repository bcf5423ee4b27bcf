/* SPDX-License-Identifier: MIT */
#include "proto/reply.h"

#include <string.h>

#include "proto/slice.h"

enum { KIND_RESPONSE = 1, KIND_NOTIFICATION = 2 };

static void begin_response(struct procpool_writer *w, uint32_t msgid)
{
	procpool_write_array(w, 4);
	procpool_write_uint(w, KIND_RESPONSE);
	procpool_write_uint(w, msgid);
}

void reply_begin_result(struct procpool_writer *w, uint32_t msgid)
{
	begin_response(w, msgid);
	procpool_write_nil(w);
}

void reply_result(struct procpool_writer *w, uint32_t msgid, struct procpool_value value)
{
	reply_begin_result(w, msgid);
	if (value.size > 0)
		procpool_write_value(w, value);
	else
		procpool_write_nil(w);
}

/* "code: message" as one string, put together in the writer; each part may be empty. */
static void write_text(struct procpool_writer *w, struct slice code, struct slice message)
{
	static const struct slice colon = {": ", 2};
	const struct slice parts[] = {code, colon, message};
	size_t size = code.size + colon.size + message.size;
	const uint8_t header[] = {0xdb, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
				  (uint8_t)(size >> 8), (uint8_t)size};

	procpool_write_value(w, (struct procpool_value){header, sizeof(header)});
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		procpool_write_value(
			w, (struct procpool_value){(const uint8_t *)parts[i].data, parts[i].size});
}

void reply_error(struct procpool_writer *w, uint32_t msgid, enum error_form form,
		 enum error_code code, const char *message)
{
	const char *name = error_name(code);
	begin_response(w, msgid);
	if (form == ERROR_FORM_TEXT)
		write_text(w, (struct slice){name, strlen(name)},
			   (struct slice){message, strlen(message)});
	else
		error_begin(w, code, message, 0);
	procpool_write_nil(w);
}

void reply_error_value(struct procpool_writer *w, uint32_t msgid, enum error_form form,
		       struct procpool_value error)
{
	begin_response(w, msgid);
	error_write(w, form, error);
	procpool_write_nil(w);
}

void push_begin(struct procpool_writer *w, const char *method, size_t params)
{
	procpool_write_array(w, 3);
	procpool_write_uint(w, KIND_NOTIFICATION);
	procpool_write_string(w, method);
	procpool_write_array(w, params);
}

void error_begin(struct procpool_writer *w, enum error_code code, const char *message, size_t more)
{
	procpool_write_map(w, 2 + more);
	procpool_write_string(w, "code");
	procpool_write_string(w, error_name(code));
	procpool_write_string(w, "message");
	procpool_write_string(w, message);
}

static bool is_replaced(struct procpool_value key, const struct error_number *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (procpool_value_is(key, numbers[i].key))
			return true;
	return false;
}

void error_copy(struct procpool_writer *w, struct procpool_value error,
		const struct error_number *numbers, size_t count)
{
	struct procpool_iter it = procpool_iter(error);
	struct procpool_value key, value;
	size_t pairs = count;
	while (procpool_iter_next_pair(&it, &key, &value))
		pairs += !is_replaced(key, numbers, count);

	procpool_write_map(w, pairs);
	it = procpool_iter(error);
	while (procpool_iter_next_pair(&it, &key, &value)) {
		if (is_replaced(key, numbers, count))
			continue;
		procpool_write_value(w, key);
		procpool_write_value(w, value);
	}
	for (size_t i = 0; i < count; i++) {
		procpool_write_string(w, numbers[i].key);
		procpool_write_int(w, numbers[i].value);
	}
}

void error_write(struct procpool_writer *w, enum error_form form, struct procpool_value error)
{
	if (form == ERROR_FORM_MAP || procpool_value_type(error) != PROCPOOL_MAP) {
		procpool_write_value(w, error);
		return;
	}
	struct slice code = {0}, message = {0};
	slice_of(procpool_value_get(error, "code"), &code);
	slice_of(procpool_value_get(error, "message"), &message);
	write_text(w, code, message);
}
