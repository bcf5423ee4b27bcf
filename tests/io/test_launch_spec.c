/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/launch_spec.h"

static char *arguments[] = {"/bin/program", "", "argument", NULL};
static char *variables[] = {"A=1", "REMOVED", NULL};

static struct launch_spec full(void)
{
	struct launch_spec spec = {
		.argv = arguments,
		.environment = variables,
		.settings = {.cwd = "/there", .has_umask = true, .umask = 027, .nice = -5},
		.descriptors = 1024,
	};
	process_settings_set_limit(&spec.settings, RLIMIT_CORE, 0, UINT64_MAX);
	process_settings_add_cpu(&spec.settings, 1000);
	return spec;
}

static void test_what_is_written_is_read(void **state)
{
	struct launch_spec spec = full(), read;
	int fd;
	(void)state;
	assert_int_equal(launch_spec_write(&spec, &fd), 0);
	assert_int_equal(launch_spec_read(fd, &read), 0);
	for (int i = 0; i < 3; i++)
		assert_string_equal(read.argv[i], arguments[i]);
	assert_null(read.argv[3]);
	assert_string_equal(read.environment[1], "REMOVED");
	assert_null(read.environment[2]);
	assert_string_equal(read.settings.cwd, "/there");
	assert_true(read.settings.has_umask);
	assert_int_equal(read.settings.umask, 027);
	assert_int_equal(read.settings.nice, -5);
	assert_int_equal(read.settings.limit_count, 1);
	assert_int_equal(read.settings.limits[0].resource, RLIMIT_CORE);
	assert_true(read.settings.limits[0].hard == UINT64_MAX);
	assert_memory_equal(read.settings.cpus, spec.settings.cpus, sizeof(spec.settings.cpus));
	assert_int_equal(read.descriptors, 1024);
	launch_spec_fini(&read);
	close(fd);
}

static void test_nobody_changes_it_afterwards(void **state)
{
	struct launch_spec spec = full();
	int fd;
	(void)state;
	assert_int_equal(launch_spec_write(&spec, &fd), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void test_too_much_is_refused(void **state)
{
	struct launch_spec spec = full();
	char *much = calloc(1, LAUNCH_SPEC_BYTES_MAX + 1);
	char *environment[] = {much, NULL};
	int fd;
	(void)state;
	memset(much, 'x', LAUNCH_SPEC_BYTES_MAX);
	spec.environment = environment;
	assert_int_equal(launch_spec_write(&spec, &fd), -E2BIG);
	free(much);
}

/* Whatever bytes they are. */
static void test_what_is_cut_or_changed_is_read_whole_or_not_at_all(void **state)
{
	struct launch_spec spec = full(), read;
	struct stat status;
	int fd, r;
	(void)state;
	assert_int_equal(launch_spec_write(&spec, &fd), 0);
	assert_int_equal(fstat(fd, &status), 0);
	size_t size = (size_t)status.st_size;
	uint8_t *bytes = malloc(size);
	assert_int_equal(pread(fd, bytes, size, 0), size);
	for (size_t i = 0; i < size; i++) {
		int file = memfd_create("cut", MFD_CLOEXEC);
		assert_int_equal(pwrite(file, bytes, i, 0), i);
		assert_int_equal(launch_spec_read(file, &read), -EPROTO);
		bytes[i] ^= 0xff;
		assert_int_equal(pwrite(file, bytes, size, 0), size);
		bytes[i] ^= 0xff;
		r = launch_spec_read(file, &read);
		assert_true(r == 0 || r == -EPROTO);
		if (r == 0)
			launch_spec_fini(&read);
		close(file);
	}
	free(bytes);
	close(fd);
}

static void test_what_is_no_file_is_refused(void **state)
{
	struct launch_spec read;
	int fds[2];
	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(launch_spec_read(fds[0], &read), -EPROTO);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(launch_spec_read(fds[0], &read), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_nobody_changes_it_afterwards),
		cmocka_unit_test(test_too_much_is_refused),
		cmocka_unit_test(test_what_is_cut_or_changed_is_read_whole_or_not_at_all),
		cmocka_unit_test(test_what_is_no_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
