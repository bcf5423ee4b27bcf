/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <procpool.h>
#include <stdio.h>
#include <string.h>

/* Waits without limit for the job whose id the outcome is. */
static enum procpool_code await_job(struct procpool *pp, struct procpool_outcome *out)
{
	struct procpool_writer params;
	procpool_writer_init(&params);
	procpool_write_array(&params, 1);
	procpool_write_value(&params, out->value);
	enum procpool_code code = procpool_request(pp, "wait", procpool_writer_value(&params), out);
	procpool_writer_fini(&params);
	return code;
}

/* The code, or that of the call that failed further down: each level gives it as its type. */
static const char *why(enum procpool_code code, const struct procpool_outcome *out)
{
	static char type[64];
	const char *text;
	size_t size;
	if (code != PROCPOOL_ERR_FUNCTION_FAILED ||
	    !procpool_value_string(procpool_value_get(out->error, "type"), &text, &size))
		return procpool_code_name(code);
	snprintf(type, sizeof(type), "%.*s", (int)size, text);
	return type;
}

bool nested_call(const char *socket, const char *method, struct procpool_value params,
		 struct procpool_writer *w)
{
	struct procpool *pp;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_connect_options options = PROCPOOL_CONNECT_OPTIONS_INIT;
	options.path = socket;
	enum procpool_code code = procpool_connect(&options, &pp, &out);
	if (code == PROCPOOL_OK) {
		code = procpool_request(pp, method, params, &out);
		if (code == PROCPOOL_OK && strcmp(method, "apply_async") == 0)
			code = await_job(pp, &out);
		procpool_close(pp);
	}
	if (code == PROCPOOL_OK)
		procpool_write_value(w, out.value);
	else
		procpool_write_string(w, why(code, &out));
	procpool_outcome_fini(&out);
	return code == PROCPOOL_OK;
}
