/* SPDX-License-Identifier: MIT */
#include "proto/problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_set(struct problem *problem, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(problem->text, sizeof(problem->text), format, args);
	va_end(args);
	return false;
}

struct quote problem_quote(struct slice slice)
{
	struct quote quote;
	size_t n = slice.size < PROBLEM_QUOTE_MAX ? slice.size : PROBLEM_QUOTE_MAX;
	for (size_t i = 0; i < n; i++)
		quote.text[i] = slice.data[i] >= ' ' && slice.data[i] <= '~' ? slice.data[i] : '?';
	strcpy(quote.text + n, slice.size > n ? "..." : "");
	return quote;
}
