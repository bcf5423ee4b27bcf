/* SPDX-License-Identifier: MIT */
/*
 * map: one call for each item, many in flight, results in the order of the items.
 *
 * Each item is an apply of its own rather than an element of a map: items come one by one, one that
 * kills its worker costs nothing else, and a slow pipeline gets each result as soon as it is there.
 * The requests and responses of one turn of the loop still travel together.
 *
 * Memory is bounded by the window, by the bytes that it holds or may have to hold, and by the
 * output not yet written: at each of these limits no more is submitted, but what the daemon sends
 * is read in any case. It begins with few calls, because only results tell how large results are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "command.h"
#include "items.h"
#include "json_read.h"
#include "json_write.h"
#include "print.h"
#include "progress.h"
#include "window.h"

#define ITEM_BYTES_MAX                                                                             \
	(96U << 20) /* the default of message_bytes: the daemon would refuse more                  \
		     */
#define HELD_BYTES_MAX   (64U << 20)
#define OUTPUT_BYTES_MAX (1U << 20)
#define LIMIT_FIRST      64  /* calls in flight at the beginning */
#define BUSY_MS          100 /* between two attempts, where the daemon is busy */
#define BUSY_TRIES       50  /* of an item that is refused while nothing else of ours runs */

struct map {
	struct session *session;
	const struct arguments *args;
	const char *function;
	struct procpool_options options;
	struct procpool_writer kwargs; /* empty: none */
	struct items items;
	bool items_ended;
	struct window window;
	unsigned running;
	unsigned waiting; /* items in the window that were refused as busy */
	unsigned limit;   /* calls in flight at most: grows to the window, falls when busy */
	size_t largest;   /* bytes of the largest result so far */
	int64_t retry_ms; /* not before then */
	bool stopping;    /* submits no more */
	bool halted;      /* an item failed and --halt was given */
	uint64_t done;
	uint64_t failed;
	struct procpool_outcome fatal;    /* code not OK: an error that concerns every item */
	uint64_t unknown;                 /* items whose outcome got lost */
	struct procpool_writer arguments; /* scratch */
	struct text errors;               /* to be written to stderr */
	struct progress progress;
};

/* "ppctl: item 3 (./x): message", or the same as JSON, on one line whatever the message is. */
static void describe_failure(struct map *map, struct slot *slot,
			     const struct procpool_outcome *outcome)
{
	struct text *out = &slot->result;
	const char *message;
	size_t size;
	text_reset(out);
	if (map->args->json) {
		struct procpool_value item;
		procpool_writer_reset(&map->arguments);
		argument_value(&map->arguments, slot->item.data, slot->item.size, true, NULL);
		item = procpool_writer_value(&map->arguments);
		text_addf(out, "{\"item\":%llu,\"value\":", (unsigned long long)slot->number);
		json_write(out, item);
		text_add_string(out, ",\"error\":");
		error_write_json(out, outcome);
		text_add_string(out, "}\n");
		return;
	}
	error_message(outcome, &message, &size);
	text_addf(out, "ppctl: item %llu (", (unsigned long long)slot->number);
	print_name(out, slot->item.data, slot->item.size);
	text_add_string(out, "): ");
	for (size_t i = 0; i < size; i++)
		text_add_char(out, message[i] == '\n' ? ' ' : message[i]);
	text_add_char(out, '\n');
}

/* Lets items leave in their order. */
static void advance(struct map *map)
{
	struct slot *slot;
	while (!map->halted && (slot = window_oldest(&map->window))) {
		bool failed = slot->state == SLOT_FAILED;
		struct text *out = failed ? &map->errors : &map->session->output.pending;
		text_add(out, slot->result.data, slot->result.size);
		map->halted = failed && map->args->halt;
		window_pop(&map->window);
	}
}

static void end_item(struct map *map, struct slot *slot, enum slot_state state)
{
	window_end(&map->window, slot, state);
	map->done += state == SLOT_DONE;
	map->failed += state == SLOT_FAILED;
	if (state == SLOT_FAILED && map->args->halt)
		map->stopping = true;
	advance(map);
}

static void fail_item(struct map *map, struct slot *slot, const struct procpool_outcome *outcome)
{
	describe_failure(map, slot, outcome);
	end_item(map, slot, SLOT_FAILED);
}

/* An item that cannot even be sent. */
static void refuse_item(struct map *map, struct slot *slot, enum procpool_code code,
			const char *message)
{
	struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
	outcome.code = code;
	outcome.message = message;
	fail_item(map, slot, &outcome);
}

static void stop(struct map *map, const struct procpool_outcome *outcome)
{
	map->stopping = true;
	if (map->fatal.code == PROCPOOL_OK &&
	    procpool_outcome_copy(&map->fatal, outcome) != PROCPOOL_OK)
		text_no_memory();
}

/* The item waits until another ends, or for a while where there is no other; as many as there are
 * now were not too many. */
static void postpone(struct map *map, struct slot *slot)
{
	slot->state = SLOT_WAITING;
	slot->tries += map->running == 0;
	map->waiting++;
	map->limit = map->running > 0 ? map->running : 1;
	map->retry_ms = map->running > 0 ? 0 : session_now_ms() + BUSY_MS;
}

static void on_done(struct procpool *pp, const struct procpool_outcome *outcome, void *data)
{
	(void)pp;
	struct slot *slot = data;
	struct map *map = slot->owner;
	map->running--;
	if (outcome->code == PROCPOOL_OK) {
		struct text *out = &slot->result;
		if (map->args->raw)
			json_write_raw(out, outcome->value);
		else
			json_write(out, outcome->value);
		text_add_char(out, '\n');
		map->limit += map->limit < map->args->window;
		if (out->size > map->largest)
			map->largest = out->size;
		end_item(map, slot, SLOT_DONE);
	} else if (error_concerns_all(outcome->code)) {
		map->unknown += outcome->code == PROCPOOL_ERR_LOST;
		stop(map, outcome);
	} else if (outcome->code == PROCPOOL_ERR_BUSY && slot->tries < BUSY_TRIES) {
		postpone(map, slot);
	} else {
		fail_item(map, slot, outcome);
	}
}

/* The call's arguments, an array, into map->arguments; or false with the reason. */
static bool build_arguments(struct map *map, const struct slot *slot, struct text *why)
{
	struct procpool_writer *w = &map->arguments;
	const char *data = slot->item.data ? slot->item.data : "";
	size_t size = slot->item.size;
	bool strings = map->args->strings;
	if (map->items.fd >= 0)
		strings = map->args->format != ITEMS_JSON;
	procpool_writer_reset(w);
	if (!map->args->star)
		procpool_write_array(w, 1);
	if (map->args->format == ITEMS_JSON && map->items.fd >= 0) {
		if (json_read(data, size, w, why) == JSON_OK)
			return true;
		struct text reason = *why;
		*why = (struct text){0};
		text_addf(why, "not JSON that can be sent: %s", text_cstring(&reason));
		text_fini(&reason);
		return false;
	}
	return argument_value(w, data, size, strings, why) == ARGUMENTS_OK;
}

static void submit(struct map *map, struct slot *slot)
{
	struct text why = {0};
	bool built = build_arguments(map, slot, &why);
	struct procpool_value arguments = procpool_writer_value(&map->arguments);
	if (built && map->arguments.error)
		text_no_memory();
	if (!built) {
		refuse_item(map, slot, PROCPOOL_ERR_INVALID, text_cstring(&why));
	} else if (procpool_value_type(arguments) != PROCPOOL_ARRAY) {
		refuse_item(map, slot, PROCPOOL_ERR_INVALID,
			    "with --star an item is an array of arguments");
	} else {
		struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
		slot->state = SLOT_RUNNING;
		outcome.code = procpool_apply_async(map->session->pp, map->function, arguments,
						    &map->options, on_done, slot, NULL);
		outcome.message = procpool_code_text(outcome.code);
		if (outcome.code == PROCPOOL_OK)
			map->running++;
		else if (error_concerns_all(outcome.code))
			stop(map, &outcome);
		else
			fail_item(map, slot, &outcome);
	}
	text_fini(&why);
}

static bool has_room(const struct map *map)
{
	size_t expected = map->window.held_bytes + map->running * map->largest;
	return !map->stopping && map->running < map->limit && map->waiting == 0 &&
	       !window_is_full(&map->window) && expected < HELD_BYTES_MAX &&
	       output_size(&map->session->output) < OUTPUT_BYTES_MAX;
}

static void resubmit(struct map *map)
{
	struct slot *slot;
	if (map->waiting == 0 || session_now_ms() < map->retry_ms)
		return;
	while (!map->stopping && map->running < map->limit &&
	       (slot = window_waiting(&map->window))) {
		map->waiting--;
		submit(map, slot);
	}
}

/* Submits what there is room for. Whether more input is wanted. */
static bool fill(struct map *map)
{
	const char *data;
	size_t size;
	resubmit(map);
	while (has_room(map)) {
		switch (items_next(&map->items, &data, &size)) {
		case ITEMS_READY:
			if (size == 0 && map->args->format == ITEMS_JSON && map->items.fd >= 0)
				break; /* an empty line is no value */
			submit(map, window_add(&map->window, data, size));
			break;
		case ITEMS_TOO_LARGE:
			refuse_item(map, window_add(&map->window, "", 0), PROCPOOL_ERR_TOO_LARGE,
				    "larger than 96 MiB, the most that can be sent");
			break;
		case ITEMS_MORE:
			return true;
		case ITEMS_END:
			map->items_ended = true;
			return false;
		}
	}
	return false;
}

static void write_errors(struct map *map)
{
	if (map->errors.size == 0)
		return;
	progress_erase(&map->progress);
	fwrite(map->errors.data, 1, map->errors.size, stderr);
	fflush(stderr);
	text_reset(&map->errors);
}

static int timeout_ms(const struct map *map)
{
	int progress = progress_timeout_ms(&map->progress);
	if (map->waiting == 0)
		return progress;
	int64_t left = map->retry_ms - session_now_ms();
	if (left <= 0) /* the limit is what holds them back */
		return progress;
	return progress >= 0 && progress < left ? progress : (int)left;
}

static bool is_over(const struct map *map)
{
	if (map->fatal.code != PROCPOOL_OK || map->halted)
		return true;
	return map->items_ended && window_is_empty(&map->window);
}

/* One turn: submit, show, sleep, read. */
static enum session_status turn(struct map *map, bool wants_input)
{
	bool readable = false;
	progress_update(&map->progress, map->done, map->failed, map->running);
	if (output_size(&map->session->output) > 0)
		progress_before_output(&map->progress);
	enum session_status status = session_turn(map->session, wants_input ? map->items.fd : -1,
						  timeout_ms(map), &readable);
	int result = status == SESSION_OK && readable ? items_read(&map->items) : 0;
	if (result < 0 && result != -EAGAIN && result != -EINTR) {
		struct procpool_outcome outcome = PROCPOOL_OUTCOME_INIT;
		struct text message = {0};
		text_addf(&message, "cannot read the items: %s", strerror(-result));
		outcome.code = PROCPOOL_ERR_SYSTEM;
		outcome.message = text_cstring(&message);
		stop(map, &outcome);
		text_fini(&message);
	}
	return status;
}

static enum session_status run(struct map *map)
{
	enum session_status status = SESSION_OK;
	while (status == SESSION_OK) {
		bool wants_input = fill(map);
		procpool_flush(map->session->pp);
		write_errors(map);
		if (is_over(map))
			break;
		status = turn(map, wants_input);
	}
	progress_erase(&map->progress);
	write_errors(map);
	return status;
}

static enum exit_status finish(struct map *map, enum session_status status)
{
	const struct arguments *args = map->args;
	bool lost = status == SESSION_LOST && map->fatal.code == PROCPOOL_OK;
	if (map->fatal.code != PROCPOOL_OK) {
		enum exit_status result = error_report(map->function, &map->fatal, args->json);
		if (map->unknown > 0 && !args->json)
			fprintf(stderr, "  %llu items were under way\n",
				(unsigned long long)map->unknown);
		return result;
	}
	if (status != SESSION_OK && !(lost && is_over(map)))
		return session_end(map->session, status);
	return map->failed > 0 ? STATUS_FAILED : STATUS_OK;
}

static const char *wrong_usage(const struct arguments *args)
{
	bool from_input = args->operand_count == 1;
	if (!from_input && args->format != ITEMS_LINES)
		return "map: -j and -0 say how standard input is read, but there are items already";
	if (from_input && args->star && args->format != ITEMS_JSON)
		return "map: --star needs items that are arrays: read them with -j";
	return NULL;
}

/* The named arguments of every item; or says what is wrong with them. */
static enum exit_status read_kwargs(const struct arguments *args, struct procpool_writer *ret)
{
	struct text why = {0};
	enum exit_status status = STATUS_OK;
	procpool_writer_init(ret);
	if (arguments_kwargs(ret, args, &why) != ARGUMENTS_OK)
		status = error_print(STATUS_USAGE, args->json, "usage", "%s", text_cstring(&why));
	else if (ret->error)
		text_no_memory();
	text_fini(&why);
	if (status != STATUS_OK)
		procpool_writer_fini(ret);
	return status;
}

/* kwargs: taken over. */
static void map_init(struct map *map, struct session *session, struct procpool_writer kwargs)
{
	const struct arguments *args = session->args;
	*map = (struct map){
		.session = session,
		.args = args,
		.function = args->operands[0],
		.options = PROCPOOL_OPTIONS_INIT,
		.fatal = PROCPOOL_OUTCOME_INIT,
		.limit = args->window < LIMIT_FIRST ? args->window : LIMIT_FIRST,
	};
	arguments_call_options(args, &map->options);
	map->options.kwargs = procpool_writer_value(&kwargs);
	map->kwargs = kwargs;
	if (args->operand_count > 1)
		items_init_argv(&map->items, args->operands + 1, args->operand_count - 1);
	else
		items_init_fd(&map->items, STDIN_FILENO, args->format == ITEMS_NUL ? '\0' : '\n',
			      ITEM_BYTES_MAX);
	window_init(&map->window, args->window, map);
	procpool_writer_init(&map->arguments);
	progress_init(&map->progress, !args->no_progress);
}

static void map_fini(struct map *map)
{
	/* The calls in flight end here, while their slots exist. */
	map->stopping = true;
	procpool_close(map->session->pp);
	map->session->pp = NULL;
	procpool_outcome_fini(&map->fatal);
	procpool_writer_fini(&map->arguments);
	procpool_writer_fini(&map->kwargs);
	window_fini(&map->window);
	items_fini(&map->items);
	text_fini(&map->errors);
}

enum exit_status command_map(struct session *session)
{
	struct map map;
	struct procpool_writer kwargs;
	const char *wrong = wrong_usage(session->args);
	if (wrong)
		return error_print(STATUS_USAGE, session->args->json, "usage", "%s", wrong);
	if (read_kwargs(session->args, &kwargs) != STATUS_OK)
		return STATUS_USAGE;
	map_init(&map, session, kwargs);
	enum exit_status status = finish(&map, run(&map));
	map_fini(&map);
	return status;
}
