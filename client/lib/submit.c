/* SPDX-License-Identifier: MIT */
/*
 * Making requests: they are written straight into the link's queue, and taken back out of it
 * where something fails, so that a request is queued whole or not at all.
 */
#include <string.h>

#include "connection.h"
#include "proto/frame.h"

#define FLUSH_BYTES ((size_t)64 << 10)

/* Containers of a message around args, and around kwargs: message, params, options. */
#define ARGS_DEPTH   (FRAME_DEPTH_MAX - 2)
#define KWARGS_DEPTH (FRAME_DEPTH_MAX - 3)

/* A request that is being written. */
struct request {
	struct procpool *pp;
	struct procpool_call *call;
	struct procpool_writer *w; /* the link's queue */
	size_t start;              /* where in it the request begins */
};

/*
 * Whether a value given by the caller is one whole value of this type. A writer that was used
 * wrongly makes bytes after which the daemon could not follow the stream any more, and every
 * other call on the connection would pay for it.
 */
static bool whole(struct procpool_value value, enum procpool_type type, unsigned depth)
{
	struct frame_scanner scanner;
	size_t used;
	frame_scanner_init(&scanner, value.size, depth);
	return procpool_value_type(value) == type &&
	       frame_scan(&scanner, value.data, value.size, &used) == FRAME_DONE &&
	       used == value.size;
}

/* Begins [0, msgid, method, params with `count` elements]. */
static enum procpool_code request_begin(struct request *r, struct procpool *pp,
					procpool_call_fn callback, void *data)
{
	enum procpool_code code = connection_usable(pp);
	if (code != PROCPOOL_OK)
		return code;
	if (pp->state == PROCPOOL_LOST)
		return PROCPOOL_ERR_NOT_SENT;
	r->pp = pp;
	r->call = call_take(&pp->calls, pp, callback, data);
	if (!r->call)
		return PROCPOOL_ERR_NO_MEMORY;
	r->w = &pp->link.out;
	r->start = r->w->size;
	procpool_write_array(r->w, 4);
	procpool_write_uint(r->w, 0);
	procpool_write_uint(r->w, r->call->msgid);
	return PROCPOOL_OK;
}

/* Unmakes it. Returns code. */
static enum procpool_code request_abort(struct request *r, enum procpool_code code)
{
	r->w->size = r->start;
	r->w->error = 0;
	stream_destroy(&r->pp->streams, r->call->stream);
	r->call->stream = NULL;
	call_land(&r->pp->calls, r->call);
	call_release(&r->pp->calls, r->call);
	return code;
}

/* The request is complete: from here on the call will end. */
static enum procpool_code request_end(struct request *r, struct procpool_call **ret_call)
{
	struct procpool *pp = r->pp;
	if (r->w->error)
		return request_abort(r, PROCPOOL_ERR_NO_MEMORY);
	if (r->w->size - r->start > pp->message_max)
		return request_abort(r, PROCPOOL_ERR_TOO_LARGE);
	r->call->queued_end = link_queued_end(&pp->link);
	r->call->held = !r->call->callback && ret_call;
	if (ret_call)
		*ret_call = r->call;
	if (link_queued(&pp->link) >= FLUSH_BYTES)
		link_flush(&pp->link);
	return PROCPOOL_OK;
}

/* An array of the caller's, of size 0 for an empty one. */
static void write_array_of(struct procpool_writer *w, struct procpool_value array)
{
	if (array.size > 0)
		procpool_write_value(w, array);
	else
		procpool_write_array(w, 0);
}

enum procpool_code procpool_request_async(struct procpool *pp, const char *method,
					  struct procpool_value params, procpool_call_fn callback,
					  void *data, struct procpool_call **ret_call)
{
	struct request r;
	if (params.size > 0 && !whole(params, PROCPOOL_ARRAY, ARGS_DEPTH))
		return PROCPOOL_ERR_INVALID;
	enum procpool_code code = request_begin(&r, pp, callback, data);
	if (code != PROCPOOL_OK)
		return code;
	procpool_write_string(r.w, method);
	write_array_of(r.w, params);
	return request_end(&r, ret_call);
}

static void write_flag(struct procpool_writer *w, const char *key, bool set)
{
	if (!set)
		return;
	procpool_write_string(w, key);
	procpool_write_bool(w, true);
}

static void write_seconds(struct procpool_writer *w, const char *key, double seconds)
{
	if (!(seconds > 0))
		return;
	procpool_write_string(w, key);
	procpool_write_double(w, seconds);
}

/* The options map, or nothing where there are no options. Adding an option touches the struct in
 * the header, its initialiser, and both halves of this function. */
static void write_options(struct procpool_writer *w, const struct procpool_options *o)
{
	procpool_write_map(w, (size_t)(o->pool != NULL) + (o->kwargs.size > 0) +
				      (o->chunksize > 0) + o->star + o->collect + o->detach +
				      (o->on_items != NULL) + (o->timeout > 0) + (o->expires > 0) +
				      (o->retries > 0) + (o->priority != 0) + (o->parent > 0));
	if (o->pool) {
		procpool_write_string(w, "pool");
		procpool_write_string(w, o->pool);
	}
	if (o->kwargs.size > 0) {
		procpool_write_string(w, "kwargs");
		procpool_write_value(w, o->kwargs);
	}
	if (o->chunksize > 0) {
		procpool_write_string(w, "chunksize");
		procpool_write_uint(w, o->chunksize);
	}
	write_flag(w, "star", o->star);
	if (o->collect) {
		procpool_write_string(w, "errors");
		procpool_write_string(w, "collect");
	}
	write_flag(w, "detach", o->detach);
	write_flag(w, "stream", o->on_items != NULL);
	write_seconds(w, "timeout", o->timeout);
	write_seconds(w, "expires", o->expires);
	if (o->retries > 0) {
		procpool_write_string(w, "retries");
		procpool_write_uint(w, o->retries);
	}
	if (o->priority != 0) {
		procpool_write_string(w, "priority");
		procpool_write_int(w, o->priority);
	}
	if (o->parent > 0) {
		procpool_write_string(w, "parent");
		procpool_write_uint(w, o->parent);
	}
}

/* One of the four methods that run a function. */
static enum procpool_code submit(struct procpool *pp, const char *method, const char *func,
				 struct procpool_value args, const struct procpool_options *options,
				 procpool_call_fn callback, void *data,
				 struct procpool_call **ret_call)
{
	struct procpool_options o = PROCPOOL_OPTIONS_INIT;
	struct request r;
	if (options && options->size == 0)
		return PROCPOOL_ERR_INVALID; /* not initialised: would be ignored in silence */
	if (options)                         /* shorter in an older program, longer in a newer */
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (o.on_items) {
		if (strcmp(method, "map") != 0)
			return PROCPOOL_ERR_INVALID;
		method = "map_async";
	}
	if ((args.size > 0 && !whole(args, PROCPOOL_ARRAY, ARGS_DEPTH)) ||
	    (o.kwargs.size > 0 && !whole(o.kwargs, PROCPOOL_MAP, KWARGS_DEPTH)))
		return PROCPOOL_ERR_INVALID;
	enum procpool_code code = request_begin(&r, pp, callback, data);
	if (code != PROCPOOL_OK)
		return code;
	if (o.on_items) {
		r.call->stream = stream_create(r.call, o.on_items, o.items_data);
		if (!r.call->stream)
			return request_abort(&r, PROCPOOL_ERR_NO_MEMORY);
	}
	procpool_write_string(r.w, method);
	procpool_write_array(r.w, options ? 3 : 2);
	procpool_write_string(r.w, func);
	write_array_of(r.w, args);
	if (options)
		write_options(r.w, &o);
	return request_end(&r, ret_call);
}

enum procpool_code procpool_apply_async(struct procpool *pp, const char *func,
					struct procpool_value args,
					const struct procpool_options *options,
					procpool_call_fn callback, void *data,
					struct procpool_call **ret_call)
{
	return submit(pp, "apply", func, args, options, callback, data, ret_call);
}

enum procpool_code procpool_map_async(struct procpool *pp, const char *func,
				      struct procpool_value items,
				      const struct procpool_options *options,
				      procpool_call_fn callback, void *data,
				      struct procpool_call **ret_call)
{
	return submit(pp, "map", func, items, options, callback, data, ret_call);
}

enum procpool_code submit_job(struct procpool *pp, const char *method, const char *func,
			      struct procpool_value args, const struct procpool_options *options,
			      procpool_call_fn callback, void *data)
{
	return submit(pp, method, func, args, options, callback, data, NULL);
}

enum procpool_code submit_cancel(struct procpool *pp, struct procpool_call *call)
{
	struct request r;
	enum procpool_code code = request_begin(&r, pp, NULL, NULL);
	if (code != PROCPOOL_OK)
		return code;
	procpool_write_string(r.w, "cancel");
	procpool_write_array(r.w, 1);
	if (call->stream) {
		procpool_write_uint(r.w, call->stream->job);
	} else {
		procpool_write_map(r.w, 1);
		procpool_write_string(r.w, "request");
		procpool_write_uint(r.w, call->msgid);
	}
	return request_end(&r, NULL);
}

enum procpool_code procpool_call_cancel(struct procpool_call *call)
{
	enum procpool_code code = connection_usable(call->pp);
	if (code != PROCPOOL_OK || !call->in_flight)
		return code;
	if (call->stream && call->stream->job == 0) {
		call->cancel = true;
		return PROCPOOL_OK;
	}
	return submit_cancel(call->pp, call);
}
