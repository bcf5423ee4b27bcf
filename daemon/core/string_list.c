/* SPDX-License-Identifier: MIT */
#include "core/string_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void string_list_free(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

size_t string_list_count(char *const *list)
{
	size_t count = 0;
	while (list && list[count])
		count++;
	return count;
}

bool string_list_equal(char *const *a, char *const *b)
{
	size_t count = string_list_count(a);
	if (string_list_count(b) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

char **string_list_copy(char *const *list)
{
	size_t count = string_list_count(list);
	char **copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			string_list_free(copy);
			return NULL;
		}
	}
	return copy;
}

int string_list_append(char ***list, char *string)
{
	size_t count = string_list_count(*list);
	char **longer = string ? reallocarray(*list, count + 2, sizeof(*longer)) : NULL;
	if (!longer) {
		free(string);
		return -ENOMEM;
	}
	longer[count] = string;
	longer[count + 1] = NULL;
	*list = longer;
	return 0;
}
