/* SPDX-License-Identifier: MIT */
/* Users and groups in the configuration: who may do what, and as whom pools run. */
#pragma once

#include "io/config_key.h"

struct config;
struct config_errors;
struct config_source;

/* A struct access_list: "alice", "1000", "@images", "@27", "*". */
extern const struct config_type config_access_list;

void config_check_accounts(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_user(cfg_t *section, cfg_opt_t *opt, const char *value);
void config_check_group(cfg_t *section, cfg_opt_t *opt, const char *value);

/* What follows for the daemon and each pool once everything was read: defaults, and what
 * contradicts itself. 0 or -ENOMEM. */
int config_settle_access(struct config *config, const struct config_source *source);
int config_settle_users(struct config *config, const struct config_source *source,
			struct config_errors *errors);
