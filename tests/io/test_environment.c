/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/environment.h"

/* Where it says something of the variable; NULL: it does not. */
static const char *find(char *const *environment, const char *name)
{
	size_t size = strlen(name);
	const char *found = NULL;
	for (; *environment; environment++) {
		if (strncmp(*environment, name, size) != 0 ||
		    ((*environment)[size] != '=' && (*environment)[size] != '\0'))
			continue;
		assert_null(found); /* once */
		found = *environment;
	}
	return found;
}

static void say(const char *const *names)
{
	clearenv();
	for (; *names; names++)
		setenv(*names, "daemon's", 1);
}

static void test_what_is_said_to_the_daemon_alone_stays_there(void **state)
{
	static const char *const names[] = {"PATH",
					    "LISTEN_FDS",
					    "NOTIFY_SOCKET",
					    "WATCHDOG_USEC",
					    "INVOCATION_ID",
					    "JOURNAL_STREAM",
					    "SYSTEMD_EXEC_PID",
					    "HOME",
					    "RUNTIME_DIRECTORY",
					    "TZ",
					    "CREDENTIALS_DIRECTORY",
					    "PROCPOOL_SOCKET",
					    "PROCPOOL_LAUNCHER",
					    NULL};
	(void)state;
	say(names);
	char **environment = environment_make(NULL, false, false, 0, NULL);
	assert_string_equal(find(environment, "PATH"), "PATH=daemon's");
	assert_non_null(find(environment, "HOME"));
	assert_non_null(find(environment, "TZ"));
	for (const char *const *name = names + 1; *name; name++)
		if (strcmp(*name, "HOME") != 0 && strcmp(*name, "TZ") != 0)
			assert_null(find(environment, *name));
	free(environment);
}

static void test_another_user_has_nothing_that_is_true_of_the_daemons(void **state)
{
	static const char *const names[] = {"HOME",          "USER", "LOGNAME", "SHELL",
					    "MAIL",          "LANG", "PATH",    "XDG_RUNTIME_DIR",
					    "SSH_AUTH_SOCK", NULL};
	char *added[] = {"SHELL=/bin/pools", "LOGNAME", NULL};
	(void)state;
	say(names);
	char **environment = environment_make(added, false, true, 0, "PROCPOOL_SOCKET=/here");
	assert_non_null(find(environment, "LANG"));
	assert_non_null(find(environment, "PATH"));
	assert_string_equal(find(environment, "SHELL"), "SHELL=/bin/pools");
	assert_string_equal(find(environment, "PROCPOOL_SOCKET"), "PROCPOOL_SOCKET=/here");
	/* The launcher would set it. */
	assert_string_equal(find(environment, "LOGNAME"), "LOGNAME");
	assert_null(find(environment, "HOME"));
	assert_null(find(environment, "USER"));
	assert_null(find(environment, "XDG_RUNTIME_DIR"));
	assert_null(find(environment, "SSH_AUTH_SOCK"));
	free(environment);
}

static void test_a_clear_environment_of_another_user_is_clear(void **state)
{
	static const char *const names[] = {"HOME", "LANG", NULL};
	char *added[] = {"USER=pools", "ONLY=1", NULL};
	(void)state;
	say(names);
	char **environment = environment_make(added, true, true, 3, NULL);
	assert_string_equal(find(environment, "ONLY"), "ONLY=1");
	assert_string_equal(find(environment, "USER"), "USER=pools");
	assert_string_equal(find(environment, "HOME"), "HOME");
	assert_string_equal(find(environment, "OMP_NUM_THREADS"), "OMP_NUM_THREADS=3");
	assert_null(find(environment, "LANG"));
	free(environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_said_to_the_daemon_alone_stays_there),
		cmocka_unit_test(test_another_user_has_nothing_that_is_true_of_the_daemons),
		cmocka_unit_test(test_a_clear_environment_of_another_user_is_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
