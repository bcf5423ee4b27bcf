/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const char help[] =
	"Usage: procpoold [OPTION]...\n"
	"Keeps a pool of warm worker processes and runs functions in them for every program that asks.\n"
	"\n"
	"  -s, --socket PATH       listen there (default: $XDG_RUNTIME_DIR/procpool/procpoold.sock,\n"
	"                          for root /run/procpool/procpoold.sock; a socket passed by the\n"
	"                          service manager goes first)\n"
	"  -w, --workers N         keep N workers in each pool that is not configured otherwise\n"
	"                          (default: the number of usable processors + 1)\n"
	"  -m, --module NAME|PATH  serve this module in the pool \"default\"; may be repeated. With no\n"
	"                          module and no pool configured, it is the module demo\n"
	"  -c, --config FILE|DIR   read this configuration alone, or procpoold.conf and\n"
	"                          conf.d/*.conf of this directory (default:\n"
	"                          $XDG_CONFIG_HOME/procpool, for root /etc/procpool)\n"
	"  -l, --log-level LEVEL   error, warning, info (default) or debug\n"
	"      --system            be the system's service: the configuration is that of\n"
	"                          /etc/procpool, the socket /run/procpool/procpoold.sock, and\n"
	"                          nothing is served that is not configured\n"
	"      --no-demo           serve nothing where nothing is configured\n"
	"      --check-config      say whether the start would take the configuration, and exit\n"
	"      --print-config      print the settings and where each comes from, and exit\n"
	"      --private           serve one program: print the path of a socket of its own, go to\n"
	"                          the background, and end with the program. No configuration\n"
	"                          and no module is the default then, and only warnings are logged\n"
	"      --creator FD        that program is the one of this pidfd (default: the parent)\n"
	"  -h, --help              print this and exit\n"
	"  -V, --version           print the version and exit\n"
	"\n"
	"The command line outranks the configuration. To see what it serves: ppctl functions.\n"
	"See procpoold(8).\n";
/* clang-format on */

enum {
	OPTION_PRIVATE = 256, /* no letter */
	OPTION_CREATOR,
	OPTION_SYSTEM,
	OPTION_NO_DEMO,
	OPTION_CHECK_CONFIG,
	OPTION_PRINT_CONFIG,
};

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},
	{"workers", required_argument, NULL, 'w'},
	{"module", required_argument, NULL, 'm'},
	{"config", required_argument, NULL, 'c'},
	{"log-level", required_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"private", no_argument, NULL, OPTION_PRIVATE},
	{"creator", required_argument, NULL, OPTION_CREATOR},
	{"system", no_argument, NULL, OPTION_SYSTEM},
	{"no-demo", no_argument, NULL, OPTION_NO_DEMO},
	{"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
	{"print-config", no_argument, NULL, OPTION_PRINT_CONFIG},
	{0},
};

static int usage(void)
{
	fputs("Try 'procpoold --help'.\n", stderr);
	return OPTIONS_USAGE;
}

static int take_path(const char **ret, const char *option, const char *value)
{
	if (value[0] == '\0') {
		fprintf(stderr, "procpoold: --%s is empty\n", option);
		return usage();
	}
	*ret = value;
	return OPTIONS_RUN;
}

static int take_workers(struct options *options, const char *value)
{
	char *end;
	errno = 0;
	long n = strtol(value, &end, 10);
	if (end == value || *end || errno != 0 || n < 1 || n > POOL_WORKERS_MAX) {
		fprintf(stderr,
			"procpoold: --workers is '%s', and must be a whole number from 1 to %d\n",
			value, POOL_WORKERS_MAX);
		return usage();
	}
	options->source.workers = (unsigned)n;
	return OPTIONS_RUN;
}

static int take_level(struct options *options, const char *value)
{
	if (!log_level_parse(value, &options->source.log_level)) {
		fprintf(stderr,
			"procpoold: --log-level is '%s', and must be error, warning, info or "
			"debug\n",
			value);
		return usage();
	}
	options->source.has_log_level = true;
	return OPTIONS_RUN;
}

static int take_module(struct options *options, char *value)
{
	const char *name;
	size_t count = 0;
	if (take_path(&name, "module", value) != OPTIONS_RUN)
		return OPTIONS_USAGE;
	while (options->source.modules && options->source.modules[count])
		count++;
	char **modules = reallocarray(options->source.modules, count + 2, sizeof(*modules));
	if (!modules)
		return -ENOMEM;
	modules[count] = value;
	modules[count + 1] = NULL;
	options->source.modules = modules;
	return OPTIONS_RUN;
}

static int take_creator(struct options *options, const char *value)
{
	char *end;
	errno = 0;
	long n = strtol(value, &end, 10);
	if (end == value || *end || errno != 0 || n <= STDERR_FILENO || n > INT_MAX) {
		fprintf(stderr,
			"procpoold: --creator is '%s', and must be the number of a pidfd above 2\n",
			value);
		return usage();
	}
	options->creator = (int)n;
	return OPTIONS_RUN;
}

static int take_task(struct options *options, enum options_task task)
{
	if (options->task != OPTIONS_SERVE && options->task != task) {
		fputs("procpoold: --check-config and --print-config do one thing each: leave one "
		      "out\n",
		      stderr);
		return usage();
	}
	options->task = task;
	return OPTIONS_RUN;
}

static int take_option(struct options *options, int option, char *value)
{
	switch (option) {
	case 's':
		return take_path(&options->source.socket, "socket", value);
	case 'w':
		return take_workers(options, value);
	case 'm':
		return take_module(options, value);
	case 'c':
		return take_path(&options->source.path, "config", value);
	case 'l':
		return take_level(options, value);
	case OPTION_PRIVATE:
		options->source.is_private = true;
		return OPTIONS_RUN;
	case OPTION_SYSTEM:
		options->source.is_system = true;
		return OPTIONS_RUN;
	case OPTION_NO_DEMO:
		options->source.no_demo = true;
		return OPTIONS_RUN;
	case OPTION_CHECK_CONFIG:
		return take_task(options, OPTIONS_CHECK);
	case OPTION_PRINT_CONFIG:
		return take_task(options, OPTIONS_PRINT);
	case OPTION_CREATOR:
		return take_creator(options, value);
	case 'h':
		fputs(help, stdout);
		return OPTIONS_EXIT;
	case 'V':
		puts("procpoold " PROCPOOL_VERSION);
		return OPTIONS_EXIT;
	default: /* getopt_long() has said what is wrong */
		return usage();
	}
}

/* What one option says of another. */
static int check_options(const struct options *options)
{
	const char *mistake = NULL;
	if (options->source.is_private && options->source.socket)
		mistake = "--private makes a socket of its own: leave --socket out";
	if (options->source.is_private && options->source.is_system)
		mistake = "--private serves one program, --system everybody: leave one out";
	if (!options->source.is_private && options->creator >= 0)
		mistake = "--creator says whose daemon --private is: name that, too";
	if (!mistake)
		return OPTIONS_RUN;
	fprintf(stderr, "procpoold: %s\n", mistake);
	return usage();
}

int options_parse(struct options *options, int argc, char **argv)
{
	int r = OPTIONS_RUN, option;
	*options = (struct options){.creator = -1};
	optind = 0; /* also when called again */
	while (r == OPTIONS_RUN &&
	       (option = getopt_long(argc, argv, "s:w:m:c:l:hV", long_options, NULL)) != -1)
		r = take_option(options, option, optarg);
	if (r == OPTIONS_RUN && optind < argc) {
		fprintf(stderr,
			"procpoold: '%s' is not an option; to serve a module, say --module %s\n",
			argv[optind], argv[optind]);
		r = usage();
	}
	if (r == OPTIONS_RUN)
		r = check_options(options);
	/* Somebody who has no launcher asks what the system's service would do. */
	if (options->task != OPTIONS_SERVE && options->source.is_system)
		options->source.has_launcher = true;
	if (r != OPTIONS_RUN)
		options_fini(options);
	return r;
}

void options_fini(struct options *options)
{
	free(options->source.modules);
	*options = (struct options){.creator = -1};
}
