/* SPDX-License-Identifier: MIT */
#include "io/config.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/string_list.h"

#define FILE_BYTES_MAX    (1U << 20)
#define NUMBER_MAX        (1L << 53) /* what every reader of MessagePack or JSON can hold */
#define GRACE_SECONDS_MAX 86400L
#define SECONDS_MAX       1000000000L /* as microseconds they still have to be counted */

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

char *config_default_path(void)
{
	const char *home = getenv("XDG_CONFIG_HOME"), *below = "";
	char *path;
	if (geteuid() == 0)
		return strdup("/etc/procpool/procpoold.conf");
	if (!home || home[0] != '/') {
		home = getenv("HOME");
		below = "/.config";
	}
	if (!home || home[0] != '/')
		return NULL;
	return asprintf(&path, "%s%s/procpool/procpoold.conf", home, below) < 0 ? NULL : path;
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

/* A whole number, with K, M or G for powers of 1024. False: it is none, or too large. */
static bool parse_number(const char *text, long *ret)
{
	static const char units[] = "KMG";
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno != 0)
		return false;
	const char *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1] != '\0'))
		return false;
	for (const char *u = units; unit && u <= unit; u++) {
		if (n > NUMBER_MAX / 1024)
			return false;
		n *= 1024;
	}
	*ret = n;
	return n <= NUMBER_MAX;
}

struct range {
	const char *name;
	long min, max;
};

/* What is not named here is at least 1. */
static struct range range_of(const char *name)
{
	static const struct range ranges[] = {
		{"workers", 1, POOL_WORKERS_MAX},       {"grace_seconds", 0, GRACE_SECONDS_MAX},
		{"message_bytes", 4096, UINT32_MAX},    {"name_bytes", 16, UINT16_MAX},
		{"retained_bytes_user", 0, NUMBER_MAX}, {"retained_bytes_session", 0, NUMBER_MAX},
		{"retained_seconds", 0, SECONDS_MAX},   {"frame_seconds", 1, SECONDS_MAX},
		{"stall_seconds", 1, SECONDS_MAX},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (strcmp(ranges[i].name, name) == 0)
			return ranges[i];
	return (struct range){name, 1, NUMBER_MAX};
}

static int set_number(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	struct range range = range_of(opt->name);
	long n;
	if (!parse_number(value, &n) || n < range.min || n > range.max) {
		cfg_error(section,
			  "%s is '%s', and must be a whole number from %ld to %ld (K, M and G may "
			  "follow: 64M)",
			  opt->name, value, range.min, range.max);
		return -1;
	}
	*(long *)result = n;
	return 0;
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

static int check_not_empty(cfg_t *section, cfg_opt_t *opt)
{
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const char *s = cfg_opt_getnstr(opt, i);
		if (s && s[0] == '\0') {
			cfg_error(section, "%s is empty: name something, or remove this line",
				  opt->name);
			return -1;
		}
	}
	return 0;
}

/* The pool that was just read. */
static int check_pool(cfg_t *section, cfg_opt_t *opt)
{
	cfg_t *pool = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *name = cfg_title(pool);
	size_t size = strlen(name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			size = 0;
	if (size == 0 || size > LIMITS_DEFAULT.name_bytes) {
		cfg_error(section,
			  "'%s' cannot be the name of a pool: use 1 to %d characters, none of them "
			  "a space",
			  name, (int)LIMITS_DEFAULT.name_bytes);
		return -1;
	}
	if (cfg_size(pool, "modules") == 0 && cfg_size(pool, "runtime") == 0) {
		cfg_error(section,
			  "the pool '%s' has nothing to serve: say modules = {\"name\", ...}",
			  name);
		return -1;
	}
	return 0;
}

/* ---- from what was parsed to what is kept ---- */

static int replace_list(char ***list, cfg_t *section, const char *key)
{
	char **copy = string_list_copy(NULL);
	int r = copy ? 0 : -ENOMEM;
	for (unsigned i = 0; r == 0 && i < cfg_size(section, key); i++)
		r = string_list_append(&copy, strdup(cfg_getnstr(section, key, i)));
	if (r < 0) {
		string_list_free(copy);
		return r;
	}
	string_list_free(*list);
	*list = copy;
	return 0;
}

static int replace_string(char **string, cfg_t *section, const char *key)
{
	const char *s = cfg_getstr(section, key);
	char *copy = s ? strdup(s) : NULL;
	if (s && !copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

/* The arguments of the initializer: an array of strings. */
static int take_initargs(struct pool_spec *spec, cfg_t *section)
{
	struct procpool_writer w;
	unsigned count = cfg_size(section, "initargs");
	procpool_writer_init(&w);
	procpool_write_array(&w, count);
	for (unsigned i = 0; i < count; i++)
		procpool_write_string(&w, cfg_getnstr(section, "initargs", i));
	struct blob *blob = w.error ? NULL : blob_copy(w.data, w.size);
	procpool_writer_fini(&w);
	if (!blob)
		return -ENOMEM;
	spec->initargs = span_of_blob(blob);
	return 0;
}

static int take_pool(struct config *config, cfg_t *section)
{
	struct pool_spec *spec = config_add_pool(config, cfg_title(section), NULL);
	if (!spec)
		return -ENOMEM;
	spec->workers = (unsigned)cfg_getint(section, "workers");
	int r = replace_list(&spec->modules, section, "modules");
	if (r == 0)
		r = replace_list(&spec->runtime, section, "runtime");
	if (r == 0)
		r = replace_string(&spec->initializer, section, "initializer");
	return r < 0 ? r : take_initargs(spec, section);
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
	int r = cfg_getstr(file, "socket") ? replace_string(&config->socket, file, "socket") : 0;
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
	static const char *const never_empty[] = {"socket", "pool|modules", "pool|runtime",
						  "pool|initializer"};
	cfg_t *file = cfg_init(options, CFGF_NONE);
	if (!file)
		return NULL;
	for (size_t i = 0; i < sizeof(never_empty) / sizeof(*never_empty); i++)
		cfg_set_validate_func(file, never_empty[i], check_not_empty);
	cfg_set_validate_func(file, "pool", check_pool);
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

static int parse(struct config *config, const char *path, const char *text, char **ret_error)
{
#define X(name, value, text)                                                                       \
	CFG_INT_CB(#name, (long)config->limits.name, CFGF_NONE,                                    \
		   strstr(#name, "depth") ? refuse_fixed : set_number),
	cfg_opt_t limits[] = {PROTO_LIMITS(X) CFG_END()};
#undef X
	cfg_opt_t pool[] = {
		CFG_STR_LIST("modules", NULL, CFGF_NONE),
		CFG_INT_CB("workers", 0, CFGF_NONE, set_number),
		CFG_STR_LIST("runtime", NULL, CFGF_NONE),
		CFG_STR("initializer", NULL, CFGF_NONE),
		CFG_STR_LIST("initargs", NULL, CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t top[] = {
		CFG_STR("socket", NULL, CFGF_NONE),
		CFG_INT_CB("workers", (long)config->workers, CFGF_NONE, set_number),
		CFG_INT_CB("log_level", (long)config->log_level, CFGF_NONE, set_level),
		CFG_INT_CB("grace_seconds", (long)config->grace_seconds, CFGF_NONE, set_number),
		CFG_SEC("limits", limits, CFGF_NONE),
		CFG_SEC("pool", pool, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	cfg_t *file = make_parser(top);
	if (!file)
		return -ENOMEM;
	int r = run_parser(file, path, text, ret_error);
	if (r == 0)
		r = check_closed(top, path, text, ret_error);
	if (r == 0)
		r = take_settings(config, file);
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
