/* SPDX-License-Identifier: MIT */
/*
 * A daemon made of one thread and a script: it listens at a socket of its own and says, byte for
 * byte, what a test wants. What it checks itself ends the whole test program, since cmocka's
 * asserts work in the main thread only.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "procpool.h"

#define FAKE_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: fake daemon: %s\n", __FILE__, __LINE__,            \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fake;
typedef void (*fake_script_fn)(struct fake *fake);

struct fake {
	char dir[64], path[96];
	int listen_fd;
	int fd; /* of the connection accepted last, or -1 */
	pthread_t thread;
	bool running;
	fake_script_fn script;
	void *data; /* the script's */
	uint8_t *in;
	size_t in_size, in_taken, in_capacity; /* in_taken: of the request read last */
};

/* A request as the daemon sees it, good until the next is read. */
struct fake_request {
	uint64_t msgid;
	struct procpool_value method, params;
};

/* Listens; then runs the script in a thread. fake_stop() waits for its end. */
struct fake *fake_start(fake_script_fn script, void *data);
void fake_stop(struct fake *fake);

/* A connection to it, with hello answered by the script. */
struct procpool *fake_connect(struct fake *fake);

/* What a call ended with, and how often: the data of note_end(). */
struct end {
	int count;
	enum procpool_code code;
};
void note_end(struct procpool *pp, const struct procpool_outcome *outcome, void *data);

/* For scripts. */
void fake_accept(struct fake *fake);       /* a connection; the one before is closed */
void fake_accept_hello(struct fake *fake); /* and answers its hello */
void fake_answer_hello(struct fake *fake);
bool fake_read(struct fake *fake, struct fake_request *ret); /* false: the client has closed */
/* The next request, which must be of this method. */
struct fake_request fake_expect(struct fake *fake, const char *method);
void fake_send(struct fake *fake, const void *data, size_t size);
#define FAKE_SEND(fake, literal) fake_send((fake), (literal), sizeof(literal) - 1)
/* Answers: text in MessagePack. */
void fake_answer(struct fake *fake, uint64_t msgid, struct procpool_value error,
		 struct procpool_value value);
void fake_answer_int(struct fake *fake, uint64_t msgid, int64_t value);
/* A script: answers 1 to every request of one connection. */
void fake_serve_pings(struct fake *fake);
void fake_hang_up(struct fake *fake);
/* Waits until the client has closed, reading what it still says. */
void fake_until_closed(struct fake *fake);

/* A value from a literal of MessagePack. The bytes are written in octal, since a hexadecimal escape
 * would swallow letters that follow: \20n is a map of n, \22n an array of n, \24n a string of n
 * bytes, \300 nil, \302 false, \303 true. */
#define V(literal) ((struct procpool_value){(const uint8_t *)(literal), sizeof(literal) - 1})
#define NO_VALUE   ((struct procpool_value){NULL, 0})
