/* SPDX-License-Identifier: MIT */
/*
 * The envelope of MessagePack-RPC: what kind of message one frame is, and where its parts are.
 * Nothing is copied and nothing inside method and params is looked at.
 *
 * A frame is one complete message that frame_scan() has accepted. Decoding tells apart what can be
 * answered, because its msgid is readable (REQUEST_BAD), from what cannot (REQUEST_VIOLATION), as
 * PROTOCOL.md says in "When the stream cannot be followed".
 *
 * Serves both sides: a daemon is sent calls and notifications, a client responses and
 * notifications; to each, what only the other is sent is a violation.
 */
#pragma once

#include "proto/problem.h"
#include "proto/slice.h"

enum request_kind {
	REQUEST_CALL,         /* [0, msgid, method, params] */
	REQUEST_RESPONSE,     /* [1, msgid, error, result] */
	REQUEST_NOTIFICATION, /* [2, method, params] */
	REQUEST_BAD,       /* a call that is wrong: answer msgid with bad-request and the problem */
	REQUEST_VIOLATION, /* nothing of the kind: push `error` with the problem and close */
};

/* Everything is borrowed from the frame. Parts that a kind does not have are empty. */
struct request {
	enum request_kind kind;
	uint32_t msgid; /* of calls, bad calls and responses */
	struct slice method;
	struct procpool_value params; /* an array */
	struct procpool_value error;
	struct procpool_value result;
	struct problem problem; /* of REQUEST_BAD and REQUEST_VIOLATION, otherwise undefined */
};

/* Decodes one complete frame. Returns ret->kind. */
enum request_kind request_decode(const uint8_t *frame, size_t size, struct request *ret);

/*
 * The same of a frame of which only the beginning is at hand, because it is too large: REQUEST_CALL
 * (answer msgid with too-large), REQUEST_RESPONSE, REQUEST_NOTIFICATION or REQUEST_VIOLATION;
 * method, params and the rest stay empty. The beginning is what frame_scan() took up to
 * FRAME_TOO_LARGE; where the scanner allows at least REQUEST_BEGIN_MAX bytes, it tells the kind of
 * every message.
 */
enum request_kind request_begin(const uint8_t *data, size_t size, struct request *ret);

#define REQUEST_BEGIN_MAX 23U /* array 32, and a kind and a msgid of 9 bytes each */
