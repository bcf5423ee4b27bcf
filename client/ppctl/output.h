/* SPDX-License-Identifier: MIT */
/*
 * Standard output: what is printed is kept until the descriptor takes it, so that a slow reader
 * never keeps ppctl from reading what the daemon sends. The descriptor's flags are left alone,
 * others may share it; instead no more is written at a time than a writable pipe takes for certain.
 */
#pragma once

#include <stdbool.h>

#include "text.h"

enum output_status {
	OUTPUT_OK,
	OUTPUT_CLOSED, /* nobody reads any more */
	OUTPUT_ERROR,  /* error says why */
};

struct output {
	int fd;
	int error;           /* errno */
	size_t step;         /* bytes written at a time */
	size_t written;      /* bytes of pending that are out */
	struct text pending; /* print here */
};

void output_init(struct output *output, int fd);
void output_fini(struct output *output);
/* Bytes not yet written. */
size_t output_size(const struct output *output);
/* Writes once; for when the descriptor is writable. */
enum output_status output_write(struct output *output);
/* Writes everything, waiting where it must. */
enum output_status output_drain(struct output *output);
