/* SPDX-License-Identifier: MIT */
#include "core/hash.h"

const char hash_anchor;
