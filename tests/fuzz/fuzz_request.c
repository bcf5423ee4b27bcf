/* SPDX-License-Identifier: MIT */
/* A stream of messages as a daemon reads it: scanner, envelope, params, options. */
#include <assert.h>
#include <string.h>

#include "fuzz.h"
#include "proto/frame.h"
#include "proto/options.h"
#include "proto/request.h"

#define SIZE_MAX_BYTES 4096
#define DEPTH_MAX      8
#define NAME_MAX_BYTES 64

static void check_inside(const void *part, size_t part_size, const uint8_t *data, size_t size)
{
	const uint8_t *p = part;
	assert(part_size == 0 || (p >= data && part_size <= size && p <= data + size - part_size));
}

static void check_problem(const struct problem *problem)
{
	size_t length = strnlen(problem->text, sizeof(problem->text));
	assert(length > 0 && length < sizeof(problem->text));
	for (size_t i = 0; i < length; i++)
		assert(problem->text[i] >= ' ' && problem->text[i] <= '~');
}

static void check_call(const struct request *request)
{
	static const struct param table[] = {
		{"func", PARAM_STRING}, {"args", PARAM_ARRAY}, {"options", PARAM_ANY}};
	static const enum options_method methods[] = {OPTIONS_APPLY, OPTIONS_APPLY_ASYNC,
						      OPTIONS_MAP, OPTIONS_MAP_ASYNC};
	struct procpool_value params[3], whole = request->params;
	struct task_options options;
	struct problem problem;

	if (!params_read(whole, table, 2, 3, NAME_MAX_BYTES, params, &problem)) {
		check_problem(&problem);
		return;
	}
	assert(procpool_value_type(params[1]) == PROCPOOL_ARRAY);
	for (size_t i = 0; i < 3; i++)
		check_inside(params[i].data, params[i].size, whole.data, whole.size);
	for (size_t i = 0; i < 4; i++) {
		if (!task_options_parse(params[2], methods[i], NAME_MAX_BYTES, &options,
					&problem)) {
			check_problem(&problem);
			continue;
		}
		check_inside(options.pool.data, options.pool.size, whole.data, whole.size);
		check_inside(options.kwargs.data, options.kwargs.size, whole.data, whole.size);
		check_inside(options.pickle.data, options.pickle.size, whole.data, whole.size);
		assert(options.pool.size <= NAME_MAX_BYTES && !(options.stream && options.detach));
	}
}

static void check_message(const uint8_t *data, size_t size)
{
	struct request request, begun;
	enum request_kind kind = request_decode(data, size, &request);
	enum request_kind begin = request_begin(data, size, &begun);
	check_inside(request.method.data, request.method.size, data, size);
	check_inside(request.params.data, request.params.size, data, size);
	check_inside(request.error.data, request.error.size, data, size);
	check_inside(request.result.data, request.result.size, data, size);
	assert(kind == request.kind);
	if (kind == REQUEST_BAD || kind == REQUEST_VIOLATION)
		check_problem(&request.problem);
	/* What begins as a request can be answered, and what can be answered begins as a request.
	 */
	assert((begin == REQUEST_CALL) == (kind == REQUEST_CALL || kind == REQUEST_BAD));
	assert(begun.msgid == request.msgid);
	if (kind == REQUEST_CALL)
		check_call(&request);
}

/* Scans up to the end of one message or of the bytes, `step` bytes at a time. */
static enum frame_status scan(struct frame_scanner *scanner, const uint8_t *data, size_t size,
			      size_t step, size_t *ret_used)
{
	enum frame_status status = FRAME_MORE;
	size_t at = 0, used;
	while (at < size && status == FRAME_MORE) {
		size_t here = size - at < step ? size - at : step;
		status = frame_scan(scanner, data + at, here, &used);
		assert(used <= here && (status != FRAME_MORE || used == here));
		at += used;
	}
	*ret_used = at;
	return status;
}

/* A message that is too large is skipped as one scanner without a limit takes it. */
static enum frame_status skip(const uint8_t *data, size_t size, size_t step,
			      struct frame_scanner *scanner, size_t *used)
{
	struct frame_scanner unlimited;
	size_t rest, whole;
	frame_scanner_init(&unlimited, SIZE_MAX, DEPTH_MAX);
	scanner->size_max = SIZE_MAX;
	enum frame_status status = scan(scanner, data + *used, size - *used, step, &rest);
	assert(frame_scan(&unlimited, data, size, &whole) == status || status == FRAME_MORE);
	*used += rest;
	assert(status != FRAME_DONE || *used == whole);
	scanner->size_max = SIZE_MAX_BYTES;
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_scanner whole, pieces;
	size_t step = size > 0 ? 1U + data[size - 1] % 16U : 1;
	frame_scanner_init(&whole, SIZE_MAX_BYTES, DEPTH_MAX);
	frame_scanner_init(&pieces, SIZE_MAX_BYTES, DEPTH_MAX);

	while (size > 0) {
		size_t used, used_pieces;
		enum frame_status status = scan(&whole, data, size, size, &used);
		assert(scan(&pieces, data, size, step, &used_pieces) == status &&
		       used_pieces == used);
		if (status == FRAME_DONE) {
			assert(frame_value_size(data, data + size) == used);
			check_message(data, used);
		} else if (status == FRAME_TOO_LARGE) {
			struct request begun;
			size_t at = used;
			request_begin(data, used, &begun);
			status = skip(data, size, size, &whole, &used);
			assert(skip(data, size, step, &pieces, &at) == status && at == used);
		}
		if (status != FRAME_DONE)
			break;
		data += used;
		size -= used;
	}
	return 0;
}
