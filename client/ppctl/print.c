/* SPDX-License-Identifier: MIT */
#include "print.h"

#include <math.h>

#include "json_write.h"
#include "text.h"
#include "utf8.h"

#define NAME_SIZE_MAX 200

void print_result(struct text *out, struct procpool_value value, bool raw)
{
	if (raw)
		json_write_raw(out, value);
	else
		json_write(out, value);
	if (!raw || procpool_value_type(value) != PROCPOOL_BYTES)
		text_add_char(out, '\n');
}

static bool is_printable(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)data[i] < 0x20 || data[i] == 0x7f)
			return false;
	return utf8_valid(data, size);
}

void print_name(struct text *out, const char *data, size_t size)
{
	size_t shown = size;
	if (size > NAME_SIZE_MAX) {
		shown = NAME_SIZE_MAX;
		while (shown > 0 && ((unsigned char)data[shown] & 0xc0) == 0x80)
			shown--;
	}
	if (is_printable(data, shown)) {
		text_add(out, data, shown);
	} else {
		struct procpool_writer w;
		procpool_writer_init(&w);
		if (utf8_valid(data, shown))
			procpool_write_string_n(&w, data, shown);
		else
			procpool_write_bytes(&w, data, shown);
		json_write(out, procpool_writer_value(&w));
		procpool_writer_fini(&w);
	}
	if (shown < size)
		text_addf(out, "... (%zu bytes)", size);
}

void print_seconds(struct text *out, double seconds)
{
	if (!isfinite(seconds) || seconds < 0)
		text_add_string(out, "?");
	else if (seconds < 0.001)
		text_addf(out, "%.3g µs", seconds * 1e6);
	else if (seconds < 1)
		text_addf(out, "%.3g ms", seconds * 1e3);
	else if (seconds < 60)
		text_addf(out, "%.3g s", seconds);
	else if (seconds < 86400)
		text_addf(out, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60,
			  (int)seconds % 60);
	else
		text_addf(out, "%.0f d %d:%02d", floor(seconds / 86400),
			  (int)fmod(seconds, 86400) / 3600, (int)fmod(seconds, 86400) / 60 % 60);
}
