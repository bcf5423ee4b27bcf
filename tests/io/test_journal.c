/* SPDX-License-Identifier: MIT */
/* A journal of our own: a socket in a directory of our own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/journal.h"

struct fixture {
	char directory[64];
	struct sockaddr_un address;
	int journal;
	int fd;
	struct journal_entry entry;
};

static int bind_journal(struct fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&f->address, sizeof(f->address)), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->directory, sizeof(f->directory), "/tmp/procpool-journal-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->address.sun_family = AF_UNIX;
	snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/socket", f->directory);
	f->journal = bind_journal(f);
	f->fd = journal_open();
	assert_true(f->fd >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	close(f->journal);
	close(f->fd);
	unlink(f->address.sun_path);
	rmdir(f->directory);
	free(f);
	return 0;
}

static int send_entry(struct fixture *f, bool wait)
{
	return journal_send(f->fd, f->address.sun_path, &f->entry, wait);
}

static void assert_received(struct fixture *f, const char *expected)
{
	char data[JOURNAL_ENTRY_MAX + 1];
	ssize_t n = recv(f->journal, data, sizeof(data) - 1, MSG_DONTWAIT);
	assert_true(n >= 0);
	data[n] = '\0';
	assert_string_equal(data, expected);
}

static void test_an_entry_is_a_datagram_of_lines(void **state)
{
	struct fixture *f = *state;
	journal_add(&f->entry, "MESSAGE", "it runs");
	journal_add_number(&f->entry, "PRIORITY", 6);
	journal_add(&f->entry, "EMPTY", "");
	assert_int_equal(send_entry(f, true), JOURNAL_SENT);
	assert_received(f, "MESSAGE=it runs\nPRIORITY=6\nEMPTY=\n");
}

static void test_no_value_becomes_another_field(void **state)
{
	struct fixture *f = *state;
	journal_add(&f->entry, "MESSAGE", "a\nPRIORITY=0\r\x1b[2J\xff\xc3\xa4=");
	assert_int_equal(send_entry(f, true), JOURNAL_SENT);
	assert_received(f, "MESSAGE=a\\x0aPRIORITY=0\\x0d\\x1b[2J\\xff\xc3\xa4=\n");
}

static void test_what_has_no_room_is_left_out(void **state)
{
	struct fixture *f = *state;
	static char most[JOURNAL_ENTRY_MAX], large[2 * JOURNAL_ENTRY_MAX];
	memset(most, 'x', sizeof(most) - sizeof("A=\n"));
	memset(large, 'x', sizeof(large) - 1);
	journal_add(&f->entry, "B", large);
	assert_int_equal(f->entry.size, 0);
	journal_add(&f->entry, "A", most);
	size_t size = f->entry.size;
	assert_true(size > JOURNAL_ENTRY_MAX - 4);
	journal_add(&f->entry, "B", "");
	journal_add(&f->entry, "A_LONG_NAME", "1");
	assert_int_equal(f->entry.size, size);
	assert_int_equal(send_entry(f, true), JOURNAL_SENT);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_a_journal_that_does_not_read_is_not_waited_for_long(void **state)
{
	struct fixture *f = *state;
	journal_add(&f->entry, "MESSAGE", "a");
	int sent = 0, r;
	while ((r = send_entry(f, false)) == JOURNAL_SENT)
		sent++;
	assert_int_equal(r, JOURNAL_FULL);
	assert_true(sent > 0);
	double began = seconds();
	assert_int_equal(send_entry(f, true), JOURNAL_FULL);
	double took = seconds() - began;
	assert_true(took > JOURNAL_WAIT_MS / 2000. && took < 5);
	assert_received(f, "MESSAGE=a\n");
	assert_int_equal(send_entry(f, false), JOURNAL_SENT);
}

static void test_a_journal_that_starts_anew_is_found(void **state)
{
	struct fixture *f = *state;
	journal_add(&f->entry, "MESSAGE", "a");
	close(f->journal);
	assert_int_equal(send_entry(f, true), -ECONNREFUSED);
	unlink(f->address.sun_path);
	assert_int_equal(send_entry(f, true), -ENOENT);
	f->journal = bind_journal(f);
	assert_int_equal(send_entry(f, true), JOURNAL_SENT);
	assert_received(f, "MESSAGE=a\n");
}

static void test_a_path_that_is_none_is_an_error(void **state)
{
	struct fixture *f = *state;
	char path[200];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(journal_send(f->fd, path, &f->entry, true), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_an_entry_is_a_datagram_of_lines),
		TEST(test_no_value_becomes_another_field),
		TEST(test_what_has_no_room_is_left_out),
		TEST(test_a_journal_that_does_not_read_is_not_waited_for_long),
		TEST(test_a_journal_that_starts_anew_is_found),
		TEST(test_a_path_that_is_none_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
