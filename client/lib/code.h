/* SPDX-License-Identifier: MIT */
/* The names and texts of enum procpool_code, and how it follows from a name on the wire. */
#pragma once

#include "procpool.h"

/* The code of an error's `code`; PROCPOOL_ERR_OTHER for an unknown one or no string. */
enum procpool_code code_from_value(struct procpool_value name);
