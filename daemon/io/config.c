/* SPDX-License-Identifier: MIT */
#include "io/config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/string_list.h"
#include "io/config_pool.h"
#include "io/config_value.h"

#define FILE_BYTES_MAX (1U << 20)

/* ---- building and freeing ---- */

void config_init(struct config *config)
{
	*config = (struct config){
		.log_level = LOG_LEVEL_INFO,
		.grace_seconds = CONFIG_GRACE_SECONDS,
		.limits = LIMITS_DEFAULT,
	};
}

void config_fini(struct config *config)
{
	free(config->socket);
	access_fini(&config->access);
	for (size_t i = 0; i < config->pool_count; i++)
		pool_spec_unref(config->pools[i]);
	free(config->pools);
	config_init(config);
}

struct pool_spec *config_add_pool(struct config *config, const char *name, char *const *modules)
{
	struct pool_spec **pools =
		reallocarray(config->pools, config->pool_count + 1, sizeof(*pools));
	if (!pools)
		return NULL;
	config->pools = pools;
	struct pool_spec *pool = pool_spec_create(name);
	char **copy = pool ? string_list_copy(modules) : NULL;
	if (!copy) {
		pool_spec_unref(pool);
		return NULL;
	}
	string_list_free(pool->modules);
	pool->modules = copy;
	pools[config->pool_count++] = pool;
	return pool;
}

struct pool_spec *config_find_pool(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (strcmp(config->pools[i]->name, name) == 0)
			return config->pools[i];
	return NULL;
}

/* ---- parsing ---- */

/*
 * What libconfuse finds wrong: the first complaint. It hands its error function nothing of the
 * caller's, so that the place must be found in a variable, which is set only while a file is being
 * parsed.
 */
struct complaint {
	const char *path;
	char *text;
};

static _Thread_local struct complaint *complaint;

/* "known here are a, b, c" */
static char *list_known(cfg_t *section)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	if (!stream)
		return NULL;
	for (cfg_opt_t *opt = section->opts; opt->name; opt++)
		if (strcmp(opt->name, "__unknown") != 0)
			fprintf(stream, "%s%s", opt == section->opts ? "; known here are " : ", ",
				opt->name);
	return fclose(stream) == 0 ? text : NULL;
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *section, const char *format,
							   va_list args)
{
	char *text = NULL, *known = NULL;
	if (complaint->text || vasprintf(&text, format, args) < 0)
		return;
	if (strncmp(text, "no such option", 14) == 0)
		known = list_known(section);
	if (asprintf(&complaint->text, "%s:%d: %s%s", complaint->path, section->line, text,
		     known ? known : "") < 0)
		complaint->text = NULL;
	free(known);
	free(text);
}

/* A limit that is part of the protocol. */
static int refuse_fixed(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	(void)value, (void)result;
	cfg_error(section, "%s is fixed and cannot be set: remove this line", opt->name);
	return -1;
}

static int set_level(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	enum log_level level;
	if (!log_level_parse(value, &level)) {
		cfg_error(section, "%s is '%s', and must be error, warning, info or debug",
			  opt->name, value);
		return -1;
	}
	*(long *)result = level;
	return 0;
}

/* ---- from what was parsed to what is kept ---- */

static int take_pool(struct config *config, cfg_t *section)
{
	const char *name = cfg_title(section);
	if (config_find_pool(config, name)) {
		cfg_error(section,
			  "the pool '%s' is in a file that was read before, too: it can be in one "
			  "only",
			  name);
		return -EINVAL;
	}
	struct pool_spec *spec = config_add_pool(config, name, NULL);
	return spec ? config_pool_take(spec, section) : -ENOMEM;
}

static int take_settings(struct config *config, cfg_t *file)
{
	cfg_t *limits = cfg_getsec(file, "limits");
	config->workers = (unsigned)cfg_getint(file, "workers");
	config->log_level = (enum log_level)cfg_getint(file, "log_level");
	config->grace_seconds = (unsigned)cfg_getint(file, "grace_seconds");
#define X(name, value, text) config->limits.name = (uint64_t)cfg_getint(limits, #name);
	PROTO_LIMITS(X)
#undef X
	int r = cfg_getstr(file, "socket") ? config_take_string(&config->socket, file, "socket")
					   : 0;
	for (unsigned i = 0; r == 0 && i < cfg_size(file, "pool"); i++)
		r = take_pool(config, cfg_getnsec(file, "pool", i));
	return r;
}

/* ---- the file ---- */

/* The whole file as a string: libconfuse's scanner ends the program where reading fails. */
static int read_file(const char *path, char **ret, char **ret_error)
{
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : 0;
	if (r == 0) {
		text = malloc(FILE_BYTES_MAX + 1);
		r = text ? 0 : -ENOMEM;
	}
	size_t size = 0;
	while (r == 0) {
		ssize_t n = read(fd, text + size, FILE_BYTES_MAX + 1 - size);
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		size += (size_t)n;
		if (size > FILE_BYTES_MAX)
			r = -EFBIG;
	}
	if (fd >= 0)
		close(fd);
	if (r == 0) {
		text[size] = '\0';
		if (strlen(text) == size) {
			*ret = text;
			return 0;
		}
		r = -EINVAL;
	}
	free(text);
	if (asprintf(ret_error, "cannot read the configuration %s: %s", path,
		     r == -EINVAL ? "it is not a text file" : strerror(-r)) < 0)
		*ret_error = NULL;
	return r;
}

/* The parser for a file of these options, NULL without memory. */
static cfg_t *make_parser(cfg_opt_t *options)
{
	cfg_t *file = cfg_init(options, CFGF_NONE);
	if (!file)
		return NULL;
	cfg_set_validate_func(file, "socket", config_check_not_empty);
	config_pool_add_checks(file);
	cfg_set_error_function(file, on_error);
	return file;
}

/* 0, or -EINVAL and the complaint, or -ENOMEM. */
static int run_parser(cfg_t *file, const char *path, const char *text, char **ret_error)
{
	struct complaint first = {.path = path};
	complaint = &first;
	int r = cfg_parse_buf(file, text) == CFG_SUCCESS ? 0 : -EINVAL;
	complaint = NULL;
	*ret_error = first.text;
	return r;
}

/*
 * libconfuse lets a file end inside a section. Whether one that it has accepted does shows when a
 * closing brace is added: only there it is welcome.
 */
static int check_closed(cfg_opt_t *options, const char *path, const char *text, char **ret_error)
{
	cfg_t *file = make_parser(options);
	char *closed;
	if (!file || asprintf(&closed, "%s\n}\n", text) < 0) {
		cfg_free(file);
		return -ENOMEM;
	}
	int lines = 1;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	int r = run_parser(file, path, closed, ret_error) < 0 ? 0 : -EINVAL;
	free(*ret_error);
	*ret_error = NULL;
	if (r < 0 &&
	    asprintf(ret_error, "%s:%d: a section is not closed: a } is missing", path, lines) < 0)
		*ret_error = NULL;
	free(closed);
	cfg_free(file);
	return r;
}

/* A part of the protocol. */
static bool is_fixed(const char *limit)
{
	return strstr(limit, "depth") || strcmp(limit, "progress_bytes") == 0;
}

static int parse(struct config *config, const char *path, const char *text, char **ret_error)
{
#define X(name, value, text)                                                                       \
	CFG_INT_CB(#name, (long)config->limits.name, CFGF_NONE,                                    \
		   is_fixed(#name) ? refuse_fixed : config_set_number),
	cfg_opt_t limits[] = {PROTO_LIMITS(X) CFG_END()};
#undef X
	cfg_opt_t top[] = {
		CFG_STR("socket", NULL, CFGF_NONE),
		CFG_INT_CB("workers", (long)config->workers, CFGF_NONE, config_set_number),
		CFG_INT_CB("log_level", (long)config->log_level, CFGF_NONE, set_level),
		CFG_INT_CB("grace_seconds", (long)config->grace_seconds, CFGF_NONE,
			   config_set_number),
		CFG_SEC("limits", limits, CFGF_NONE),
		CFG_SEC("pool", config_pool_options(),
			CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	cfg_t *file = make_parser(top);
	if (!file)
		return -ENOMEM;
	int r = run_parser(file, path, text, ret_error);
	if (r == 0)
		r = check_closed(top, path, text, ret_error);
	if (r == 0) {
		struct complaint first = {.path = path};
		complaint = &first;
		r = take_settings(config, file);
		complaint = NULL;
		*ret_error = first.text;
	}
	cfg_free(file);
	return r;
}

int config_load(struct config *config, const char *path, char **ret_error)
{
	char *text;
	*ret_error = NULL;
	int r = read_file(path, &text, ret_error);
	if (r == 0) {
		r = parse(config, path, text, ret_error);
		free(text);
	}
	return r;
}
