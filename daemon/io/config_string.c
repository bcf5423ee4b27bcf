/* SPDX-License-Identifier: MIT */
/* Strings and lists of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/process_settings.h"
#include "core/string_list.h"
#include "io/config_value.h"

/* ---- kinds ---- */

void config_print_quoted(FILE *stream, const char *string)
{
	fputc('"', stream);
	for (const char *c = string; *c; c++) {
		if (strchr("\"\\$", *c))
			fprintf(stream, "\\%c", *c);
		else if ((unsigned char)*c < ' ' || *c == 0x7f)
			fprintf(stream, "\\x%02x", (unsigned char)*c);
		else
			fputc(*c, stream);
	}
	fputc('"', stream);
}

void config_print_separator(FILE *stream, size_t n)
{
	fputs(n == 0 ? "{" : ", ", stream);
}

int config_parse_string(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	const struct config_key *key = config_key_of(section, opt);
	if (key->check)
		key->check(section, opt, value);
	*(const char **)result = value;
	return 0;
}

static int take_string(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	char **string = config_field(key, base);
	char *copy = strdup(cfg_opt_getnstr(opt, 0));
	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

static bool print_string(const struct config_key *key, const void *base, FILE *stream)
{
	char *const *string = config_const_field(key, base);
	if (*string)
		config_print_quoted(stream, *string);
	return *string;
}

const struct config_type config_string = {CFGT_STR, false, config_parse_string, take_string,
					  print_string};

int config_take_strings(const struct config_key *key, void *base, cfg_opt_t *opt)
{
	char ***list = config_field(key, base);
	if (!*list && cfg_opt_size(opt) == 0)
		return 0;
	char **copy = string_list_copy(NULL);
	int r = copy ? 0 : -ENOMEM;
	for (unsigned i = 0; r == 0 && i < cfg_opt_size(opt); i++)
		r = string_list_append(&copy, strdup(cfg_opt_getnstr(opt, i)));
	if (r < 0) {
		string_list_free(copy);
		return r;
	}
	string_list_free(*list);
	*list = copy;
	return 0;
}

bool config_print_strings(const struct config_key *key, const void *base, FILE *stream)
{
	char **const *list = config_const_field(key, base);
	size_t count = string_list_count(*list);
	for (size_t i = 0; i < count; i++) {
		config_print_separator(stream, i);
		config_print_quoted(stream, (*list)[i]);
	}
	if (count > 0)
		fputc('}', stream);
	return count > 0;
}

const struct config_type config_strings = {CFGT_STR, true, config_parse_string, config_take_strings,
					   config_print_strings};

/* ---- checks ---- */

/* How many strings the option has before the one that is being read. */
static unsigned count_before(cfg_opt_t *opt)
{
	return opt->flags & CFGF_LIST ? cfg_opt_size(opt) - 1 : 0;
}

void config_check_not_empty(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	if (value[0] == '\0')
		cfg_error(section, "%s is empty: name something, or remove this line", opt->name);
}

void config_check_names(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	config_check_not_empty(section, opt, value);
	for (unsigned i = 0; i < count_before(opt); i++) {
		if (strcmp(cfg_opt_getnstr(opt, i), value) == 0) {
			cfg_error(section, "%s has '%s' twice: remove one", opt->name, value);
			break;
		}
	}
}

void config_check_absolute(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	if (value[0] != '/')
		cfg_error(section, "%s is '%s', and must be an absolute path", opt->name, value);
}

void config_check_socket(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	const int size_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	config_check_not_empty(section, opt, value);
	if (strlen(value) > (size_t)size_max)
		cfg_error(section, "%s is '%s', and a socket's path has at most %d bytes",
			  opt->name, value, size_max);
}

void config_check_variable(cfg_t *section, cfg_opt_t *opt, const char *value)
{
	const char *end = strchr(value, '=');
	unsigned before = count_before(opt);
	if (!end || end == value) {
		cfg_error(section,
			  "environment has '%s', and must have strings like \"NAME=value\"", value);
		return;
	}
	size_t name_size = (size_t)(end - value);
	for (unsigned i = 0; i < before; i++) {
		if (strncmp(cfg_opt_getnstr(opt, i), value, name_size + 1) == 0) {
			cfg_error(section, "environment has %.*s twice: remove one", (int)name_size,
				  value);
			break;
		}
	}
	if (before == PROCESS_VARIABLES_MAX)
		cfg_error(section, "environment has more than %d variables", PROCESS_VARIABLES_MAX);
}
