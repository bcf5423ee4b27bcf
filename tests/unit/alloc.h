/* SPDX-License-Identifier: MIT */
/*
 * Watches the tested code's use of the heap, by the linker's --wrap: shows that something allocates
 * nothing, and makes memory run out where a test wants it to.
 */
#pragma once

/* How often malloc, calloc and realloc were called so far. */
unsigned long alloc_calls(void);

/* Lets n more calls succeed and every one after them fail; a negative n: all succeed again. */
void alloc_fail_after(long n);
