/* SPDX-License-Identifier: MIT */
/* What `ppctl doctor` concludes from what the system says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "place.h"
#include "program.h"
#include "report.h"
#include "session.h"
#include "test.h"
#include "unit.h"
#include "user.h"

/* ---- user.c ---- */

static void test_membership(void **state)
{
	(void)state;
	gid_t groups[] = {1000, 27};
	char *nobody[] = {"bob", NULL}, *alice[] = {"bob", "alice", NULL};
	struct user user = {.name = "alice", .groups = groups, .group_count = 2};
	struct group group = {.gr_gid = 990, .gr_mem = nobody};
	assert_int_equal(user_membership(&user, 1000, NULL), MEMBERSHIP_NO_GROUP);
	assert_int_equal(user_membership(&user, 1000, &group), MEMBERSHIP_NONE);
	group.gr_mem = alice;
	assert_int_equal(user_membership(&user, 1000, &group), MEMBERSHIP_LATER);
	group.gr_mem = nobody;
	assert_int_equal(user_membership(&user, 990, &group), MEMBERSHIP_LATER);
	group.gr_gid = 27;
	assert_int_equal(user_membership(&user, 1000, &group), MEMBERSHIP_MEMBER);
}

/* Into the daemon's group, as whose member the launcher starts nothing. */
static void test_nobody_is_told_to_put_a_worker_into_the_group(void **state)
{
	(void)state;
	struct user user = {.membership = MEMBERSHIP_NONE, .worker = MEMBERSHIP_NO_GROUP};
	assert_true(user_may_join(&user));
	user.worker = MEMBERSHIP_NONE;
	assert_true(user_may_join(&user));
	user.worker = MEMBERSHIP_LATER;
	assert_false(user_may_join(&user));
	user.worker = MEMBERSHIP_MEMBER;
	assert_false(user_may_join(&user));
	user = (struct user){.membership = MEMBERSHIP_NO_GROUP, .worker = MEMBERSHIP_NONE};
	assert_false(user_may_join(&user));
}

/* ---- unit.c ---- */

static void test_units_are_read(void **state)
{
	(void)state;
	static const char shown[] =
		"Id=procpoold.socket\nLoadState=loaded\nActiveState=active\nUnitFileState="
		"enabled\n\n"
		"MainPID=4242\nId=procpoold.service\nLoadState=loaded\nActiveState=failed\n"
		"UnitFileState=";
	struct unit unit;
	assert_true(unit_read(shown, UNIT_SOCKET, &unit));
	assert_string_equal(unit.active, "active");
	assert_string_equal(unit.file, "enabled");
	assert_int_equal(unit.main_pid, 0);
	assert_true(unit_read(shown, UNIT_SERVICE, &unit));
	assert_string_equal(unit.active, "failed");
	assert_string_equal(unit.file, "");
	assert_int_equal(unit.main_pid, 4242);
	assert_false(unit_read(shown, "other.service", &unit));
	assert_false(unit_read("", UNIT_SOCKET, &unit));
	assert_false(unit_read("no\n\n\n\nsense", UNIT_SOCKET, &unit));
}

/* ---- program.c ---- */

static void test_programs_are_asked_within_their_time(void **state)
{
	(void)state;
	char *says[] = {"sh", "-c", "echo hello; echo no >&2", NULL};
	char *fails[] = {"sh", "-c", "exit 3", NULL};
	char *missing[] = {"/nonexistent/program", NULL};
	char *hangs[] = {"sleep", "1000", NULL};
	char *hides[] = {"sh", "-c", "exec >&-; exec sleep 1000", NULL};
	struct text out = {0};
	assert_int_equal(program_run(says, 60000, &out), PROGRAM_DONE);
	assert_string_equal(text_cstring(&out), "hello\n");
	assert_int_equal(program_run(fails, 60000, &out), PROGRAM_FAILED);
	assert_int_equal(program_run(missing, 60000, &out), PROGRAM_MISSING);
	assert_int_equal(program_run(hangs, 50, &out), PROGRAM_LATE);
	assert_int_equal(program_run(hides, 50, &out), PROGRAM_LATE);
	text_fini(&out);
}

/* ---- place.c ---- */

static void test_places_are_those_of_the_library_in_its_order(void **state)
{
	(void)state;
	struct place places[PLACES_MAX];
	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	unsetenv("PROCPOOL_SOCKET");
	assert_int_equal(places_list(NULL, places), 2);
	assert_string_equal(places[0].path, "/run/user/1/procpool/procpoold.sock");
	assert_string_equal(places[1].path, "/run/procpool/procpoold.sock");
	places_fini(places, 2);
	setenv("PROCPOOL_SOCKET", "/a", 1);
	assert_int_equal(places_list(NULL, places), 1);
	assert_string_equal(places[0].path, "/a");
	places_fini(places, 1);
	assert_int_equal(places_list("/b", places), 1);
	assert_string_equal(places[0].path, "/b");
	places_fini(places, 1);
	setenv("PROCPOOL_SOCKET", "", 1);
	setenv("XDG_RUNTIME_DIR", "", 1);
	assert_int_equal(places_list(NULL, places), 1);
	assert_int_equal(places[0].source, PLACE_SYSTEM);
	places_fini(places, 1);
}

/* A socket of that path that listens. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 0), 0);
	return fd;
}

static void test_what_is_at_a_place_is_told(void **state)
{
	(void)state;
	char dir[] = "/tmp/procpool-test-XXXXXX", path[64], missing[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(missing, sizeof(missing), "%s/b", dir);
	struct place places[PLACES_MAX] = {{.path = missing}, {.path = path}};
	int fd = listen_at(path);

	assert_ptr_equal(places_look(places, 2), &places[1]);
	assert_int_equal(places[0].state, PLACE_MISSING);
	assert_false(places[0].exists);
	assert_int_equal(places[1].state, PLACE_TAKEN);
	assert_true(places[1].exists && S_ISSOCK(places[1].mode));
	assert_int_equal(places[1].pid, getpid());
	assert_int_equal(places[1].uid, geteuid());
	assert_string_not_equal(places[1].comm, "");

	/* The connection above waits to be accepted, and no other may. */
	struct place full[] = {{.path = path}, {.path = missing}};
	assert_ptr_equal(places_look(full, 2), &full[0]);
	assert_int_equal(full[0].state, PLACE_FULL);
	assert_int_equal(full[1].state, PLACE_UNSEEN);

	close(fd);
	struct place stale[] = {{.path = path}};
	assert_null(places_look(stale, 1));
	assert_int_equal(stale[0].state, PLACE_STALE);

	char long_path[200];
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	struct place refused[] = {{.path = long_path}};
	assert_ptr_equal(places_look(refused, 1), &refused[0]);
	assert_int_equal(refused[0].state, PLACE_REFUSED);
	assert_int_equal(refused[0].error, ENAMETOOLONG);
	unlink(path);
	rmdir(dir);
}

/* ---- report.c ---- */

static void test_a_report_counts_what_is_wrong(void **state)
{
	(void)state;
	struct report report;
	report_init(&report); /* cmocka's output is a pipe: no symbols, no colours */
	report.symbols = report.colours = false;
	report_section(&report, "Here");
	report_line(&report, REPORT_OK, "%d of %d", 1, 1);
	report_line(&report, REPORT_NOTE, "so");
	report_problem(&report, "lost-key", "look below the mat", "no %s", "key");
	report_end(&report);
	assert_string_equal(text_cstring(&report.out), "Here\n"
						       "  ok      1 of 1\n"
						       "  note    so\n"
						       "  problem no key\n"
						       "          -> look below the mat\n"
						       "\nSomething is wrong, see above.\n");
	struct procpool_value finding = procpool_value_at(report_findings(&report), 0);
	assert_int_equal(procpool_value_count(report_findings(&report)), 1);
	assert_true(procpool_value_is(procpool_value_get(finding, "code"), "lost-key"));
	assert_true(procpool_value_is(procpool_value_get(finding, "message"), "no key"));
	assert_true(procpool_value_is(procpool_value_get(finding, "advice"), "look below the mat"));
	report_fini(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_membership),
		cmocka_unit_test(test_nobody_is_told_to_put_a_worker_into_the_group),
		cmocka_unit_test(test_units_are_read),
		cmocka_unit_test(test_programs_are_asked_within_their_time),
		cmocka_unit_test(test_places_are_those_of_the_library_in_its_order),
		cmocka_unit_test(test_what_is_at_a_place_is_told),
		cmocka_unit_test(test_a_report_counts_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
