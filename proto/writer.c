/* SPDX-License-Identifier: MIT */
/* Building values: msgpack-c's packer into a growing buffer. */
#include <errno.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "procpool/value.h"

/* Room for `extra` more bytes. False: there is no memory, and the error is kept. */
static __attribute__((noinline)) bool grow(struct procpool_writer *w, size_t extra)
{
	size_t capacity = w->capacity ? w->capacity : 128;
	while (capacity - w->size < extra) {
		if (capacity > SIZE_MAX / 2) {
			w->error = ENOMEM;
			return false;
		}
		capacity *= 2;
	}
	uint8_t *data = realloc(w->data, capacity);
	if (!data) {
		w->error = ENOMEM;
		return false;
	}
	w->data = data;
	w->capacity = capacity;
	return true;
}

/* Inlined into msgpack-c's packers, where most sizes are constants. */
static inline __attribute__((always_inline)) int append(void *data, const char *bytes, size_t size)
{
	struct procpool_writer *w = data;
	if (w->error || (w->capacity - w->size < size && !grow(w, size)))
		return -1;
	if (size > 0)
		memcpy(w->data + w->size, bytes, size);
	w->size += size;
	return 0;
}

static msgpack_packer packer(struct procpool_writer *w)
{
	msgpack_packer pk;
	msgpack_packer_init(&pk, w, append);
	return pk;
}

static bool fits_u32(struct procpool_writer *w, size_t n)
{
	if (n > UINT32_MAX && !w->error)
		w->error = EINVAL;
	return n <= UINT32_MAX;
}

void procpool_writer_init(struct procpool_writer *w)
{
	memset(w, 0, sizeof(*w));
}

void procpool_writer_fini(struct procpool_writer *w)
{
	free(w->data);
	procpool_writer_init(w);
}

void procpool_writer_reset(struct procpool_writer *w)
{
	w->size = 0;
	w->error = 0;
}

struct procpool_value procpool_writer_value(const struct procpool_writer *w)
{
	if (w->error || w->size == 0)
		return (struct procpool_value){0};
	return (struct procpool_value){w->data, w->size};
}

void procpool_write_nil(struct procpool_writer *w)
{
	msgpack_packer pk = packer(w);
	msgpack_pack_nil(&pk);
}

void procpool_write_bool(struct procpool_writer *w, bool b)
{
	msgpack_packer pk = packer(w);
	if (b)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void procpool_write_int(struct procpool_writer *w, int64_t i)
{
	msgpack_packer pk = packer(w);
	msgpack_pack_int64(&pk, i);
}

void procpool_write_uint(struct procpool_writer *w, uint64_t i)
{
	msgpack_packer pk = packer(w);
	msgpack_pack_uint64(&pk, i);
}

void procpool_write_double(struct procpool_writer *w, double d)
{
	msgpack_packer pk = packer(w);
	msgpack_pack_double(&pk, d);
}

void procpool_write_string(struct procpool_writer *w, const char *text)
{
	procpool_write_string_n(w, text, strlen(text));
}

void procpool_write_string_n(struct procpool_writer *w, const char *text, size_t size)
{
	msgpack_packer pk = packer(w);
	if (!fits_u32(w, size))
		return;
	msgpack_pack_str(&pk, size);
	msgpack_pack_str_body(&pk, text, size);
}

void procpool_write_bytes(struct procpool_writer *w, const void *data, size_t size)
{
	msgpack_packer pk = packer(w);
	if (!fits_u32(w, size))
		return;
	msgpack_pack_bin(&pk, size);
	msgpack_pack_bin_body(&pk, data, size);
}

void procpool_write_ext(struct procpool_writer *w, int8_t type, const void *data, size_t size)
{
	msgpack_packer pk = packer(w);
	if (!fits_u32(w, size))
		return;
	msgpack_pack_ext(&pk, size, type);
	msgpack_pack_ext_body(&pk, data, size);
}

void procpool_write_array(struct procpool_writer *w, size_t count)
{
	msgpack_packer pk = packer(w);
	if (fits_u32(w, count))
		msgpack_pack_array(&pk, count);
}

void procpool_write_map(struct procpool_writer *w, size_t count)
{
	msgpack_packer pk = packer(w);
	if (fits_u32(w, count))
		msgpack_pack_map(&pk, count);
}

size_t procpool_write_open_array(struct procpool_writer *w)
{
	static const char header[5] = {(char)0xdd};
	size_t place = w->size;
	append(w, header, sizeof(header));
	return place;
}

void procpool_write_count(struct procpool_writer *w, size_t place, uint32_t count)
{
	if (w->error)
		return;
	for (int i = 0; i < 4; i++)
		w->data[place + 1 + (size_t)i] = (uint8_t)(count >> (24 - 8 * i));
}

void procpool_write_value(struct procpool_writer *w, struct procpool_value value)
{
	append(w, (const char *)value.data, value.size);
}
