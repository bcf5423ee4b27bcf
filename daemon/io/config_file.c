/* SPDX-License-Identifier: MIT */
#include "io/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "io/config_errors.h"
#include "io/config_place.h"
#include "io/config_pool.h"
#include "io/config_text.h"

#define SECTIONS 3 /* beside the keys of a section, and the end of the list, there is room for */

/* ---- complaints of libconfuse ---- */

/*
 * What is being parsed. libconfuse hands its error function nothing of the caller's, so that this
 * must be found in a variable, which is set only meanwhile.
 */
struct parsing {
	const struct config_text *text;
	struct config_errors *errors;
};

static _Thread_local const struct parsing *parsing;

/*
 * Whether one mistake makes one name of the other: a sign too many, too few or another, or two
 * exchanged; capitals do not count.
 */
static bool is_similar(const char *a, const char *b)
{
	while (*a && tolower((unsigned char)*a) == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return strlen(a) + strlen(b) <= 1;
	return strcasecmp(a + 1, b) == 0 || strcasecmp(a, b + 1) == 0 ||
	       strcasecmp(a + 1, b + 1) == 0 ||
	       (a[0] == b[1] && a[1] == b[0] && strcasecmp(a + 2, b + 2) == 0);
}

/* In which section else there is a key of that name; NULL: in none. */
static const char *belongs_in(const char *name)
{
	static const struct {
		const struct config_section *section;
		const char *written;
	} all[] = {
		{&config_pool_keys, "pool \"NAME\" { ... }"},
		{&config_limit_keys, "limits { ... }"},
		{&config_access_keys, "access { ... }"},
		{&config_daemon_keys, "no section"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (config_key_find(all[i].section, name))
			return all[i].written;
	return NULL;
}

/* What it is likely to have been meant to be; nothing where that is not clear. */
static void guess(FILE *stream, const cfg_t *section, const char *name)
{
	const char *elsewhere = belongs_in(name);
	if (elsewhere)
		fprintf(stream, "; it belongs in %s", elsewhere);
	else if (name[0] == ';')
		fputs("; no ; stands behind settings", stream);
	else if (strcmp(name, "include") == 0)
		fputs("; further files are read where they lie in conf.d beside procpoold.conf",
		      stream);
	for (cfg_opt_t *opt = section->opts; !elsewhere && opt->name; opt++)
		if (is_similar(name, opt->name))
			fprintf(stream, "; did you mean %s?", opt->name);
}

/* "; did you mean a?", or else "; known here are a, b, c". */
static char *suggest(const cfg_t *section, const char *name)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	if (!stream)
		return NULL;
	guess(stream, section, name);
	if (fflush(stream) == 0 && size == 0)
		for (cfg_opt_t *opt = section->opts; opt->name; opt++)
			fprintf(stream, "%s%s", opt == section->opts ? "; known here are " : ", ",
				opt->name);
	return fclose(stream) == 0 ? text : NULL;
}

/* Where the first pool of that name begins. */
static char *name_first(cfg_t *file, const char *name)
{
	char *text = NULL;
	for (unsigned i = 0; i < cfg_size(file, "pool"); i++) {
		unsigned line = config_text_line(parsing->text, (int)i, "", "");
		if (strcmp(cfg_title(cfg_getnsec(file, "pool", i)), name) == 0)
			return asprintf(&text, ": it begins in line %u, too: make it one section",
					line) < 0
				       ? NULL
				       : text;
	}
	return NULL;
}

/* What to write instead, of what libconfuse says itself; to be freed; or NULL. */
static char *advise(cfg_t *section, const char *format, va_list args)
{
	static const struct {
		const char *beginning, *advice;
	} all[] = {
		{"missing equal sign", ": write NAME = VALUE"},
		{"unexpected token", ": a string with anything but letters, digits and a few signs "
				     "needs quotes, a list braces"},
		{"premature end of file", ": its last line says only half"},
		{"unexpected closing brace", ": remove it, or look for a { that is missing before"},
		{"missing title", ": write pool \"NAME\" { ... }"},
		{"missing opening brace", ": write { behind it"},
		{"attempt to append", ": write = instead of +="},
	};
	if (strncmp(format, "no such option", 14) == 0)
		return suggest(section, va_arg(args, const char *));
	if (strncmp(format, "found duplicate title", 21) == 0)
		return name_first(section, va_arg(args, const char *));
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strncmp(format, all[i].beginning, strlen(all[i].beginning)) == 0)
			return strdup(all[i].advice);
	return NULL;
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *section, const char *format,
							   va_list args)
{
	va_list again;
	char *text;
	va_copy(again, args);
	if (vasprintf(&text, format, args) >= 0) {
		char *advice = advise(section, format, again);
		config_errors_add(parsing->errors, parsing->text->path, (unsigned)section->line,
				  "%s%s", text, advice ? advice : "");
		free(advice);
		free(text);
	}
	va_end(again);
}

/* ---- the parser ---- */

/* The options of a section, followed by its sections and the end; NULL without memory. */
static cfg_opt_t *make_options(const struct config_section *known)
{
	cfg_opt_t *options = calloc(known->count + SECTIONS + 1, sizeof(*options));
	for (size_t i = 0; options && i < known->count; i++) {
		const struct config_key *key = &known->keys[i];
		options[i] = (cfg_opt_t){
			.name = key->name,
			.type = key->type->parsed_as,
			.flags = key->type->is_list ? CFGF_LIST : CFGF_NODEFAULT,
			.parsecb = key->type->parse,
		};
	}
	return options;
}

static void add_section(cfg_opt_t *options, const char *name, cfg_opt_t *within, cfg_flag_t flags)
{
	while (options->name)
		options++;
	*options = (cfg_opt_t)CFG_SEC(name, within, flags);
}

/* The parser for a file, NULL without memory. */
static cfg_t *make_parser(void)
{
	cfg_opt_t *top = make_options(&config_daemon_keys), *pool = make_options(&config_pool_keys);
	cfg_opt_t *limits = make_options(&config_limit_keys);
	cfg_opt_t *access = make_options(&config_access_keys);
	cfg_t *file = NULL;
	if (top && pool && limits && access) {
		add_section(pool, "access", access, CFGF_NONE);
		add_section(top, "limits", limits, CFGF_NONE);
		add_section(top, "access", access, CFGF_NONE);
		add_section(top, "pool", pool, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
		file = cfg_init(top, CFGF_NONE); /* copies it all */
	}
	free(access);
	free(limits);
	free(pool);
	free(top);
	if (file)
		cfg_set_error_function(file, on_error);
	return file;
}

/* ---- from what was parsed to what is kept ---- */

int config_take_section(const struct config_part *part, const struct config_section *known,
			cfg_t *section, void *base)
{
	const char *within =
		known == &config_limit_keys || known == &config_access_keys ? known->name : "";
	int r = 0;
	for (size_t i = 0; r == 0 && i < known->count; i++) {
		const struct config_key *key = &known->keys[i];
		cfg_opt_t *opt = cfg_getopt(section, key->name);
		if (!(opt->flags & CFGF_MODIFIED))
			continue;
		r = key->type->take(key, base, opt);
		if (r == 0)
			r = config_place_add(
				part->config, part->pool, key, part->text->path,
				config_text_line(part->text, part->ordinal, within, key->name));
	}
	return r;
}

static int take_file(struct config *config, cfg_t *file, const struct config_text *text)
{
	struct config_part part = {config, NULL, -1, text};
	int r = config_take_section(&part, &config_daemon_keys, file, config);
	if (r == 0)
		r = config_take_section(&part, &config_limit_keys, cfg_getsec(file, "limits"),
					&config->limits);
	if (r == 0)
		r = config_take_section(&part, &config_access_keys, cfg_getsec(file, "access"),
					&config->access);
	for (unsigned i = 0; r == 0 && i < cfg_size(file, "pool"); i++)
		r = config_pool_take(config, cfg_getnsec(file, "pool", i), (int)i, text);
	return r;
}

/* How far parsing came: a section knows that of itself only. */
static int farthest_line(const cfg_t *section)
{
	int line = section->line;
	for (cfg_opt_t *opt = section->opts; opt->name; opt++) {
		for (unsigned i = 0; opt->type == CFGT_SEC && i < cfg_opt_size(opt); i++) {
			int within = farthest_line(cfg_opt_getnsec(opt, i));
			line = within > line ? within : line;
		}
	}
	return line;
}

static int parse(struct config *config, const struct config_text *text,
		 struct config_errors *errors)
{
	const struct parsing now = {text, errors};
	unsigned before = errors->count;
	cfg_t *file = make_parser();
	if (!file)
		return -ENOMEM;
	parsing = &now;
	int r = cfg_parse_buf(file, text->bytes) == CFG_SUCCESS ? 0 : -EINVAL;
	if (r < 0 && errors->count == before) /* of a key without a name it says nothing */
		config_errors_add(errors, text->path, (unsigned)farthest_line(file),
				  "this is not understood: write NAME = VALUE, or NAME { ... }");
	if (r == 0 && !config_pool_count_check(config, file, text, errors))
		r = -EINVAL;
	for (unsigned i = 0; r == 0 && i < cfg_size(file, "pool"); i++)
		config_pool_check(config, cfg_getnsec(file, "pool", i), (int)i, text, errors);
	if (errors->count > before)
		r = -EINVAL;
	if (r == 0)
		r = take_file(config, file, text);
	cfg_free(file);
	parsing = NULL;
	return r;
}

int config_file_load(struct config *config, const char *path, struct config_errors *errors)
{
	struct config_text text;
	int r = config_text_read(&text, path, errors);
	if (r == 0)
		r = config_add_file(config, path);
	if (r == 0)
		r = parse(config, &text, errors);
	config_text_fini(&text);
	return r;
}
