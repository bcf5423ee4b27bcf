/* SPDX-License-Identifier: MIT */
/*
 * Payloads of messages as bytes objects. Large ones are received in the very object (channel.h,
 * "landing"), others are copied into one when they are asked for.
 */
#pragma once

#include <Python.h>
#include <stddef.h>

#include "procpool/value.h"
#include "runtime/channel.h"

#define INBOX_PATIENCE_MS 20

struct inbox {
	struct channel channel;
	struct procpool_value message; /* that was last handed out */
	bool patient;                  /* it waits without end */
	PyObject *landed[CHANNEL_LANDINGS_MAX];
	size_t landed_count;
};

/* Negative errno where there is no memory. */
int inbox_init(struct inbox *inbox, int fd);
void inbox_fini(struct inbox *inbox);

/* The next message in the buffer, as channel_next(); to be ended by inbox_end(). Needs no GIL. */
int inbox_next(struct inbox *inbox, struct procpool_value *ret);
/*
 * One blocking read, as channel_fill(); the GIL is left meanwhile. It may also return because a
 * signal has come: handlers are to be run then.
 *
 * A signal that comes after they were, and before the read has begun, ends no read. It is likely to
 * come there where somebody has waited for the worker's answer. So the first read in which nothing
 * comes ends after INBOX_PATIENCE_MS, and only further ones last until something does.
 */
int inbox_fill(struct inbox *inbox);
/* The message is done with. */
void inbox_end(struct inbox *inbox);

/* The payload of a str, bin or ext in the message (of an ext: with its type): a new reference. */
PyObject *inbox_payload(const struct inbox *inbox, const uint8_t *payload, size_t size);
/* A value in the message, with all that it holds: a new bytes object. */
PyObject *inbox_value(const struct inbox *inbox, struct procpool_value value);
