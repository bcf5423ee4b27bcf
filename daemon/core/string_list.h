/* SPDX-License-Identifier: MIT */
/* Lists of strings as exec(3) takes them: arrays that end with NULL. Owned ones own their strings,
 * too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A copy, of an empty list where it is NULL; NULL without memory. */
char **string_list_copy(char *const *list);
/* NULL is fine. */
void string_list_free(char **list);

size_t string_list_count(char *const *list);

/* Whether they have the same strings in the same order; NULL is an empty list. */
bool string_list_equal(char *const *a, char *const *b);

/* Takes the string over, also where it fails; a string that is NULL is one that there was no memory
 * for. 0 or -ENOMEM. */
int string_list_append(char ***list, char *string);
