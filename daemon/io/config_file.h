/* SPDX-License-Identifier: MIT */
/* One file of the configuration: read, parsed by what config_key.h knows, and taken over what is
 * there. */
#pragma once

#include "io/config_key.h"

struct config;
struct config_errors;
struct config_text;
struct pool_spec;

/* 0, or a negative errno and what is wrong: -ENOENT where there is no such file, -EINVAL where it
 * is wrong. The config may have got a part of it. */
int config_file_load(struct config *config, const char *path, struct config_errors *errors);

/* A part of a file that is being taken. */
struct config_part {
	struct config *config;
	const struct pool_spec *pool; /* the section is of that, or NULL */
	int ordinal;                  /* the how manieth of the file the pool is; -1: none */
	const struct config_text *text;
};

/* Takes what was said in a section to its struct, and notes the places. 0 or -ENOMEM. */
int config_take_section(const struct config_part *part, const struct config_section *known,
			cfg_t *section, void *base);
