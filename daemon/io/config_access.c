/* SPDX-License-Identifier: MIT */
#include "io/config_access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "io/account.h"
#include "io/config.h"
#include "io/config_value.h"

#define SYSTEM_GROUP "procpool" /* who is in it may call */

/* ---- lists ---- */

/* An entry of a list that was checked; names that are gone since grant nothing. */
static int add(struct access_list *list, const char *text)
{
	bool is_group = text[0] == '@';
	id_t id;
	gid_t group;
	if (strcmp(text, "*") == 0) {
		list->everyone = true;
		return 0;
	}
	text += is_group;
	if (!account_number(text, &id)) {
		int r = is_group ? account_find_group(text, &id, NULL)
				 : account_find_user(text, &id, &group, NULL);
		if (r != ACCOUNT_FOUND)
			return r < 0 ? r : 0;
	}
	return is_group ? access_list_add_group(list, id) : access_list_add_user(list, id);
}

static int take_list(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	struct access_list *list = config_field(key, base);
	access_list_fini(list);
	list->given = true;
	int r = 0;
	for (unsigned i = 0; r == 0 && i < cfg_opt_size(opt); i++)
		r = add(list, cfg_opt_getnstr(opt, i));
	return r;
}

/* By name, where that is sure to be the same one; else by number. */
static void print_one(FILE *stream, bool is_group, id_t id)
{
	char number[32], text[300], *name = NULL;
	id_t again = id, group;
	snprintf(number, sizeof(number), "%u", id);
	int r = is_group ? account_find_group(number, &again, &name)
			 : account_find_user(number, &again, &group, &name);
	const char *shown = number;
	if (r == ACCOUNT_FOUND && !account_number(name, &again) && name[0] != '@' &&
	    strcmp(name, "*") != 0 && strlen(name) < sizeof(text) - 1)
		shown = name;
	snprintf(text, sizeof(text), "%s%s", is_group ? "@" : "", shown);
	config_print_quoted(stream, text);
	free(name);
}

static bool print_list(const struct config_key *key, const void *base, FILE *stream)
{
	const struct access_list *list = config_const_field(key, base);
	size_t count = 0;
	if (list->everyone) {
		config_print_separator(stream, count++);
		config_print_quoted(stream, "*");
	}
	for (size_t i = 0; i < list->user_count; i++) {
		config_print_separator(stream, count++);
		print_one(stream, false, list->users[i]);
	}
	for (size_t i = 0; i < list->group_count; i++) {
		config_print_separator(stream, count++);
		print_one(stream, true, list->groups[i]);
	}
	fputs(count > 0 ? "}" : "{}", stream);
	return true;
}

const struct config_type config_access_list = {CFGT_STR, true, config_parse_string, take_list,
					       print_list};

/* ---- checks ---- */

/* kind: "user" or "group". r: what the look-up returned. */
static void complain(cfg_t *section, const cfg_opt_t *opt, const char *kind, const char *name,
		     int r)
{
	if (r < 0)
		cfg_error(section, "the system cannot say who '%s' is: %s", name, strerror(-r));
	else
		cfg_error(section,
			  "%s has '%s', and the system has no such %s: name another, or make it "
			  "(%sadd)",
			  opt->name, name, kind, kind);
}

void config_check_user(cfg_t *section, cfg_opt_t *opt, const char *name)
{
	uid_t uid;
	gid_t gid;
	int r = account_find_user(name, &uid, &gid, NULL);
	if (r == ACCOUNT_UNKNOWN && opt->flags & CFGF_LIST &&
	    account_find_group(name, &gid, NULL) == ACCOUNT_FOUND)
		cfg_error(section,
			  "%s has '%s', and the system has a group but no user of that name: write "
			  "\"@%s\" for the group",
			  opt->name, name, name);
	else if (r != ACCOUNT_FOUND)
		complain(section, opt, "user", name, r);
}

void config_check_group(cfg_t *section, cfg_opt_t *opt, const char *name)
{
	gid_t gid;
	int r = account_find_group(name, &gid, NULL);
	if (r != ACCOUNT_FOUND)
		complain(section, opt, "group", name, r);
}

void config_check_accounts(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	id_t id;
	const char *name = value + (value[0] == '@');
	if (name[0] == '\0')
		cfg_error(section,
			  "%s has '%s', and must have users (\"alice\"), groups (\"@images\"), or "
			  "\"*\" for everybody",
			  opt->name, value);
	else if (strcmp(value, "*") == 0 || account_number(name, &id))
		return;
	else if (value[0] == '@')
		config_check_group(section, opt, name);
	else
		config_check_user(section, opt, name);
}

int config_settle_access(struct config *config, const struct config_source *source)
{
	int r = 0;
	if (source->is_system && !config->access.call.given) {
		config->access.call.given = true;
		r = add(&config->access.call, "@" SYSTEM_GROUP);
	}
	for (size_t i = 0; r == 0 && i < config->pool_count; i++)
		r = access_complete(&config->pools[i]->access, &config->access);
	return r;
}
