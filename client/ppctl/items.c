/* SPDX-License-Identifier: MIT */
#include "items.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (64U << 10)

void items_init_fd(struct items *items, int fd, char delimiter, size_t size_max)
{
	*items = (struct items){.fd = fd, .delimiter = delimiter, .size_max = size_max};
}

void items_init_argv(struct items *items, char **argv, int argc)
{
	*items = (struct items){.fd = -1, .argv = argv, .argc = argc};
}

void items_fini(struct items *items)
{
	text_fini(&items->buffer);
}

static enum items_status next_argument(struct items *items, const char **ret, size_t *ret_size)
{
	if (items->argc == 0)
		return ITEMS_END;
	*ret = *items->argv++;
	*ret_size = strlen(*ret);
	items->argc--;
	return ITEMS_READY;
}

/* Hands out the bytes from begin to end, the next item begins at `next`. */
static enum items_status take(struct items *items, size_t end, size_t next, const char **ret,
			      size_t *ret_size)
{
	*ret = items->buffer.data + items->begin;
	*ret_size = end - items->begin;
	items->begin = items->seen = next;
	if (!items->skipping && *ret_size <= items->size_max)
		return ITEMS_READY;
	items->skipping = false;
	return ITEMS_TOO_LARGE;
}

enum items_status items_next(struct items *items, const char **ret, size_t *ret_size)
{
	if (items->fd < 0)
		return next_argument(items, ret, ret_size);

	size_t size = items->buffer.size;
	const char *data = items->buffer.data;
	const char *end = items->seen < size
				  ? memchr(data + items->seen, items->delimiter, size - items->seen)
				  : NULL;
	if (end)
		return take(items, (size_t)(end - data), (size_t)(end - data) + 1, ret, ret_size);
	items->seen = size;
	if (size - items->begin > items->size_max) {
		items->skipping = true;
		items->begin = size;
	}
	if (!items->eof)
		return ITEMS_MORE;
	if (items->begin == size && !items->skipping)
		return ITEMS_END;
	return take(items, size, size, ret, ret_size);
}

int items_read(struct items *items)
{
	text_drop(&items->buffer, items->begin);
	items->seen -= items->begin;
	items->begin = 0;

	char *place = text_reserve(&items->buffer, READ_SIZE);
	ssize_t n = read(items->fd, place, READ_SIZE);
	if (n < 0)
		return -errno;
	items->eof = n == 0;
	items->buffer.size += (size_t)n;
	return 0;
}
