/* SPDX-License-Identifier: MIT */
/* procpoold: settings, the listening socket, then the server until a signal ends it. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "inspect.h"
#include "io/config.h"
#include "io/config_check.h"
#include "io/launch.h"
#include "io/listener.h"
#include "io/log.h"
#include "io/server.h"
#include "options.h"
#include "private.h"

/* From this size on memory comes from the kernel and goes back at once: large messages leave no
 * holes. Below it what one message leaves serves the next, which saves half of the time that the
 * daemon needs for it, and goes back in a pause (server.c). */
#define MMAP_THRESHOLD_BYTES (16 << 20)
#define TRIM_THRESHOLD_BYTES (64 << 20)

/* Prints what went wrong (taken over; NULL without memory). */
static int fail(char *error, int code)
{
	fprintf(stderr, "procpoold: %s\n", error ? error : strerror(-code));
	free(error);
	return EXIT_FAILURE;
}

/*
 * A connection needs a descriptor, a worker needs three; systems still start processes with 1,024.
 * Returns the limit as it was, for the runtimes: code that uses select() breaks above it.
 */
static rlim_t raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return before;
}

/*
 * Whether other users may connect: where they have rights; and to root's daemon always, because who
 * has none is told whom to ask, and because a reload may give them some.
 */
static bool is_shared(const struct config *config)
{
	return geteuid() == 0 || config_grants(config);
}

/* Sockets passed by a service manager, else one of our own. */
static int listen_anywhere(struct server *server, const struct config *config, char **ret_error)
{
	struct listener passed[LISTENER_PASSED_MAX];
	char *path = NULL;
	int r = listener_take_passed(passed, LISTENER_PASSED_MAX, ret_error);
	if (r < 0)
		return r;
	if (r > 0) {
		for (int i = 0; i < r; i++)
			server->acceptors[server->acceptor_count++].listener = passed[i];
		return 0;
	}
	if (!config->socket) {
		r = listener_default_path(&path, ret_error);
		if (r < 0)
			return r;
	}
	unsigned flags = path ? LISTENER_MAKE_DIRECTORY : 0;
	if (is_shared(config))
		flags |= LISTENER_SHARED;
	r = listener_bind(&server->acceptors[0].listener, path ? path : config->socket, flags,
			  ret_error);
	free(path);
	if (r == 0)
		server->acceptor_count = 1;
	return r;
}

/* Where a private daemon does; everyone else somewhere. */
static int listen_for(struct server *server, const struct config *config,
		      const struct private_life *life, char **ret_error)
{
	if (!life)
		return listen_anywhere(server, config, ret_error);
	int r = listener_bind(&server->acceptors[0].listener, life->socket, 0, ret_error);
	if (r == 0)
		server->acceptor_count = 1;
	return r;
}

/*
 * The launcher that has started this process, if one has. Then this process has no rights, workers
 * are other users', and nothing of theirs may look into it; debuggers need root for it, and it
 * leaves no core. A daemon whose workers are its own user's is as open to them in other ways, and
 * keeps both.
 */
static int take_launcher(struct launch **ret, char **ret_error)
{
	int r = launch_open(ret, ret_error);
	if (r == 0 && *ret && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	return r;
}

/* launch: or NULL; taken over. life: of a private daemon, or NULL. */
static int serve(const struct config_source *source, struct config *config, struct launch *launch,
		 struct private_life *life)
{
	static struct server server;
	char *error = NULL;
	server.launch_watch.launch = launch;
	server.runtime_descriptors = raise_descriptor_limit();
	int r = listen_for(&server, config, life, &error);
	if (r < 0)
		return fail(error, r);
	r = server_init(&server, source, config);
	if (r == 0 && life) {
		server_belong(&server, &life->creator);
		r = private_tell(life);
	}
	if (r == 0)
		server_run(&server);
	else if (r !=
		 -EPIPE) /* a creator that was interrupted in starting it wants no word of it */
		fail(NULL, r);
	server_fini(&server);
	return r == 0 && !server.failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve_privately(const struct config_source *source, struct config *config, int creator)
{
	struct private_life life;
	char *error = NULL;
	int r = private_begin(&life, creator, &error);
	int status = r == 0 ? serve(source, config, NULL, &life) : fail(error, r);
	private_fini(&life);
	return status;
}

/* Complaints about the configuration: a line each (taken over; NULL without memory). */
static int refuse_config(char *error, int code)
{
	char *rest = error, *line;
	if (!error)
		return fail(NULL, code);
	while ((line = strsep(&rest, "\n")))
		fprintf(stderr, "procpoold: %s\n", line);
	free(error);
	return EXIT_FAILURE;
}

static int run(struct options *options)
{
	struct config_source *source = &options->source;
	struct launch *launch = NULL;
	struct config config;
	char *error = NULL;
	int r = source->is_private ? 0 : take_launcher(&launch, &error);
	if (r < 0)
		return fail(error, r);
	source->has_launcher = launch != NULL;
	r = config_read(source, &config, &error);
	if (r < 0)
		return refuse_config(error, r);
	log_init(config.log_level);
	if (!source->is_private)
		config_warn(&config, source);
	int status = source->is_private ? serve_privately(source, &config, options->creator)
					: serve(source, &config, launch, NULL);
	config_fini(&config);
	return status;
}

static int perform(struct options *options)
{
	switch (options->task) {
	case OPTIONS_CHECK:
		return inspect_check(&options->source);
	case OPTIONS_PRINT:
		return inspect_print(&options->source);
	default:
		return run(options);
	}
}

int main(int argc, char **argv)
{
	struct options options;

	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
	mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
	switch (options_parse(&options, argc, argv)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_EXIT:
		return EXIT_SUCCESS;
	case OPTIONS_USAGE:
		return 2;
	default:
		return fail(NULL, -ENOMEM);
	}
	int status = perform(&options);
	options_fini(&options);
	log_fini();
	return status;
}
