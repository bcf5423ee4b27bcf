/* SPDX-License-Identifier: MIT */
/*
 * Noticing fork: a number that differs between a process and its children, read without a system
 * call, so that every function can afford to look.
 */
#pragma once

/* Begins to watch. 0 or a negative errno. Thread-safe. */
int fork_watch(void);

/* The number of forks between this process and the one that watched first. */
unsigned fork_generation(void);
