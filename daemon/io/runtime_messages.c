/* SPDX-License-Identifier: MIT */
#include "io/runtime_messages.h"

#include <limits.h>
#include <signal.h>

#include "core/core.h"
#include "core/string_list.h"
#include "io/about.h"
#include "io/channel.h"
#include "io/log.h"
#include "io/server.h"
#include "io/worker_process.h"
#include "proto/worker.h"

/* A message's elements after its number. */
#define ELEMENTS_MAX 4

struct message {
	uint64_t number;
	struct procpool_value elements[ELEMENTS_MAX]; /* size 0: not there */
	struct blob *blob;                            /* what they lie in, or NULL: borrowed */
};

typedef const char *(*handle_fn)(struct channel *channel, const struct message *message);

static bool read_u32(struct procpool_value value, uint32_t *ret)
{
	uint64_t n;
	if (!procpool_value_uint(value, &n) || n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* ---- starting ---- */

static void write_strings(struct procpool_writer *w, char *const *strings)
{
	procpool_write_array(w, string_list_count(strings));
	for (; *strings; strings++)
		procpool_write_string(w, *strings);
}

/* A held value: shared where it is large, since each process may be told it. */
static void write_held(struct channel *channel, struct span value)
{
	output_append_blob(&channel->output, value.blob, (size_t)(value.data - value.blob->data),
			   value.size);
}

/* What start has beyond what it always has; returns how much that is. Writes where w is not NULL.
 */
static uint32_t write_extras(struct channel *channel, struct procpool_writer *w)
{
	const struct pool_spec *spec = channel->runtime->spec;
	if (w && spec->preload_always) {
		procpool_write_string(w, "preload");
		procpool_write_string(w, "always");
	}
	if (w && spec->main) {
		procpool_write_string(w, "main");
		procpool_write_string(w, spec->main);
	}
	if (w && spec->pickle) {
		procpool_write_string(w, "pickle");
		procpool_write_bool(w, true);
	}
	if (w && spec->options.size > 0) {
		procpool_write_string(w, "options");
		write_held(channel, spec->options);
	}
	return spec->preload_always + (spec->main ? 1 : 0) + spec->pickle +
	       (spec->options.size > 0);
}

static void send_start(struct channel *channel, bool page)
{
	const struct pool_spec *spec = channel->runtime->spec;
	const struct limits *limits = &channel->server->core.limits;
	if (page) {
		int fd = page_memory_take_fd(&channel->page);
		output_attach_fds(&channel->output, &fd, 1);
	}
	struct procpool_writer *w = output_writer(&channel->output);
	procpool_write_array(w, 2);
	procpool_write_int(w, MSG_START);
	procpool_write_map(w, 9 + write_extras(channel, NULL));
	procpool_write_string(w, "pool");
	procpool_write_string(w, spec->name);
	procpool_write_string(w, "worker");
	procpool_write_uint(w, channel->worker ? channel->worker->number : 0);
	procpool_write_string(w, "workers");
	procpool_write_uint(w, spec->workers);
	procpool_write_string(w, "modules");
	write_strings(w, spec->modules);
	procpool_write_string(w, "initializer");
	if (spec->initializer)
		procpool_write_string(w, spec->initializer);
	else
		procpool_write_nil(w);
	procpool_write_string(w, "initargs");
	if (spec->initargs.size > 0)
		write_held(channel, spec->initargs);
	else
		procpool_write_array(w, 0);
	procpool_write_string(w, "message_bytes");
	procpool_write_uint(w, limits->message_bytes);
	procpool_write_string(w, "value_depth");
	procpool_write_uint(w, limits->value_depth);
	procpool_write_string(w, "page");
	procpool_write_bool(w, page);
	write_extras(channel, w);
	channel_mark_dirty(channel);
}

static bool flag(struct procpool_value map, const char *key)
{
	bool b = false;
	return procpool_value_bool(procpool_value_get(map, key), &b) && b;
}

/* A process of its own gets its page with the start message. */
static const char *start_own_process(struct channel *channel, bool page)
{
	if (page) {
		if (page_memory_init(&channel->page) < 0)
			return "got no page";
		channel->worker->page = channel->page.page;
	}
	channel->worker->pid = channel->pid;
	worker_process_confine(channel);
	send_start(channel, page);
	return NULL;
}

/* What it can do. False: malformed. */
static bool read_abilities(struct procpool_value hello, struct runtime_abilities *ret)
{
	struct procpool_value signal = procpool_value_get(hello, "stop_signal");
	uint64_t number = 0;
	if (signal.size > 0 &&
	    (!procpool_value_uint(signal, &number) || number < 1 || number > (uint64_t)SIGRTMAX))
		return false;
	*ret = (struct runtime_abilities){
		.forks = flag(hello, "fork"),
		.page = flag(hello, "page"),
		.stops = flag(hello, "stop"),
		.stop_signal = (int)number,
	};
	return true;
}

static const char *handle_hello(struct channel *channel, const struct message *message)
{
	struct procpool_value hello = message->elements[0];
	struct runtime_abilities abilities;
	uint64_t protocol;
	if (!channel_is_own_process(channel))
		return "said hello out of turn";
	if (channel->greeted)
		return "said hello twice";
	channel->greeted = true;
	if (!procpool_value_uint(procpool_value_get(hello, "protocol"), &protocol) ||
	    protocol != WORKER_PROTOCOL_VERSION)
		return channel_refuse_protocol(channel, hello);
	if (!read_abilities(hello, &abilities))
		return "wants to be stopped by what is no signal";
	if (!channel->worker) {
		struct worker *worker =
			runtime_hello(channel->runtime, abilities, channel->server->now_us);
		channel->worker = worker;
		if (worker) {
			worker->channel = channel;
			channel->runtime->channel = NULL;
		}
	}
	channel->pipes = flag(hello, "output");
	if (channel->worker)
		return start_own_process(channel, abilities.page);
	send_start(channel, false);
	return NULL;
}

static const char *handle_ready(struct channel *channel, const struct message *message)
{
	uint64_t now_us = channel->server->now_us;
	if (channel_is_own_process(channel)) {
		if (!channel->greeted || channel->loaded)
			return "said ready out of turn";
		if (!runtime_loaded(channel->runtime, message->elements[0], now_us))
			return "sent a malformed list of functions";
	}
	channel->loaded = true;
	if (channel->worker && channel->worker->pid != 0)
		pool_worker_ready(channel->worker, channel->worker->pid, now_us);
	return NULL;
}

/* What code that a session brought says of its failure is for its owner. */
static void log_start_failure(const struct channel *channel, const char *text, size_t size)
{
	struct log_fields fields = about_channel(channel);
	fields.outcome = error_name(channel->end.error.code);
	if (channel->pool->owner)
		log_event(LOG_LEVEL_INFO, &fields,
			  "pool %s: it does not start, and its owner is told why", fields.pool);
	else
		log_event(LOG_LEVEL_ERROR, &fields, "pool %s: %.*s", fields.pool,
			  (int)(size < 1024 ? size : 1024), text);
}

static const char *handle_failed(struct channel *channel, const struct message *message)
{
	if (procpool_value_type(message->elements[0]) != PROCPOOL_MAP)
		return "sent a malformed failure";
	if ((channel_is_own_process(channel) && !channel->greeted) || channel->loaded ||
	    channel->end.error.value.size > 0)
		return "failed to start out of turn";
	channel->end.error = error_from_worker(message->elements[0]);
	const char *text = "";
	size_t size = 0;
	procpool_value_string(procpool_value_get(message->elements[0], "message"), &text, &size);
	log_start_failure(channel, text, size);
	/* Its exit must follow. */
	if (channel->worker)
		pool_worker_leaves(channel->worker, channel->server->now_us);
	else
		runtime_leaves(channel->runtime, channel->server->now_us);
	return NULL;
}

/* ---- answering ---- */

/* The elements of an array as consecutive bytes. */
static struct span array_contents(const struct message *message, struct procpool_value array)
{
	struct procpool_iter it = procpool_iter(array);
	if (it.remaining == 0)
		return (struct span){0};
	return (struct span){message->blob, it.next, (size_t)(it.end - it.next)};
}

static const char *handle_result(struct channel *channel, const struct message *message)
{
	uint32_t seq, first;
	uint64_t us;
	struct procpool_value values = message->elements[3];
	size_t count = procpool_value_count(values);
	if (!channel->worker || !read_u32(message->elements[0], &seq) ||
	    !read_u32(message->elements[1], &first) ||
	    !procpool_value_uint(message->elements[2], &us) ||
	    procpool_value_type(values) != PROCPOOL_ARRAY || count == 0 || count > UINT32_MAX)
		return "sent a malformed result";
	if (!core_worker_values(&channel->server->core, channel->worker, seq, first,
				(uint32_t)count, us, array_contents(message, values),
				channel->server->now_us))
		return "sent a result that was not asked for";
	capture_answered(&channel->capture);
	return NULL;
}

static const char *handle_error(struct channel *channel, const struct message *message)
{
	uint32_t seq, index;
	uint64_t us;
	struct procpool_value error = message->elements[3];
	if (!channel->worker || !read_u32(message->elements[0], &seq) ||
	    !read_u32(message->elements[1], &index) ||
	    !procpool_value_uint(message->elements[2], &us) ||
	    procpool_value_type(error) != PROCPOOL_MAP)
		return "sent a malformed error";
	if (!core_worker_error(&channel->server->core, channel->worker, seq, index, us, error,
			       channel->server->now_us))
		return "sent an error that was not asked for";
	capture_answered(&channel->capture);
	return NULL;
}

static const char *handle_progress(struct channel *channel, const struct message *message)
{
	struct core *core = &channel->server->core;
	uint32_t seq, index;
	struct procpool_value value = message->elements[2];
	if (!channel->worker || !read_u32(message->elements[0], &seq) ||
	    !read_u32(message->elements[1], &index) || value.size > core->limits.progress_bytes)
		return "sent malformed progress";
	core_worker_progress(core, channel->worker, seq, index, value, channel->server->now_us);
	return NULL;
}

static const char *handle_log(struct channel *channel, const struct message *message)
{
	const char *name, *text;
	size_t name_size, text_size;
	char level_name[16] = "";
	enum log_level level;
	if (!procpool_value_string(message->elements[0], &name, &name_size) ||
	    !procpool_value_string(message->elements[1], &text, &text_size) ||
	    name_size >= sizeof(level_name))
		return "sent a malformed log line";
	memcpy(level_name, name, name_size);
	if (!log_level_parse(level_name, &level))
		return "sent a log line of an unknown level";
	text_size = text_size < 1024 ? text_size : 1024;
	if (capture_admits(&channel->capture, text_size)) {
		struct log_fields fields = about_channel(channel);
		fields.stream = "log";
		log_event(level, &fields, "pool %s: %.*s", fields.pool, (int)text_size, text);
	}
	return NULL;
}

static const char *handle_stale(struct channel *channel, const struct message *message)
{
	const char *path;
	size_t size;
	if (!channel_is_own_process(channel) || !channel->loaded ||
	    !procpool_value_string(message->elements[0], &path, &size))
		return "sent a malformed notice of a change";
	struct log_fields fields = about_channel(channel);
	if (runtime_stale(channel->runtime))
		log_event(LOG_LEVEL_INFO, &fields,
			  "pool %s: %.*s has changed since it was loaded; 'ppctl recycle %s' loads "
			  "it anew",
			  fields.pool, (int)(size < 1024 ? size : 1024), path, fields.pool);
	return NULL;
}

/* ---- a spawner about its workers ---- */

/* The forked worker that a spawner speaks of. */
static struct channel *worker_channel(struct channel *spawner, struct procpool_value number_value)
{
	uint32_t number;
	struct worker *worker;
	if (spawner->worker || !read_u32(number_value, &number))
		return NULL;
	TAILQ_FOREACH (worker, &spawner->pool->workers, in_pool)
		if (worker->number == number && worker->runtime == spawner->runtime)
			return worker->channel;
	return NULL;
}

static const char *handle_forked(struct channel *spawner, const struct message *message)
{
	struct channel *channel = worker_channel(spawner, message->elements[0]);
	uint64_t pid;
	if (!channel || channel->worker->pid != 0 ||
	    !procpool_value_uint(message->elements[1], &pid) || pid == 0 || pid > INT_MAX)
		return "spoke of a worker that was not asked for";
	pool_worker_forked(channel->worker, (pid_t)pid, spawner->server->now_us);
	worker_process_confine(channel);
	if (channel->loaded)
		pool_worker_ready(channel->worker, (pid_t)pid, spawner->server->now_us);
	return NULL;
}

static const char *handle_exited(struct channel *spawner, const struct message *message)
{
	struct channel *channel = worker_channel(spawner, message->elements[0]);
	struct procpool_value how = message->elements[1];
	uint64_t max_rss_kib;
	int64_t n;
	if (!channel || procpool_value_type(how) != PROCPOOL_MAP)
		return "spoke of a worker that was not asked for";
	channel->end.exit_status = -1;
	if (procpool_value_int(procpool_value_get(how, "signal"), &n) && n > 0 && n < 128)
		channel->end.signal = (int)n;
	else if (procpool_value_int(procpool_value_get(how, "exit_status"), &n) && n >= 0 &&
		 n < 256)
		channel->end.exit_status = (int)n;
	if (procpool_value_uint(procpool_value_get(how, "max_rss_kib"), &max_rss_kib) &&
	    max_rss_kib < UINT64_MAX / 1024)
		channel->end.max_rss_bytes = max_rss_kib * 1024;
	channel->transient = channel->worker->pid == 0;
	channel_end(channel);
	return NULL;
}

/* ---- all of them ---- */

static const struct {
	unsigned number;
	unsigned elements; /* at least so many */
	handle_fn handle;
} messages[] = {
	{MSG_RESULT, 4, handle_result},     {MSG_ERROR, 4, handle_error},
	{MSG_READY, 0, handle_ready},       {MSG_HELLO, 1, handle_hello},
	{MSG_FAILED, 1, handle_failed},     {MSG_LOG, 2, handle_log},
	{MSG_FORKED, 2, handle_forked},     {MSG_EXITED, 2, handle_exited},
	{MSG_PROGRESS, 3, handle_progress}, {MSG_STALE, 1, handle_stale},
};

const char *runtime_message(struct channel *channel, const struct frame *frame)
{
	struct message message = {.blob = frame->blob};
	struct procpool_value value = {frame->data, frame->size};
	struct procpool_iter it = procpool_iter(value);
	struct procpool_value element;
	unsigned count = 0;

	if (procpool_value_type(value) != PROCPOOL_ARRAY || !procpool_iter_next(&it, &element) ||
	    !procpool_value_uint(element, &message.number))
		return "sent what is no message";
	while (count < ELEMENTS_MAX && procpool_iter_next(&it, &message.elements[count]))
		count++;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (messages[i].number != message.number)
			continue;
		if (count < messages[i].elements)
			return "sent a message with too few elements";
		return messages[i].handle(channel, &message);
	}
	return "sent an unknown message";
}
