/* SPDX-License-Identifier: MIT */
/* What a configuration that is right in itself lacks on this system. It hinders no start, as one
 * broken pool must not; but whoever wrote it wants to know before. */
#pragma once

struct config;
struct config_errors;
struct config_source;

/* Adds a warning for each thing that is sure to go wrong. */
void config_check(const struct config *config, const struct config_source *source,
		  struct config_errors *warnings);

/* Logs them. */
void config_warn(const struct config *config, const struct config_source *source);
