/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target checks one input of any bytes and aborts where something that must hold does not.
 * It is run by libFuzzer, where clang builds it, and by driver.c everywhere.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
