/* SPDX-License-Identifier: MIT */
#include "runtime/loaded_files.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory with the file a.so, which is watched. */
struct fixture {
	char directory[64];
	char path[80];
	struct loaded_files files;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static const char *in(const struct fixture *f, const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	return path;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->directory, "/tmp/procpool-files-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	strcpy(f->path, in(f, "a.so"));
	write_file(f->path, "one");
	assert_int_equal(loaded_files_init(&f->files), 0);
	assert_int_equal(loaded_files_add(&f->files, f->path, file_state_of(f->path)), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];
	loaded_files_fini(&f->files);
	snprintf(command, sizeof(command), "rm -r %s", f->directory);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static bool is_readable(const struct fixture *f)
{
	struct pollfd pollfd = {.fd = f->files.fd, .events = POLLIN};
	return poll(&pollfd, 1, 0) == 1;
}

static void check_changed(struct fixture *f)
{
	assert_true(is_readable(f));
	assert_string_equal(loaded_files_changed(&f->files), f->path);
	assert_false(is_readable(f));
}

static void test_file_that_is_written_to_has_changed(void **state)
{
	struct fixture *f = *state;
	write_file(f->path, "longer");
	check_changed(f);
}

static void test_file_that_takes_the_name_has_changed_it(void **state)
{
	struct fixture *f = *state;
	write_file(in(f, "new"), "two");
	assert_int_equal(rename(in(f, "new"), f->path), 0);
	check_changed(f);
}

static void test_file_that_goes_and_comes_again_has_changed(void **state)
{
	struct fixture *f = *state;
	unlink(f->path);
	assert_null(loaded_files_changed(&f->files));
	write_file(f->path, "two");
	check_changed(f);
}

static void test_link_that_leads_elsewhere_has_changed(void **state)
{
	struct fixture *f = *state;
	write_file(in(f, "b.so"), "two");
	char link[128], other[128];
	strcpy(link, in(f, "link.so"));
	strcpy(other, in(f, "other"));
	assert_int_equal(symlink("a.so", link), 0);
	assert_int_equal(loaded_files_add(&f->files, link, file_state_of(link)), 0);
	assert_null(loaded_files_changed(&f->files));
	assert_int_equal(symlink("b.so", other), 0);
	assert_int_equal(rename(other, link), 0);
	assert_string_equal(loaded_files_changed(&f->files), link);
}

static void test_file_behind_a_link_is_watched_where_it_is(void **state)
{
	struct fixture *f = *state;
	char link[128];
	assert_int_equal(mkdir(in(f, "links"), 0700), 0);
	strcpy(link, in(f, "links/link.so"));
	assert_int_equal(symlink(f->path, link), 0);
	struct loaded_files files;
	assert_int_equal(loaded_files_init(&files), 0);
	assert_int_equal(loaded_files_add(&files, link, file_state_of(link)), 0);
	write_file(f->path, "longer");
	assert_string_equal(loaded_files_changed(&files), link);
	loaded_files_fini(&files);
}

static void test_other_files_and_reading_change_nothing(void **state)
{
	struct fixture *f = *state;
	char byte;
	int fd = open(f->path, O_RDONLY);
	assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
	assert_false(is_readable(f));
	write_file(in(f, "b.so"), "two");
	assert_null(loaded_files_changed(&f->files));
	assert_false(is_readable(f));
}

static void test_file_that_is_not_there_is_not_watched(void **state)
{
	struct fixture *f = *state;
	struct file_state none = {0};
	assert_true(loaded_files_add(&f->files, in(f, "none.so"), none) < 0);
	assert_true(loaded_files_add(&f->files, in(f, "no/where.so"), none) < 0);
	assert_int_equal(f->files.count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_file_that_is_written_to_has_changed),
		TEST(test_file_that_takes_the_name_has_changed_it),
		TEST(test_file_that_goes_and_comes_again_has_changed),
		TEST(test_link_that_leads_elsewhere_has_changed),
		TEST(test_file_behind_a_link_is_watched_where_it_is),
		TEST(test_other_files_and_reading_change_nothing),
		TEST(test_file_that_is_not_there_is_not_watched),
	};
	return cmocka_run_group_tests_name("loaded_files", tests, NULL, NULL);
}
