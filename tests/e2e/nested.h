/* SPDX-License-Identifier: MIT */
/* The side of the module `nested` that is a client. */
#pragma once

#include <procpool/value.h>
#include <stdbool.h>

/* Calls a method of the daemon at this address on a new connection; the job whose id an
 * apply_async returns is waited for. Appends the value to w; or false, and the code of the error.
 */
bool nested_call(const char *socket, const char *method, struct procpool_value params,
		 struct procpool_writer *w);
