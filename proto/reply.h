/* SPDX-License-Identifier: MIT */
/*
 * Writing messages to a client: responses, pushes, and the error values in them. What begins with
 * _begin leaves the message open; the comment says which values the caller must write after it.
 * Failures stay in the writer, as always.
 *
 * An error value is a map {code, message, ...}. A session that said errors: "text" in hello gets it
 * as one string, "code: message" (PROTOCOL.md, "hello").
 */
#pragma once

#include "proto/error.h"
#include "procpool/value.h"

enum error_form {
	ERROR_FORM_MAP,
	ERROR_FORM_TEXT,
};

/* [1, msgid, nil, -- then one value. */
void reply_begin_result(struct procpool_writer *w, uint32_t msgid);

/* [1, msgid, nil, value]; nil for a value of size 0. */
void reply_result(struct procpool_writer *w, uint32_t msgid, struct procpool_value value);

/* [1, msgid, {code, message}, nil] */
void reply_error(struct procpool_writer *w, uint32_t msgid, enum error_form form,
		 enum error_code code, const char *message);

/* [1, msgid, error, nil] of an error map that exists already. */
void reply_error_value(struct procpool_writer *w, uint32_t msgid, enum error_form form,
		       struct procpool_value error);

/* [2, method, [ -- then `params` values. */
void push_begin(struct procpool_writer *w, const char *method, size_t params);

/* {code, message, -- then `more` pairs. */
void error_begin(struct procpool_writer *w, enum error_code code, const char *message, size_t more);

/* An integer to be put into an error map. */
struct error_number {
	const char *key;
	int64_t value;
};

/* A copy of an error map in which these integers replace or join what it has. */
void error_copy(struct procpool_writer *w, struct procpool_value error,
		const struct error_number *numbers, size_t count);

/* An error map in the form that a session wants. Nil passes as it is. */
void error_write(struct procpool_writer *w, enum error_form form, struct procpool_value error);
