/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are UTF-8 as RFC 3629 has it: no surrogates, nothing overlong. */
bool utf8_valid(const char *data, size_t size);
