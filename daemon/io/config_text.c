/* SPDX-License-Identifier: MIT */
#include "io/config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/config_errors.h"

#define FILE_BYTES_MAX (1U << 20)
#define DEPTH_MAX      2 /* a section in a pool's */
#define NOT_IN_WORDS   " #\"'\t\n\r={}()+,*"

/* A piece of the text. */
struct word {
	const char *at;
	size_t size;
};

struct config_mark {
	int pool;
	struct word section, key;
	unsigned line;
};

/* ---- reading ---- */

/* 0 or a negative errno; the bytes with a NUL behind them. */
static int read_all(int fd, char *bytes, size_t *ret_size)
{
	size_t size = 0;
	while (size <= FILE_BYTES_MAX) {
		ssize_t n = read(fd, bytes + size, FILE_BYTES_MAX + 1 - size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			bytes[size] = '\0';
			*ret_size = size;
			return 0;
		}
		if (n > 0)
			size += (size_t)n;
	}
	return -EFBIG;
}

static int read_file(struct config_text *text, struct config_errors *errors)
{
	const char *path = text->path;
	size_t size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : 0;
	text->bytes = malloc(FILE_BYTES_MAX + 2);
	if (r == 0)
		r = text->bytes ? read_all(fd, text->bytes, &size) : -ENOMEM;
	if (fd >= 0)
		close(fd);
	if (r == 0 && strlen(text->bytes) != size) {
		config_errors_add(errors, NULL, 0,
				  "cannot read the configuration %s: it is not a text file", path);
		return -EINVAL;
	}
	if (r < 0)
		config_errors_add(errors, NULL, 0, "cannot read the configuration %s: %s", path,
				  strerror(-r));
	return r;
}

/* ---- looking through ---- */

struct scanner {
	struct config_text *text;
	struct config_errors *errors;
	char *at;
	unsigned line;
	struct word name; /* what the statement begins with */
	bool has_name;
	unsigned name_line;
	bool has_equal; /* a value is to follow */
	bool in_list;
	unsigned list_line;
	unsigned depth; /* of sections */
	unsigned open_lines[DEPTH_MAX];
	int pool, pool_count; /* the section of which pool it is in, -1: of none */
	struct word section;  /* in which other section */
};

static int refuse(struct scanner *s, unsigned line, const char *what)
{
	config_errors_add(s->errors, s->text->path, line, "%s", what);
	return -EINVAL;
}

static bool is_same(struct word a, struct word b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* Where a key was said already in this section, or another one of the same name. */
static unsigned line_of_earlier(const struct scanner *s, struct word key)
{
	for (size_t i = s->text->mark_count; i-- > 0;) {
		const struct config_mark *m = &s->text->marks[i];
		if (m->pool == s->pool && is_same(m->section, s->section) && is_same(m->key, key))
			return m->line;
		if (s->pool >= 0 && m->key.size == 0) /* where the pool begins */
			break;
	}
	return 0;
}

static int mark(struct scanner *s, struct word key, unsigned line)
{
	struct config_text *text = s->text;
	if ((text->mark_count & (text->mark_count + 1)) == 0) {
		size_t room = 2 * (text->mark_count + 1);
		struct config_mark *marks = reallocarray(text->marks, room, sizeof(*marks));
		if (!marks)
			return -ENOMEM;
		text->marks = marks;
	}
	text->marks[text->mark_count++] = (struct config_mark){s->pool, s->section, key, line};
	return 0;
}

/* Up to the end of the line, or, of the other kind, the end that must come. */
static int skip_comment(struct scanner *s, bool to_end_of_line)
{
	unsigned line = s->line;
	char *end = to_end_of_line ? strchrnul(s->at, '\n') : strstr(s->at + 2, "*/");
	if (!end)
		return refuse(s, line, "a comment begins here and does not end: a */ is missing");
	if (!to_end_of_line)
		end += 2;
	for (; s->at < end; s->at++) {
		s->line += *s->at == '\n';
		if (*s->at != '\n')
			*s->at = ' ';
	}
	return 0;
}

/* What stands for a variable of the environment: to behind its brace. */
static int skip_variable(struct scanner *s)
{
	size_t size = strcspn(s->at, "}\n");
	if (s->at[size] != '}')
		return refuse(s, s->line,
			      "${ begins the name of a variable here, and a } is missing; where it "
			      "is meant as it stands, write \\${");
	s->at += size + 1;
	return 0;
}

/* Whether libconfuse takes a name for no path, which it would follow into sections. */
static bool is_plain(struct word name)
{
	for (size_t i = 0; i < name.size; i++)
		if (strchr("|=\\$", name.at[i]))
			return false;
	return true;
}

/* What the word is that this statement goes on with. */
static int take_word(struct scanner *s, struct word word, unsigned line)
{
	if (s->in_list)
		return 0;
	if (s->has_equal) {
		s->has_equal = s->has_name = false;
	} else if (!s->has_name) {
		s->has_name = true;
		s->name = word;
		s->name_line = line;
		if (!is_plain(word))
			return refuse(s, line,
				      "no setting has such a name: write NAME = VALUE, or NAME { "
				      "... }");
	}
	return 0;
}

static int take_string(struct scanner *s)
{
	char quote = *s->at++;
	const char *begin = s->at;
	unsigned line = s->line;
	int r = 0;
	while (r == 0 && *s->at != quote) {
		if (*s->at == '\0' || *s->at == '\n')
			return refuse(s, line,
				      "a string begins here and does not end in this line: a quote "
				      "is missing, or one too many (write \\n for a line's end "
				      "within one)");
		if (*s->at == '\\' && s->at[1] != '\0') {
			s->line += s->at[1] == '\n';
			s->at += 2;
		} else if (quote == '"' && strncmp(s->at, "${", 2) == 0) {
			r = skip_variable(s);
		} else {
			s->at++;
		}
	}
	if (r < 0)
		return r;
	s->at++;
	return take_word(s, (struct word){begin, (size_t)(s->at - 1 - begin)}, line);
}

/* A word without quotes. */
static int take_bare_word(struct scanner *s)
{
	const char *begin = s->at;
	size_t size = strcspn(s->at, NOT_IN_WORDS);
	if (s->at[0] == '[')
		return refuse(s, s->line,
			      "[ must stand in quotes; a list is {\"a\", \"b\"}, a section "
			      "NAME { ... }");
	if (strncmp(s->at, "${", 2) == 0) {
		int r = skip_variable(s);
		if (r < 0)
			return r;
		size = (size_t)(s->at - begin);
	} else {
		s->at += size;
	}
	return take_word(s, (struct word){begin, size}, s->line);
}

static bool is_word(struct word word, const char *text)
{
	return is_same(word, (struct word){text, strlen(text)});
}

/* One that adds to a list may come again. */
static int take_equal(struct scanner *s, bool adds)
{
	if (s->in_list)
		return refuse(s, s->list_line,
			      "a = is in the list that begins here: close that before by }, put "
			      "an element like \"A=1\" in quotes, or, of a section, leave out the "
			      "= before the {");
	s->has_equal = true;
	if (!s->has_name)
		return 0;
	unsigned line = adds ? 0 : line_of_earlier(s, s->name);
	if (line > 0) {
		config_errors_add(s->errors, s->text->path, s->name_line,
				  "%.*s is said already in line %u: remove one", (int)s->name.size,
				  s->name.at, line);
		return -EINVAL;
	}
	return mark(s, s->name, s->name_line);
}

static int open_section(struct scanner *s)
{
	int r = 0;
	if (s->in_list)
		return refuse(s, s->list_line,
			      "the list that begins here is not closed: a } is missing");
	if (s->has_equal) {
		s->in_list = true;
		s->list_line = s->line;
		s->has_equal = false;
		return 0;
	}
	if (!s->has_name) { /* libconfuse will have none of it */
		s->name = (struct word){"", 0};
		s->name_line = s->line;
	}
	if (s->depth < DEPTH_MAX)
		s->open_lines[s->depth] = s->name_line;
	if (s->depth == 0 && is_word(s->name, "pool")) {
		s->pool = s->pool_count++;
		r = mark(s, (struct word){"", 0}, s->name_line);
	} else {
		s->section = s->name;
	}
	s->depth++;
	s->has_name = false;
	return r;
}

static void close_section(struct scanner *s)
{
	s->has_name = false;
	if (s->in_list) {
		s->in_list = false;
	} else if (s->depth > 0) {
		s->depth--;
		s->section.size = 0;
		if (s->depth == 0)
			s->pool = -1;
	}
}

static int take_sign(struct scanner *s)
{
	switch (*s->at++) {
	case '\n':
		s->line++;
		return 0;
	case '=':
		return take_equal(s, false);
	case '{':
		return open_section(s);
	case '}':
		close_section(s);
		return 0;
	case '*':
		return refuse(s, s->line, "* must stand in quotes: \"*\"");
	case '+':
		if (*s->at++ == '=')
			return take_equal(s, true);
		return refuse(s, s->line, "+ must stand in quotes: \"+\"");
	default: /* spaces, and what libconfuse has an opinion of */
		return 0;
	}
}

static int take_token(struct scanner *s)
{
	if (*s->at == '#' || strncmp(s->at, "//", 2) == 0)
		return skip_comment(s, true);
	if (strncmp(s->at, "/*", 2) == 0)
		return skip_comment(s, false);
	if (*s->at == '"' || *s->at == '\'')
		return take_string(s);
	return strchr(NOT_IN_WORDS, *s->at) ? take_sign(s) : take_bare_word(s);
}

/* Some editors begin a file with a sign that nobody sees. */
static void blank_mark(char *bytes)
{
	if (strncmp(bytes, "\xef\xbb\xbf", 3) == 0)
		memset(bytes, ' ', 3);
}

static int scan(struct config_text *text, struct config_errors *errors)
{
	struct scanner s = {
		.text = text, .errors = errors, .at = text->bytes, .line = 1, .pool = -1};
	int r = 0;
	blank_mark(text->bytes);
	while (r == 0 && *s.at)
		r = take_token(&s);
	if (r == 0 && s.in_list)
		r = refuse(&s, s.list_line,
			   "the list that begins here is not closed: a } is missing");
	if (r == 0 && s.depth > 0)
		r = refuse(&s, s.open_lines[s.depth < DEPTH_MAX ? s.depth - 1 : DEPTH_MAX - 1],
			   "the section that begins here is not closed: a } is missing");
	return r;
}

int config_text_read(struct config_text *text, const char *path, struct config_errors *errors)
{
	*text = (struct config_text){.path = path};
	int r = read_file(text, errors);
	return r < 0 ? r : scan(text, errors);
}

void config_text_fini(struct config_text *text)
{
	free(text->bytes);
	free(text->marks);
}

unsigned config_text_line(const struct config_text *text, int pool, const char *section,
			  const char *key)
{
	for (size_t i = text->mark_count; i-- > 0;) {
		const struct config_mark *m = &text->marks[i];
		if (m->pool == pool && is_word(m->section, section) && is_word(m->key, key))
			return m->line;
	}
	return 0;
}
