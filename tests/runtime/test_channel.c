/* SPDX-License-Identifier: MIT */
#include "runtime/channel.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE      ((size_t)3 * CHANNEL_LAND_MIN)
#define LARGER     ((size_t)5 << 20)
#define GIVEN_MAX  (CHANNEL_LANDINGS_MAX + 4)
#define HEADER_BIN 5 /* bin 32: what comes before a large payload */

struct world {
	int fd; /* the daemon's end */
	int runtime_fd;
	struct channel channel;
	pthread_t writer;

	uint8_t *given[GIVEN_MAX];
	size_t given_count;
	size_t given_max;

	uint8_t *bytes; /* what the daemon writes */
	size_t size;
};

static uint8_t *give(void *data, size_t size)
{
	struct world *world = data;
	if (world->given_count == world->given_max)
		return NULL;
	uint8_t *memory = malloc(size);
	assert_non_null(memory);
	world->given[world->given_count++] = memory;
	return memory;
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int fds[2];
	assert_non_null(world);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	world->fd = fds[0];
	world->runtime_fd = fds[1];
	world->given_max = GIVEN_MAX;
	assert_int_equal(channel_init(&world->channel, fds[1], false), 0);
	world->channel.land = give;
	world->channel.land_data = world;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	close(world->fd);
	close(world->runtime_fd);
	channel_fini(&world->channel);
	for (size_t i = 0; i < world->given_count; i++)
		free(world->given[i]);
	free(world->bytes);
	free(world);
	return 0;
}

/* ---- the daemon ---- */

static void add(struct world *world, const void *data, size_t size)
{
	world->bytes = realloc(world->bytes, world->size + size);
	assert_non_null(world->bytes);
	memcpy(world->bytes + world->size, data, size);
	world->size += size;
}

/* Bytes that start with `first` and end with `first` + 1. */
static void add_bin(struct world *world, size_t size, uint8_t first)
{
	uint8_t header[HEADER_BIN] = {0xc6, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
				      (uint8_t)(size >> 8), (uint8_t)size};
	uint8_t *payload = calloc(1, size);
	assert_non_null(payload);
	payload[0] = first;
	payload[size - 1] = (uint8_t)(first + 1);
	add(world, header, sizeof(header));
	add(world, payload, size);
	free(payload);
}

static void *write_all(void *data)
{
	struct world *world = data;
	struct iovec iov = {world->bytes, world->size};
	channel_send(world->fd, &iov, 1);
	return NULL;
}

static void start_writing(struct world *world)
{
	assert_int_equal(pthread_create(&world->writer, NULL, write_all, world), 0);
}

static struct procpool_value receive(struct world *world)
{
	struct procpool_value message;
	assert_int_equal(channel_wait(&world->channel, &message), CHANNEL_MESSAGE);
	return message;
}

static void end_writing(struct world *world)
{
	assert_int_equal(pthread_join(world->writer, NULL), 0);
	world->size = 0;
}

/* ---- */

static void assert_payload(const uint8_t *payload, size_t size, uint8_t first)
{
	assert_int_equal(payload[0], first);
	assert_int_equal(payload[size - 1], first + 1);
}

static const uint8_t *payload_of(struct procpool_value value)
{
	const void *payload;
	size_t size;
	assert_true(procpool_value_bytes(value, &payload, &size));
	return payload;
}

/* The element of that index lies in memory that was given. */
static void assert_landed(struct world *world, struct procpool_value message, size_t index,
			  size_t size, uint8_t first)
{
	const uint8_t *payload = payload_of(procpool_value_at(message, index));
	const uint8_t *landed = channel_landed(&world->channel, message, payload);
	assert_non_null(landed);
	assert_payload(landed, size, first);
}

static void assert_in_message(struct world *world, struct procpool_value message, size_t index,
			      size_t size, uint8_t first)
{
	const uint8_t *payload = payload_of(procpool_value_at(message, index));
	assert_null(channel_landed(&world->channel, message, payload));
	assert_payload(payload, size, first);
}

static void test_large_payloads_land_and_the_message_can_be_walked(void **state)
{
	struct world *world = *state;
	add(world, "\x95\x04", 2);
	add_bin(world, LARGE, 10);
	add_bin(world, 100, 20);
	add_bin(world, LARGER, 30);
	add(world, "\x2a", 1);
	start_writing(world);
	struct procpool_value message = receive(world);
	end_writing(world);
	uint64_t last;
	assert_int_equal(world->given_count, 2);
	assert_landed(world, message, 1, LARGE, 10);
	assert_in_message(world, message, 2, 100, 20);
	assert_landed(world, message, 3, LARGER, 30);
	assert_true(procpool_value_uint(procpool_value_at(message, 4), &last));
	assert_int_equal(last, 42);
}

static void test_payload_at_the_end_lands_behind_other_messages(void **state)
{
	struct world *world = *state;
	add(world, "\x91\x11\x92\x04", 4);
	add_bin(world, LARGE, 10);
	add(world, "\x91\x11\x92\x05", 4);
	add_bin(world, LARGE, 50);
	start_writing(world);
	assert_int_equal(receive(world).size, 2);
	assert_landed(world, receive(world), 1, LARGE, 10);
	assert_int_equal(receive(world).size, 2);
	assert_landed(world, receive(world), 1, LARGE, 50);
	end_writing(world);
	assert_int_equal(world->given_count, 2);
}

/* What has arrived before it is looked at, in a buffer that an earlier message has made large. */
static void test_payload_that_is_there_already_lands(void **state)
{
	struct world *world = *state;
	size_t size = CHANNEL_LAND_MIN + CHANNEL_BUFFER_BYTES;
	int sndbuf = 4 << 20; /* at least 416 KiB come of it, and more than the message fits */
	assert_int_equal(setsockopt(world->fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)), 0);
	add(world, "\x91", 1);
	add_bin(world, LARGE, 10);
	start_writing(world);
	assert_landed(world, receive(world), 0, LARGE, 10);
	end_writing(world);
	add(world, "\x91", 1);
	add_bin(world, size, 50);
	assert_int_equal(send(world->fd, world->bytes, world->size, MSG_DONTWAIT), world->size);
	assert_landed(world, receive(world), 0, size, 50);
}

static void test_ext_lands_with_its_type(void **state)
{
	struct world *world = *state;
	struct procpool_value message;
	add(world, "\x91", 1);
	add_bin(world, LARGE, 80);
	world->bytes[1] = 0xc9;
	/* The type is one byte more than the header says. */
	add(world, "\x51", 1);
	start_writing(world);
	message = receive(world);
	end_writing(world);
	const uint8_t *landed =
		channel_landed(&world->channel, message, message.data + 1 + HEADER_BIN);
	assert_non_null(landed);
	assert_int_equal(landed[0], 80);
	assert_int_equal(landed[LARGE], 0x51);
}

static void test_what_gets_no_memory_stays_in_the_message(void **state)
{
	struct world *world = *state;
	world->given_max = 1;
	add(world, "\x93", 1);
	add_bin(world, LARGE, 10);
	add_bin(world, LARGE, 20);
	add_bin(world, LARGER, 30);
	start_writing(world);
	struct procpool_value message = receive(world);
	end_writing(world);
	assert_landed(world, message, 0, LARGE, 10);
	assert_in_message(world, message, 1, LARGE, 20);
	assert_in_message(world, message, 2, LARGER, 30);
}

static void test_more_payloads_than_can_land_arrive(void **state)
{
	struct world *world = *state;
	size_t count = CHANNEL_LANDINGS_MAX + 2;
	add(world, (uint8_t[]){0xdc, 0, (uint8_t)count}, 3);
	for (size_t i = 0; i < count; i++)
		add_bin(world, LARGE, (uint8_t)(2 * i));
	start_writing(world);
	struct procpool_value message = receive(world);
	end_writing(world);
	for (size_t i = 0; i < count; i++)
		if (i < CHANNEL_LANDINGS_MAX)
			assert_landed(world, message, i, LARGE, (uint8_t)(2 * i));
		else
			assert_in_message(world, message, i, LARGE, (uint8_t)(2 * i));
}

static void test_end_amid_a_landing_is_the_end(void **state)
{
	struct world *world = *state;
	struct procpool_value message;
	add(world, "\x91", 1);
	add_bin(world, LARGE, 10);
	world->size = 1000;
	write_all(world);
	shutdown(world->fd, SHUT_WR);
	assert_int_equal(channel_wait(&world->channel, &message), CHANNEL_EOF);
	assert_int_equal(world->given_count, 1);
}

static void test_messages_of_every_size_arrive_without_landing(void **state)
{
	struct world *world = *state;
	static const size_t sizes[] = {1, 60000, 70000, LARGE, 10, LARGER, LARGE, 100000};
	size_t count = sizeof(sizes) / sizeof(sizes[0]);
	world->channel.land = NULL;
	for (size_t i = 0; i < count; i++) {
		add(world, "\x92\x04", 2);
		add_bin(world, sizes[i] + 1, 7);
	}
	start_writing(world);
	for (size_t i = 0; i < count; i++)
		assert_in_message(world, receive(world), 1, sizes[i] + 1, 7);
	end_writing(world);
	assert_true(world->channel.capacity < 2 * LARGER);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_large_payloads_land_and_the_message_can_be_walked),
		WORLD_TEST(test_payload_at_the_end_lands_behind_other_messages),
		WORLD_TEST(test_payload_that_is_there_already_lands),
		WORLD_TEST(test_ext_lands_with_its_type),
		WORLD_TEST(test_what_gets_no_memory_stays_in_the_message),
		WORLD_TEST(test_more_payloads_than_can_land_arrive),
		WORLD_TEST(test_end_amid_a_landing_is_the_end),
		WORLD_TEST(test_messages_of_every_size_arrive_without_landing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
