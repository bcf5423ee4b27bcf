/* SPDX-License-Identifier: MIT */
#include "runtime/task_runner.h"

#include <string.h>

#include "proto/frame.h"
#include "proto/worker.h"
#include "runtime/printed.h"

void task_runner_init(struct task_runner *runner, const struct settings *settings, int fd,
		      struct page *page, bool shared)
{
	memset(runner, 0, sizeof(*runner));
	runner->page = page;
	runner->offers_itself = !shared;
	outbox_init(&runner->outbox, page, fd);
	flusher_init(&runner->flusher, &runner->outbox);
	call_init(&runner->call, settings);
	runner->call.page = page;
	progress_init(&runner->call.progress, &runner->flusher);
	procpool_writer_init(&runner->message);
}

void task_runner_fini(struct task_runner *runner)
{
	call_fini(&runner->call);
	procpool_writer_fini(&runner->message);
}

int task_runner_call(struct task_runner *runner, procpool_function_fn fn)
{
	lock_leave(&runner->flusher.lock);
	int status = fn(&runner->call);
	/* A full pipe must not hold up what the flusher sends. */
	printed_flush();
	lock_take(&runner->flusher.lock);
	return status;
}

/* Calls the function with the arguments that the item stands for. */
static int call_with(struct task_runner *runner, const char *name, procpool_function_fn fn,
		     const uint8_t *item, const uint8_t *item_end)
{
	struct procpool_call *call = &runner->call;
	if (!runner->task->star) {
		call_begin(call, name, item, item_end, 1);
		return task_runner_call(runner, fn);
	}
	struct frame_header array;
	frame_header_decode(item, (size_t)(item_end - item), &array);
	call_begin(call, name, item + array.size, item_end, (size_t)array.children);
	if (array.kind != PROCPOOL_ARRAY)
		return procpool_arg_fail(call, "the arguments of %s must be an array, not %s", name,
					 procpool_type_name((enum procpool_type)array.kind));
	return task_runner_call(runner, fn);
}

/* [19 or 20, seq, index, microseconds, ...: a message of one element up to what it carries. */
static struct procpool_writer *begin_message(struct task_runner *runner, enum worker_message number,
					     uint32_t seq, uint32_t index)
{
	struct procpool_writer *w = &runner->message;
	procpool_writer_reset(w);
	procpool_write_array(w, 5);
	procpool_write_int(w, number);
	procpool_write_uint(w, seq);
	procpool_write_uint(w, index);
	procpool_write_uint(w, flusher_take_time(&runner->flusher));
	return w;
}

static int add_error(struct task_runner *runner, uint32_t seq, uint32_t index)
{
	flusher_close_run(&runner->flusher);
	struct procpool_writer *w = begin_message(runner, MSG_ERROR, seq, index);
	call_write_error(&runner->call, w);
	if (w->error) {
		/* No memory for the details. The error itself needs less than the writer has by
		 * now. */
		w = begin_message(runner, MSG_ERROR, seq, index);
		procpool_write_map(w, 2);
		procpool_write_string(w, "code");
		procpool_write_string(w, error_name(runner->call.error));
		procpool_write_string(w, "message");
		procpool_write_string(w, "");
	}
	return outbox_add(&runner->outbox, procpool_writer_value(w), (struct procpool_value){0});
}

/* A value that no run has room for: in a message of its own. It may come in two parts. */
static int add_large_value(struct task_runner *runner, uint32_t seq, uint32_t index,
			   struct procpool_value head, struct procpool_value rest)
{
	struct procpool_writer *w = begin_message(runner, MSG_RESULT, seq, index);
	procpool_write_array(w, 1);
	procpool_write_value(w, head);
	return outbox_add(&runner->outbox, procpool_writer_value(w), rest);
}

static int add_value(struct task_runner *runner, uint32_t seq, uint32_t index,
		     struct procpool_value value)
{
	struct outbox *outbox = &runner->outbox;
	if (outbox->values > 0 ? outbox_extend_run(outbox, value)
			       : outbox_open_run(outbox, seq, index, value))
		return 0;
	int r = flusher_flush(&runner->flusher);
	if (r < 0 || outbox_open_run(outbox, seq, index, value))
		return r;
	return add_large_value(runner, seq, index, (struct procpool_value){0}, value);
}

static int add_split_value(struct task_runner *runner, uint32_t seq, uint32_t index,
			   struct procpool_value head)
{
	int r = flusher_flush(&runner->flusher);
	return r < 0 ? r : add_large_value(runner, seq, index, head, runner->call.borrowed);
}

static int run_element(struct task_runner *runner, const char *name, procpool_function_fn fn,
		       uint32_t index, const uint8_t *item, const uint8_t *item_end)
{
	struct procpool_call *call = &runner->call;
	struct procpool_value value;
	int status = call_with(runner, name, fn, item, item_end);
	if (call_has_kept_progress(call))
		progress_end(call);
	uint32_t seq = runner->task->seq;
	int r;
	if (call_value(call, status, &value) < 0)
		r = add_error(runner, seq, index);
	else if (call->source == CALL_SPLIT)
		r = add_split_value(runner, seq, index, value);
	else
		r = add_value(runner, seq, index, value);
	if (call->error != ERR_NONE || call_is_large(call))
		call_end(call);
	if (r == 0 && atomic_load_explicit(&runner->flusher.wanted, memory_order_relaxed))
		r = flusher_flush(&runner->flusher);
	return r;
}

int task_runner_run(struct task_runner *runner, const struct task *task, const char *name,
		    procpool_function_fn fn)
{
	const uint8_t *item = task->items;
	runner->task = task;
	runner->call.job = task->job;
	runner->call.attempt = task->attempt;
	if (runner->offers_itself)
		page_offer(runner->page, task->seq);
	for (uint32_t i = 0; i < task->count; i++) {
		if (!outbox_is_empty(&runner->outbox)) {
			int r = flusher_arm(&runner->flusher);
			if (r < 0)
				return r;
		}
		if (task->has_timeout)
			page_begin(runner->page, flusher_clock_ns() / 1000);
		if (!page_claim(runner->page, task->seq, i))
			break;
		runner->call.element = page_element(task->seq, i);
		const uint8_t *item_end = item + frame_value_size(item, task->items_end);
		int r = run_element(runner, name, fn, i, item, item_end);
		if (r < 0)
			return r;
		item = item_end;
	}
	flusher_close_run(&runner->flusher);
	return 0;
}
