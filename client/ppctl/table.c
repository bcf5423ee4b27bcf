/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json_write.h"
#include "print.h"
#include "text.h"

static double now_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_cell(struct text *out, struct procpool_value value, enum column_kind kind)
{
	const char *data;
	size_t size;
	double time;
	if (kind == COLUMN_ERROR && procpool_value_type(value) == PROCPOOL_MAP)
		value = procpool_value_get(value, "message");
	if (value.size == 0 || procpool_value_type(value) == PROCPOOL_NIL) {
		text_add_char(out, '-');
	} else if (kind == COLUMN_AGE && procpool_value_double(value, &time)) {
		double age = now_seconds() - time;
		print_seconds(out, age > 0 ? age : 0);
	} else if (procpool_value_string(value, &data, &size)) {
		print_name(out, data, size);
	} else {
		json_write(out, value);
	}
}

static int column_flags(enum column_kind kind)
{
	switch (kind) {
	case COLUMN_NUMBER:
	case COLUMN_AGE:
		return SCOLS_FL_RIGHT;
	case COLUMN_LONG:
	case COLUMN_ERROR:
		return SCOLS_FL_TRUNC;
	case COLUMN_TEXT:
		break;
	}
	return 0;
}

static struct libscols_table *create_table(const struct column *columns, size_t count)
{
	struct libscols_table *table = scols_new_table();
	if (!table)
		text_no_memory();
	for (size_t i = 0; i < count; i++)
		if (!scols_table_new_column(table, columns[i].title, 0.1,
					    column_flags(columns[i].kind)))
			text_no_memory();
	if (!isatty(STDOUT_FILENO))
		scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	return table;
}

static void add_cell(struct libscols_line *line, size_t column, struct procpool_value value,
		     enum column_kind kind)
{
	struct text cell = {0};
	write_cell(&cell, value, kind);
	if (scols_line_set_data(line, column, text_cstring(&cell)) != 0)
		text_no_memory();
	text_fini(&cell);
}

static struct libscols_line *add_line(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	if (!line)
		text_no_memory();
	return line;
}

static void print_table(struct text *out, struct libscols_table *table)
{
	char *printed = NULL;
	if (scols_table_get_nlines(table) > 0) {
		if (scols_print_table_to_string(table, &printed) != 0 || !printed)
			text_no_memory();
		text_add_string(out, printed);
		text_add_char(out, '\n'); /* smartcols leaves the last one out */
	}
	free(printed);
	scols_unref_table(table);
}

void table_write(struct text *out, struct procpool_value rows, const struct column *columns,
		 size_t count)
{
	struct libscols_table *table = create_table(columns, count);
	struct procpool_iter it = procpool_iter(rows);
	struct procpool_value row;
	while (procpool_iter_next(&it, &row)) {
		struct libscols_line *line = add_line(table);
		for (size_t i = 0; i < count; i++)
			add_cell(line, i, procpool_value_get(row, columns[i].key), columns[i].kind);
	}
	print_table(out, table);
}

static enum column_kind kind_of_key(struct procpool_value key)
{
	bool time = procpool_value_is(key, "since") || procpool_value_is(key, "submitted");
	return time ? COLUMN_AGE : COLUMN_TEXT;
}

void table_write_map(struct text *out, struct procpool_value map)
{
	static const struct column columns[] = {{"", "KEY", COLUMN_TEXT},
						{"", "VALUE", COLUMN_TEXT}};
	struct libscols_table *table = create_table(columns, 2);
	struct procpool_iter it = procpool_iter(map);
	struct procpool_value key, value;
	scols_table_enable_noheadings(table, 1);
	while (procpool_iter_next_pair(&it, &key, &value)) {
		struct libscols_line *line = add_line(table);
		add_cell(line, 0, key, COLUMN_TEXT);
		add_cell(line, 1, value, kind_of_key(key));
	}
	print_table(out, table);
}
