/* SPDX-License-Identifier: MIT */
/* What procpoold can be asked of its configuration without serving it. */
#pragma once

struct config_source;

/* Each prints, and returns the exit status: 1 where the start would refuse it, saying why. */
int inspect_check(const struct config_source *source);
int inspect_print(const struct config_source *source);
