/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RED   "\033[31m"
#define GREEN "\033[32m"
#define BOLD  "\033[1m"
#define PLAIN "\033[m"

static bool wants_colours(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

void report_init(struct report *report)
{
	bool terminal = isatty(STDOUT_FILENO);
	*report = (struct report){
		.symbols = terminal && strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.colours = terminal && wants_colours(),
	};
	procpool_writer_init(&report->findings);
	report->place = procpool_write_open_array(&report->findings);
}

void report_fini(struct report *report)
{
	text_fini(&report->out);
	procpool_writer_fini(&report->findings);
}

static void add_coloured(struct report *report, const char *colour, const char *string)
{
	if (report->colours)
		text_add_string(&report->out, colour);
	text_add_string(&report->out, string);
	if (report->colours)
		text_add_string(&report->out, PLAIN);
}

void report_section(struct report *report, const char *title)
{
	if (report->out.size > 0)
		text_add_char(&report->out, '\n');
	add_coloured(report, BOLD, title);
	text_add_char(&report->out, '\n');
}

/* The marks are of one width, so that what follows is aligned. */
static void begin_line(struct report *report, const char *colour, const char *symbol,
		       const char *word)
{
	text_add_string(&report->out, "  ");
	add_coloured(report, colour, report->symbols ? symbol : word);
	text_add_char(&report->out, ' ');
}

static void end_line(struct report *report, const char *format, va_list args)
{
	char *line = NULL;
	if (vasprintf(&line, format, args) < 0)
		text_no_memory();
	text_add_string(&report->out, line);
	text_add_char(&report->out, '\n');
	free(line);
}

void report_line(struct report *report, enum report_mark mark, const char *format, ...)
{
	va_list args;
	if (mark == REPORT_OK)
		begin_line(report, GREEN, "✓", "ok     ");
	else
		begin_line(report, "", "·", "note   ");
	va_start(args, format);
	end_line(report, format, args);
	va_end(args);
}

static void keep_finding(struct report *report, const char *code, const char *advice,
			 const char *format, va_list args)
{
	struct procpool_writer *w = &report->findings;
	char *message = NULL;
	if (vasprintf(&message, format, args) < 0)
		text_no_memory();
	procpool_write_map(w, 3);
	procpool_write_string(w, "code");
	procpool_write_string(w, code);
	procpool_write_string(w, "message");
	procpool_write_string(w, message);
	procpool_write_string(w, "advice");
	procpool_write_string(w, advice);
	free(message);
	procpool_write_count(w, report->place, ++report->problems);
}

void report_problem(struct report *report, const char *code, const char *advice, const char *format,
		    ...)
{
	va_list args;
	begin_line(report, RED, "!", "problem");
	va_start(args, format);
	end_line(report, format, args);
	va_end(args);
	text_addf(&report->out, "%s%s\n", report->symbols ? "    → " : "          -> ", advice);
	va_start(args, format);
	keep_finding(report, code, advice, format, args);
	va_end(args);
}

void report_end(struct report *report)
{
	text_add_char(&report->out, '\n');
	if (report->problems == 0)
		add_coloured(report, GREEN, "All is well.");
	else if (report->problems == 1)
		add_coloured(report, RED, "Something is wrong, see above.");
	else
		add_coloured(report, RED, "Several things are wrong, see above.");
	text_add_char(&report->out, '\n');
}

struct procpool_value report_findings(struct report *report)
{
	return procpool_writer_value(&report->findings);
}
