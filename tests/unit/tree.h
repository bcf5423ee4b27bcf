/* SPDX-License-Identifier: MIT */
/* Random MessagePack, for tests of what must hold for every message. */
#pragma once

#include <stdint.h>

#include "procpool/value.h"

/*
 * Writes one random value of at most `depth` nested containers: all types, all encodings of them,
 * also those that are longer than need be.
 */
void tree_write(struct procpool_writer *w, uint64_t *random, unsigned depth);
