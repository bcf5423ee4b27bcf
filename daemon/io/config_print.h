/* SPDX-License-Identifier: MIT */
/* The settings in force, in the syntax of a configuration file. */
#pragma once

#include <stdio.h>

struct config;

/*
 * Prints what was read as a file that gives the same settings when it is read alone: every key that
 * has a value, and behind it, as a comment, where that comes from. Keys without one are comments.
 */
void config_print(const struct config *config, FILE *stream);
