/* SPDX-License-Identifier: MIT */
/*
 * The text of a configuration file, read as a whole and looked through before libconfuse parses it,
 * because that
 *
 * - ends the program where reading fails, and at a NUL takes what comes before for the whole file;
 * - takes a string, a comment or a section that does not end for one that ends with the file, and
 *   so leaves out what a stray quote or brace has swallowed;
 * - takes names with a | for paths, as of keys in sections that the text is not in;
 * - passes over signs that it does not know, such as the * that somebody forgot to quote;
 * - allows comments only where a key may begin: here they become spaces;
 * - keeps no lines of keys: here each key's is marked.
 */
#pragma once

#include <stddef.h>

struct config_errors;

struct config_mark;

struct config_text {
	const char *path; /* borrowed */
	char *bytes;      /* owned, ends with a NUL */
	struct config_mark *marks;
	size_t mark_count;
};

/*
 * Reads a file. 0, or a negative errno and a complaint: -ENOENT where there is none, -EINVAL where
 * it is no text or not well-formed. config_text_fini() in any case.
 */
int config_text_read(struct config_text *text, const char *path, struct config_errors *errors);
void config_text_fini(struct config_text *text);

/*
 * The line in which a key was said last: of a pool's section (the how manieth in the file, from 0;
 * -1: of none), in a section within ("limits"; "" where it is in none). The key "" stands for the
 * beginning of the pool's section. 0: nowhere.
 */
unsigned config_text_line(const struct config_text *text, int pool, const char *section,
			  const char *key);
