/* SPDX-License-Identifier: MIT */
#include "io/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/core.h"
#include "core/text.h"
#include "io/config.h"
#include "io/config_check.h"
#include "io/log.h"
#include "io/server.h"
#include "io/worker_process.h"

#define COMPLAINT_BYTES_MAX 4000

/* ---- who asked ---- */

/* For the log: "as uid 1000 asked". */
struct asker {
	char text[48];
	struct log_fields fields;
};

static struct asker asker_of(const struct session *session)
{
	struct asker asker = {.text = "at SIGHUP", .fields = {.kind = LOG_KIND_RELOAD}};
	if (!session)
		return asker;
	snprintf(asker.text, sizeof(asker.text), "as uid %u asked", (unsigned)session->user->uid);
	asker.fields.has_uid = true;
	asker.fields.uid = session->user->uid;
	asker.fields.session = session->id;
	asker.fields.client = session->client;
	return asker;
}

/* ---- refusing ---- */

/* A message is not longer than this, and ends with a whole character. */
static void cut(char *complaint)
{
	size_t size = strnlen(complaint, COMPLAINT_BYTES_MAX);
	while (complaint[size] != '\0' && ((unsigned char)complaint[size] & 0xc0) == 0x80)
		size--;
	complaint[size] = '\0';
}

/* Takes the complaint over, lines without the end of the last. */
static struct outcome refuse(const struct asker *asker, int code, char *complaint)
{
	if (!complaint) {
		log_event(LOG_LEVEL_ERROR, &asker->fields, "the configuration was not read, %s: %s",
			  asker->text, strerror(-code));
		return error_outcome(ERR_OUT_OF_MEMORY, "the daemon has no memory left");
	}
	const char *newline = strchr(complaint, '\n');
	int first = newline ? (int)(newline - complaint) : (int)strlen(complaint);
	log_event(LOG_LEVEL_ERROR, &asker->fields,
		  "the configuration is refused, and nothing has changed, %s: %.*s%s", asker->text,
		  first, complaint, newline ? " (and more)" : "");
	cut(complaint);
	/* Several have a line each. */
	struct outcome error = error_outcome(ERR_BAD_REQUEST, "the configuration is refused:%s%s",
					     newline ? "\n" : " ", complaint);
	free(complaint);
	return error;
}

/* What was a pipe at the start cannot be read again, and would look empty. */
static int check_source(const struct config_source *source, char **ret_complaint)
{
	struct stat status;
	*ret_complaint = NULL;
	if (!source->path || stat(source->path, &status) < 0 || S_ISREG(status.st_mode) ||
	    S_ISDIR(status.st_mode))
		return 0;
	if (asprintf(ret_complaint, "%s is not a file that can be read again: restart the daemon",
		     source->path) < 0)
		*ret_complaint = NULL;
	return -EINVAL;
}

/* Files that have all gone are more likely to have been moved away for a moment than to say that
 * there should be no pool. */
static int check_files(const struct server *server, const struct config *config,
		       char **ret_complaint)
{
	const char *before = server->config->files[0];
	if (!before || config->files[0])
		return 0;
	if (asprintf(ret_complaint,
		     "%s has gone, and no other file is there: to have no pools, "
		     "leave it empty",
		     before) < 0)
		*ret_complaint = NULL;
	return -EINVAL;
}

static int read_again(const struct server *server, struct config *config, char **ret_complaint)
{
	int r = check_source(server->source, ret_complaint);
	if (r == 0)
		r = config_read(server->source, config, ret_complaint);
	if (r < 0)
		return r;
	r = check_files(server, config, ret_complaint);
	if (r < 0)
		config_fini(config);
	return r;
}

/* ---- what only a restart changes ---- */

#define RESTART_KEYS_MAX 2

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Leaves in the config what is in force, and notes the keys that say something else. Runtimes were
 * told at their start how large a message may be. */
static void keep_until_restart(const struct config *now, struct config *config,
			       const char *keys[RESTART_KEYS_MAX + 1])
{
	unsigned count = 0;
	if (!same_text(config->socket, now->socket)) {
		char *socket = now->socket ? strdup(now->socket) : NULL;
		free(config->socket);
		config->socket = socket;
		keys[count++] = "socket";
	}
	if (config->limits.message_bytes != now->limits.message_bytes) {
		config->limits.message_bytes = now->limits.message_bytes;
		keys[count++] = "message_bytes";
	}
	keys[count] = NULL;
}

/* ---- what changes ---- */

/* What a line of the log has room for. */
struct line {
	char text[1024];
	size_t size;
};

static void append(struct line *line, const char *text, size_t size)
{
	if (line->size + size >= sizeof(line->text))
		size = sizeof(line->text) - 1 - line->size;
	memcpy(line->text + line->size, text, size);
	line->size += size;
	line->text[line->size] = '\0';
}

static void append_names(struct line *line, const char *what, struct procpool_value names)
{
	struct procpool_iter it = procpool_iter(names);
	struct procpool_value name;
	const char *separator = line->size > 0 ? "; " : "";
	while (procpool_iter_next(&it, &name)) {
		struct slice text = {"", 0};
		slice_of(name, &text);
		append(line, separator, strlen(separator));
		append(line, what, strlen(what));
		append(line, text.data, text.size);
		separator = ", ";
		what = "";
	}
}

static void log_changes(const struct asker *asker, const struct outcome *done)
{
	struct procpool_value map = span_value(done->value);
	struct line line = {0};
	if (done->code != ERR_NONE) {
		struct slice message = {"", 0};
		slice_of(procpool_value_get(map, "message"), &message);
		log_event(
			LOG_LEVEL_ERROR, &asker->fields,
			"the configuration was read again, %s, and not all of it is in force: %.*s",
			asker->text, (int)message.size, message.data);
		return;
	}
	append_names(&line, "changed ", procpool_value_get(map, "changed"));
	append_names(&line, "added ", procpool_value_get(map, "added"));
	append_names(&line, "removed ", procpool_value_get(map, "removed"));
	append_names(&line, "to be changed by a restart: ", procpool_value_get(map, "restart"));
	log_event(LOG_LEVEL_INFO, &asker->fields, "the configuration was read again, %s: %s",
		  asker->text, line.size > 0 ? line.text : "no pool has changed");
}

/* The mode of a socket is never changed while somebody may connect to it. */
static void check_reach(const struct server *server)
{
	const struct listener *listener = &server->acceptors[0].listener;
	if (!listener->passed && !listener->shared && config_grants(server->config))
		log_warning("others may use this daemon now, but cannot reach it before it is "
			    "restarted: %s is for its own user alone",
			    listener->path);
}

/* The core has taken it over. */
static void put_in_force(struct server *server, const struct config *config)
{
	core_set_limits(&server->core, &config->limits);
	log_set_level(config->log_level);
	server->core.notes_ends = log_enabled(LOG_LEVEL_DEBUG);
	config_fini(server->config);
	*server->config = *config;
	if (core_set_access(&server->core, &server->config->access) < 0)
		log_error("the lists of access of the daemon itself are as before, for want of "
			  "memory; those of pools are not");
	check_reach(server);
	worker_process_limit_memory(server);
}

bool reload_begin(struct server *server, struct session *session, uint32_t msgid,
		  struct outcome *ret_error)
{
	struct asker asker = asker_of(session);
	struct config config;
	const char *restart[RESTART_KEYS_MAX + 1];
	char *complaint;
	struct outcome outcome;
	int r = read_again(server, &config, &complaint);
	if (r < 0) {
		*ret_error = refuse(&asker, r, complaint);
		return false;
	}
	keep_until_restart(server->config, &config, restart);
	struct update_plan plan = {config.pools, config.pool_count, restart};
	if (!core_update(&server->core, session, msgid, &plan, server->now_us, &outcome)) {
		config_fini(&config);
		*ret_error = outcome;
		return false;
	}
	/* Whoever wants to know more from now on wants to know that. */
	if (config.log_level > server->config->log_level)
		log_set_level(config.log_level);
	log_changes(&asker, &outcome);
	config_warn(&config, server->source);
	outcome_fini(&outcome);
	put_in_force(server, &config);
	notify_reloading(&server->notify);
	return true;
}

void reload_finish(struct server *server, const struct outcome *outcome)
{
	static const struct log_fields fields = {.kind = LOG_KIND_RELOAD};
	struct slice message = {"", 0};
	if (server->stopping)
		return;
	if (outcome->code != ERR_NONE) {
		slice_of(procpool_value_get(span_value(outcome->value), "message"), &message);
		log_event(LOG_LEVEL_ERROR, &fields, "after the reload: %.*s", (int)message.size,
			  message.data);
	}
	if (server->ready)
		notify_ready(&server->notify);
}
