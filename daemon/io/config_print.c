/* SPDX-License-Identifier: MIT */
#include "io/config_print.h"

#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "io/config_key.h"
#include "io/config_place.h"
#include "io/config_value.h"

#define PLACE_COLUMN 40

/* Whose settings are printed, and how far in. */
struct printer {
	const struct config *config;
	const struct pool_spec *pool; /* NULL: the daemon's */
	const char *indent;
	FILE *stream;
};

/* Within a comment: a name of a file may have a line's end. */
static void print_comment(FILE *stream, const char *text)
{
	for (const char *c = text; *c; c++)
		fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, stream);
	fputc('\n', stream);
}

/* What a pool does not say itself may be what was said of the daemon. */
static void print_place(const struct printer *p, const struct config_key *key)
{
	const char *place = config_place_find(p->config, p->pool, key);
	if (!place && p->pool) {
		const struct config_key *daemons =
			config_key_find(&config_access_keys, key->name) == key
				? key
				: config_key_find(&config_daemon_keys, key->name);
		place = daemons ? config_place_find(p->config, NULL, daemons) : NULL;
		if (place)
			fputs("the daemon's, ", p->stream);
	}
	print_comment(p->stream, place ? place : "default");
}

static void print_key(const struct printer *p, const struct config_key *key, const void *base)
{
	char *text = NULL;
	size_t size;
	FILE *value = open_memstream(&text, &size);
	if (!value)
		return;
	bool is_set = key->type->print(key, base, value);
	if (fclose(value) == 0 && (is_set || key->unset)) {
		int width =
			is_set ? fprintf(p->stream, "%s%s = %s", p->indent, key->name, text)
			       : fprintf(p->stream, "%s# %s: %s", p->indent, key->name, key->unset);
		width += *p->indent ? 7 : 0; /* tabs */
		fprintf(p->stream, "%*s  # ", width < PLACE_COLUMN ? PLACE_COLUMN - width : 0, "");
		print_place(p, key);
	}
	free(text);
}

static void print_keys(const struct printer *p, const struct config_section *section,
		       const void *base)
{
	for (size_t i = 0; i < section->count; i++)
		print_key(p, &section->keys[i], base);
}

static void print_section(const struct printer *outer, const struct config_section *section,
			  const void *base)
{
	struct printer p = *outer;
	p.indent = *outer->indent ? "\t\t" : "\t";
	fprintf(p.stream, "\n%s%s {\n", outer->indent, section->name);
	print_keys(&p, section, base);
	fprintf(p.stream, "%s}\n", outer->indent);
}

static void print_pool(const struct config *config, const struct pool_spec *pool, FILE *stream)
{
	struct printer p = {config, pool, "\t", stream};
	const char *place = config_place_find(config, pool, NULL);
	fputs("\npool ", stream);
	config_print_quoted(stream, pool->name);
	fputs(" {  # ", stream);
	print_comment(stream, place ? place : "default");
	print_keys(&p, &config_pool_keys, pool);
	print_section(&p, &config_access_keys, &pool->access);
	fputs("}\n", stream);
}

void config_print(const struct config *config, FILE *stream)
{
	struct printer p = {config, NULL, "", stream};
	fputs("# The settings of procpoold, and where each comes from. Files:\n", stream);
	for (char **file = config->files; *file; file++) {
		fputs("#   ", stream);
		print_comment(stream, *file);
	}
	if (!config->files[0])
		fputs("#   none\n", stream);
	fputc('\n', stream);
	print_keys(&p, &config_daemon_keys, config);
	print_section(&p, &config_limit_keys, &config->limits);
	print_section(&p, &config_access_keys, &config->access);
	for (size_t i = 0; i < config->pool_count; i++)
		print_pool(config, config->pools[i], stream);
}
