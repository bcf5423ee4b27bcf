/* SPDX-License-Identifier: MIT */
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

#include "code.h"

void outcome_clear(struct procpool_outcome *out)
{
	*out = (struct procpool_outcome){
		.message = "", .index = -1, .memory = out->memory, .capacity = out->capacity};
}

void procpool_outcome_fini(struct procpool_outcome *out)
{
	free(out->memory);
	*out = (struct procpool_outcome)PROCPOOL_OUTCOME_INIT;
}

/* At least size bytes of own memory, whose old content is lost; NULL without memory. */
static char *memory_for(struct procpool_outcome *out, size_t size)
{
	if (out->capacity < size) {
		free(out->memory);
		out->memory = malloc(size);
		out->capacity = out->memory ? size : 0;
	}
	return out->memory;
}

/* Copies a text that need not be NUL-terminated. Without memory the code's text serves. */
static void set_message(struct procpool_outcome *out, const char *text, size_t size)
{
	char *copy = memory_for(out, size + 1);
	if (!copy) {
		out->message = procpool_code_text(out->code);
		return;
	}
	memcpy(copy, text, size);
	copy[size] = '\0';
	out->message = copy;
}

enum procpool_code outcome_fail(struct procpool_outcome *out, enum procpool_code code, int os_error,
				const char *message)
{
	if (!out)
		return code;
	outcome_clear(out);
	out->code = code;
	out->os_error = os_error;
	if (message)
		set_message(out, message, strlen(message));
	else
		out->message = procpool_code_text(code);
	return code;
}

/* The code, index and job of an error; its message's place, where it has one. */
static void read_error(struct procpool_outcome *out, struct procpool_value error,
		       const char **ret_text, size_t *ret_size)
{
	out->error = error;
	out->code = code_from_value(procpool_value_get(error, "code"));
	procpool_value_int(procpool_value_get(error, "index"), &out->index);
	procpool_value_uint(procpool_value_get(error, "job"), &out->job);
	out->message = procpool_code_text(out->code);
	*ret_size = 0;
	/* After hello with `errors: "text"` an error is a string. */
	if (!procpool_value_string(procpool_value_get(error, "message"), ret_text, ret_size))
		procpool_value_string(error, ret_text, ret_size);
}

enum procpool_code outcome_borrow(struct procpool_outcome *out, struct procpool_value error,
				  struct procpool_value value)
{
	outcome_clear(out);
	if (error.size == 0 || procpool_value_type(error) == PROCPOOL_NIL) {
		out->value = value;
		return PROCPOOL_OK;
	}
	const char *text;
	size_t size;
	read_error(out, error, &text, &size);
	if (size > 0)
		set_message(out, text, size);
	return out->code;
}

enum procpool_code procpool_outcome_of_pair(struct procpool_value pair,
					    struct procpool_outcome *ret)
{
	struct procpool_iter it = procpool_iter(pair);
	struct procpool_value error, value;
	*ret = (struct procpool_outcome)PROCPOOL_OUTCOME_INIT;
	if (procpool_value_type(pair) != PROCPOOL_ARRAY || procpool_value_count(pair) != 2 ||
	    !procpool_iter_next_pair(&it, &error, &value))
		return outcome_fail(ret, PROCPOOL_ERR_INVALID, 0, NULL);
	if (procpool_value_type(error) == PROCPOOL_NIL) {
		ret->value = value;
	} else {
		const char *text;
		size_t size;
		read_error(ret, error, &text, &size);
	}
	return ret->code;
}

/* Copies a value to *p and moves it on. */
static struct procpool_value take_copy(char **p, struct procpool_value value)
{
	struct procpool_value copy = {(const uint8_t *)*p, value.size};
	if (value.size == 0)
		return (struct procpool_value){0};
	memcpy(*p, value.data, value.size);
	*p += value.size;
	return copy;
}

enum procpool_code procpool_outcome_copy(struct procpool_outcome *out,
					 const struct procpool_outcome *from)
{
	size_t text = strlen(from->message) + 1;
	char *p = memory_for(out, from->value.size + from->error.size + text);
	outcome_clear(out);
	if (!p)
		return outcome_fail(out, PROCPOOL_ERR_NO_MEMORY, 0, NULL);
	out->code = from->code;
	out->os_error = from->os_error;
	out->index = from->index;
	out->job = from->job;
	out->value = take_copy(&p, from->value);
	out->error = take_copy(&p, from->error);
	out->message = memcpy(p, from->message, text);
	return PROCPOOL_OK;
}
