/* SPDX-License-Identifier: MIT */
/* From a member to the struct that it lives in. */
#pragma once

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
