/* SPDX-License-Identifier: MIT */
/*
 * What of a worker's bytes can be shown to people: UTF-8 without characters that control where and
 * in which direction text goes on. All else is shown as \xNN, so that it neither ends a line nor
 * reaches a terminal as a command. A backslash stays one: this is for reading, not for getting the
 * bytes back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_CUT         (-1)
#define TEXT_ESCAPE_SIZE 4U /* of \xNN */

/*
 * The size of the character with which the bytes (size > 0) begin, tabs among them. 0: the first
 * byte does not begin one that can be shown. TEXT_CUT: with more bytes, it might.
 */
int text_character(const uint8_t *data, size_t size);

/* Writes \xNN, without an end. */
void text_escape(char out[TEXT_ESCAPE_SIZE], uint8_t byte);

/* Writes the bytes so that they can be shown, with line ends as they are, to out (of at least
 * TEXT_ESCAPE_SIZE * size bytes); returns how many. */
size_t text_write(char *out, const uint8_t *data, size_t size);

/* Writes the bytes so that they can be shown within one line, line ends as \x0a and tabs as spaces,
 * to out, which has room for out_size bytes: as many as have it, in *ret_size. Whether that is all.
 */
bool text_line(char *out, size_t out_size, const void *data, size_t size, size_t *ret_size);
