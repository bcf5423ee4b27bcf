/* SPDX-License-Identifier: MIT */
#include "runtime/progress.h"

#include "proto/limit_table.h"
#include "proto/worker.h"
#include "runtime/call.h"
#include "runtime/flusher.h"

void progress_init(struct progress *progress, struct flusher *flusher)
{
	*progress = (struct progress){.flusher = flusher};
	procpool_writer_init(&progress->kept);
}

void progress_fini(struct progress *progress)
{
	procpool_writer_fini(&progress->kept);
}

/* Whether one may be told now; then it counts. */
static bool take(struct progress *progress)
{
	uint64_t now_ns = flusher_clock_ns();
	double passed = (double)(now_ns - progress->last_ns) / 1e9;
	progress->allowed += passed * PROGRESS_PER_SECOND;
	if (progress->last_ns == 0 || progress->allowed > PROGRESS_AT_ONCE)
		progress->allowed = PROGRESS_AT_ONCE;
	progress->last_ns = now_ns;
	if (progress->allowed < 1)
		return false;
	progress->allowed--;
	return true;
}

/* [24, seq, index, value] */
static void write_message(struct procpool_writer *w, const struct procpool_call *call,
			  struct procpool_value value)
{
	procpool_writer_init(w);
	procpool_write_array(w, 4);
	procpool_write_int(w, MSG_PROGRESS);
	procpool_write_uint(w, call->element >> 32);
	procpool_write_uint(w, (call->element & UINT32_MAX) - 1);
	procpool_write_value(w, value);
}

/* Tells it now, or keeps it. */
static int tell(struct procpool_call *call, struct procpool_value value)
{
	struct progress *progress = &call->progress;
	struct procpool_writer w;
	procpool_writer_reset(&progress->kept);
	if (!take(progress)) {
		procpool_write_value(&progress->kept, value);
		return progress->kept.error ? -1 : 0;
	}
	write_message(&w, call, value);
	flusher_send_early(progress->flusher, procpool_writer_value(&w));
	procpool_writer_fini(&w);
	return 0;
}

int procpool_progress(struct procpool_call *call, struct procpool_value value)
{
	if (!call_can_tell(call, value, LIMITS_DEFAULT.progress_bytes))
		return -1;
	lock_take(&call->progress.flusher->lock);
	/* Nobody waits for an initializer. */
	int r = call->element == 0 ? 0 : tell(call, value);
	lock_release(&call->progress.flusher->lock);
	return r;
}

int procpool_progress_of(struct procpool_call *call, uint64_t done, uint64_t total)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_map(&w, 2);
	procpool_write_string(&w, "done");
	procpool_write_uint(&w, done);
	procpool_write_string(&w, "total");
	procpool_write_uint(&w, total);
	int r = procpool_progress(call, procpool_writer_value(&w));
	procpool_writer_fini(&w);
	return r;
}

void progress_end(struct procpool_call *call)
{
	struct progress *progress = &call->progress;
	struct procpool_writer w;
	if (take(progress)) {
		write_message(&w, call, procpool_writer_value(&progress->kept));
		flusher_send_early(progress->flusher, procpool_writer_value(&w));
		procpool_writer_fini(&w);
	}
	procpool_writer_reset(&progress->kept);
}
