/* SPDX-License-Identifier: MIT */
#include "runtime/python/inbox.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "proto/large.h"
#include "runtime/python/compat.h"

/* Called within channel_fill(), without the GIL. */
static uint8_t *land(void *data, size_t size)
{
	struct inbox *inbox = data;
	if (inbox->landed_count == CHANNEL_LANDINGS_MAX || size > PY_SSIZE_T_MAX)
		return NULL;
	PyGILState_STATE state = PyGILState_Ensure();
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	uint8_t *memory = NULL;
	if (bytes) {
		memory = (uint8_t *)PyBytes_AS_STRING(bytes);
		large_advise(memory, size);
		inbox->landed[inbox->landed_count++] = bytes;
	} else {
		PyErr_Clear();
	}
	PyGILState_Release(state);
	return memory;
}

static void set_patience(struct inbox *inbox, bool patient)
{
	const struct timeval timeout = {.tv_usec = patient ? 0 : INBOX_PATIENCE_MS * 1000};
	inbox->patient = patient;
	setsockopt(inbox->channel.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

int inbox_init(struct inbox *inbox, int fd)
{
	memset(inbox, 0, sizeof(*inbox));
	int r = channel_init(&inbox->channel, fd, false);
	inbox->channel.land = land;
	inbox->channel.land_data = inbox;
	set_patience(inbox, false);
	return r;
}

void inbox_fini(struct inbox *inbox)
{
	inbox_end(inbox);
	set_patience(inbox, true);
	channel_fini(&inbox->channel);
}

int inbox_next(struct inbox *inbox, struct procpool_value *ret)
{
	int r = channel_next(&inbox->channel, &inbox->message);
	if (r == CHANNEL_MESSAGE)
		*ret = inbox->message;
	return r;
}

int inbox_fill(struct inbox *inbox)
{
	const struct channel *channel = &inbox->channel;
	size_t had = channel->end - channel->begin;
	int r;
	Py_BEGIN_ALLOW_THREADS;
	r = channel_fill(&inbox->channel);
	Py_END_ALLOW_THREADS;
	bool came = channel->end - channel->begin != had;
	if (came == inbox->patient)
		set_patience(inbox, !came);
	return r;
}

void inbox_end(struct inbox *inbox)
{
	while (inbox->landed_count > 0)
		Py_DECREF(inbox->landed[--inbox->landed_count]);
}

/* The object that has this memory, borrowed. */
static PyObject *find_landed(const struct inbox *inbox, const uint8_t *memory)
{
	for (size_t i = 0; i < inbox->landed_count; i++)
		if ((const uint8_t *)PyBytes_AS_STRING(inbox->landed[i]) == memory)
			return inbox->landed[i];
	return NULL;
}

PyObject *inbox_payload(const struct inbox *inbox, const uint8_t *payload, size_t size)
{
	const uint8_t *memory = inbox->landed_count > 0
					? channel_landed(&inbox->channel, inbox->message, payload)
					: NULL;
	if (memory)
		return Py_XNewRef(find_landed(inbox, memory));
	return PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)size);
}

PyObject *inbox_value(const struct inbox *inbox, struct procpool_value value)
{
	PyObject *bytes =
		PyBytes_FromStringAndSize((const char *)value.data, (Py_ssize_t)value.size);
	const struct channel *channel = &inbox->channel;
	for (size_t i = 0; bytes && i < channel->landing_count; i++) {
		/* What has landed is a hole in the message. */
		const struct channel_landing *landing = &channel->landings[i];
		const uint8_t *at = inbox->message.data + landing->at;
		PyObject *landed = find_landed(inbox, landing->memory);
		if (landed && at >= value.data && at < value.data + value.size)
			memcpy(PyBytes_AS_STRING(bytes) + (at - value.data), landing->memory,
			       (size_t)PyBytes_GET_SIZE(landed));
	}
	return bytes;
}
