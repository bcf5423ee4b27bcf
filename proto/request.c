/* SPDX-License-Identifier: MIT */
#include "proto/request.h"

#include "proto/frame.h"

/* The numbers on the wire. */
enum { KIND_REQUEST = 0, KIND_RESPONSE = 1, KIND_NOTIFICATION = 2 };

static const char no_envelope[] =
	"a message is an array: [0, msgid, method, params], [1, msgid, error, result] "
	"or [2, method, params]";

static enum request_kind bad(struct request *request, const char *problem)
{
	problem_set(&request->problem, "%s", problem);
	return request->kind = REQUEST_BAD;
}

static enum request_kind violation(struct request *request, const char *problem)
{
	problem_set(&request->problem, "%s", problem);
	return request->kind = REQUEST_VIOLATION;
}

/* Reads an integer and moves *p behind it. False: it is none, or cut. */
static bool next_uint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	struct frame_header header;
	if (*p == end || frame_header_decode(*p, (size_t)(end - *p), &header) != 0 ||
	    header.kind != PROCPOOL_INT || header.payload > (size_t)(end - *p) - header.size)
		return false;
	struct procpool_value value = {*p, header.size + (size_t)header.payload};
	*p += value.size;
	return procpool_value_uint(value, ret);
}

/* Reads the array header, the kind and, where there is one, the msgid; *p is then behind them. */
static enum request_kind begin(const uint8_t **p, const uint8_t *end, uint64_t *ret_count,
			       struct request *ret)
{
	struct frame_header header;
	uint64_t kind, msgid;

	*ret = (struct request){0};
	if (*p == end || frame_header_decode(*p, (size_t)(end - *p), &header) != 0 ||
	    header.kind != PROCPOOL_ARRAY)
		return violation(ret, no_envelope);
	*p += header.size;
	*ret_count = header.children;
	if (*ret_count == 0 || !next_uint(p, end, &kind) || kind > KIND_NOTIFICATION)
		return violation(ret, no_envelope);
	if (kind == KIND_NOTIFICATION) {
		ret->kind = REQUEST_NOTIFICATION;
		return *ret_count == 3 ? ret->kind : violation(ret, no_envelope);
	}
	if (*ret_count == 1 || !next_uint(p, end, &msgid) || msgid > UINT32_MAX)
		return violation(ret, "a msgid is an integer from 0 to 2^32-1");
	ret->msgid = (uint32_t)msgid;
	ret->kind = kind == KIND_REQUEST ? REQUEST_CALL : REQUEST_RESPONSE;
	if (ret->kind == REQUEST_RESPONSE && *ret_count != 4)
		return violation(ret, no_envelope);
	return ret->kind;
}

enum request_kind request_begin(const uint8_t *data, size_t size, struct request *ret)
{
	uint64_t count;
	return begin(&data, data + size, &count, ret);
}

enum request_kind request_decode(const uint8_t *frame, size_t size, struct request *ret)
{
	const uint8_t *p = frame, *end = frame + size;
	uint64_t count;

	if (begin(&p, end, &count, ret) == REQUEST_VIOLATION)
		return REQUEST_VIOLATION;
	if (ret->kind == REQUEST_CALL && count != 4)
		return bad(ret, "a request has four elements");

	/* Two values are left, and the last one ends where the frame ends. */
	size_t third = frame_value_size(p, end);
	struct procpool_value first = {p, third}, last = {p + third, (size_t)(end - p) - third};
	if (ret->kind == REQUEST_RESPONSE) {
		ret->error = first;
		ret->result = last;
		return ret->kind;
	}
	bool called = ret->kind == REQUEST_CALL;
	if (!slice_of(first, &ret->method))
		return called ? bad(ret, "the method must be a string")
			      : violation(ret, no_envelope);
	if (procpool_value_type(last) != PROCPOOL_ARRAY)
		return called ? bad(ret, "params must be an array") : violation(ret, no_envelope);
	ret->params = last;
	return ret->kind;
}
