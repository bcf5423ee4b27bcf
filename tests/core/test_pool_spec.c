/* SPDX-License-Identifier: MIT */
#include "core/pool_spec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../unit/test.h"
#include "core/blob.h"
#include "core/string_list.h"

static void test_a_new_pool_sets_nothing(void **state)
{
	(void)state;
	struct pool_spec *spec = pool_spec_create("images");
	assert_non_null(spec);
	assert_string_equal(spec->name, "images");
	assert_string_equal(pool_spec_runtime_name(spec), "native");
	assert_null(spec->modules[0]);
	assert_null(spec->process.cwd);
	assert_null(spec->process.environment);
	assert_int_equal(spec->process.limit_count, 0);
	assert_ptr_equal(pool_spec_ref(spec), spec);
	pool_spec_unref(spec);
	assert_int_equal(string_list_append(&spec->runtime, strdup("/usr/bin/perl")), 0);
	assert_string_equal(pool_spec_runtime_name(spec), "/usr/bin/perl");
	pool_spec_unref(spec);
	pool_spec_unref(NULL);
}

/* What is said of the numbers of workers (0: nothing), and what follows where the daemon keeps 5.
 */
static void check_settled(unsigned workers, unsigned min, unsigned max, const unsigned *expected)
{
	struct pool_spec *spec = pool_spec_create("x");
	assert_non_null(spec);
	spec->workers = workers;
	spec->workers_min = min;
	spec->workers_max = max;
	pool_spec_settle(spec, 5);
	assert_int_equal(spec->workers, expected[0]);
	assert_int_equal(spec->workers_min, expected[1]);
	assert_int_equal(spec->workers_max, expected[2]);
	pool_spec_unref(spec);
}

static void test_numbers_of_workers_follow_from_what_was_said(void **state)
{
	(void)state;
	check_settled(0, 0, 0, (unsigned[]){5, 5, 5});
	check_settled(3, 0, 0, (unsigned[]){3, 3, 3});
	check_settled(0, 2, 9, (unsigned[]){2, 2, 9});
	check_settled(0, 2, 0, (unsigned[]){2, 2, 5});
	check_settled(0, 7, 0, (unsigned[]){7, 7, 7});
	check_settled(0, 0, 9, (unsigned[]){1, 1, 9});
}

/* ---- what differs ---- */

static struct span held(const char *text)
{
	return span_of_blob(blob_copy(text, strlen(text)));
}

/* With every setting set. */
static struct pool_spec *full(void)
{
	struct pool_spec *spec = pool_spec_create("images");
	assert_non_null(spec);
	string_list_append(&spec->runtime, strdup("/usr/bin/python3"));
	string_list_append(&spec->modules, strdup("a"));
	spec->interpreter = strdup("/usr/bin/python3");
	spec->main = strdup("/main.py");
	spec->initializer = strdup("a.begin");
	spec->initargs = held("\x91\x01");
	spec->options = held("\x80");
	assert_int_equal(process_settings_set_cwd(&spec->process, "/tmp", 4), 0);
	assert_int_equal(process_settings_set_variable(&spec->process, "A", 1, "1", 1), 0);
	process_settings_set_limit(&spec->process, RLIMIT_CORE, 0, 0);
	process_settings_add_cpu(&spec->process, 3);
	pool_spec_settle(spec, 2);
	return spec;
}

static void set_text(char **text)
{
	free(*text);
	*text = strdup("other");
}

static void set_span(struct span *span)
{
	blob_unref(span->blob);
	*span = held("\x91\x02");
}

/* Changes one setting; false: there is none of that number. */
static bool change_process(struct pool_spec *spec, int setting)
{
	switch (setting) {
	case 0:
		return string_list_append(&spec->runtime, strdup("-I")) == 0;
	case 1:
		return string_list_append(&spec->modules, strdup("b")) == 0;
	case 2:
		set_text(&spec->interpreter);
		return true;
	case 3:
		set_text(&spec->main);
		return true;
	case 4:
		set_text(&spec->initializer);
		return true;
	case 5:
		set_span(&spec->initargs);
		return true;
	case 6:
		set_span(&spec->options);
		return true;
	case 7:
		return spec->preload_always = true;
	case 8:
		return spec->pickle = true;
	case 9:
		return (spec->memory_bytes = 1);
	case 10:
		set_text(&spec->process.cwd);
		return true;
	case 11:
		return spec->process.env_clear = true;
	case 12:
		return process_settings_set_variable(&spec->process, "B", 1, NULL, 0) == 0;
	case 13:
		return spec->process.has_umask = true;
	case 14:
		return (spec->process.umask = 022);
	case 15:
		return (spec->process.nice = 1);
	case 16:
		process_settings_set_limit(&spec->process, RLIMIT_CORE, 0, 1);
		return true;
	case 17:
		process_settings_set_limit(&spec->process, RLIMIT_NOFILE, 9, 9);
		return true;
	case 18:
		process_settings_add_cpu(&spec->process, 0);
		return true;
	case 19:
		set_text(&spec->user);
		return true;
	case 20:
		set_text(&spec->group);
		return true;
	case 21:
		return (spec->uid = 1);
	case 22: /* without one that there was */
		free(spec->process.cwd);
		spec->process.cwd = NULL;
		return true;
	default:
		return false;
	}
}

static bool change_policy(struct pool_spec *spec, int setting)
{
	uint64_t *const numbers[] = {&spec->idle_us, &spec->max_tasks, &spec->max_rss_bytes,
				     &spec->stop_us, &spec->slow_us};
	unsigned *const counts[] = {&spec->workers, &spec->workers_min, &spec->workers_max,
				    &spec->extra_workers};
	if (setting < 5)
		++*numbers[setting];
	else if (setting < 9)
		++*counts[setting - 5];
	else if (setting == 9)
		return access_list_add_user(&spec->access.call, 1) == 0;
	return setting < 9;
}

static void check_each_setting(bool (*change)(struct pool_spec *spec, int setting), unsigned kind)
{
	struct pool_spec *spec = full(), *other = full();
	assert_int_equal(pool_spec_differ(spec, spec), 0);
	assert_int_equal(pool_spec_differ(spec, other), 0);
	int setting = 0;
	for (; change(other, setting); setting++) {
		assert_int_equal(pool_spec_differ(spec, other), kind);
		assert_int_equal(pool_spec_differ(other, spec), kind);
		pool_spec_unref(other);
		other = full();
	}
	assert_true(setting >= 8);
	pool_spec_unref(spec);
	pool_spec_unref(other);
}

static void test_each_setting_makes_a_difference_in_processes_or_policies(void **state)
{
	(void)state;
	check_each_setting(change_process, POOL_SPEC_PROCESSES);
	check_each_setting(change_policy, POOL_SPEC_POLICIES);
	struct pool_spec *spec = full(), *other = full();
	change_process(other, 0);
	change_policy(other, 0);
	assert_int_equal(pool_spec_differ(spec, other), POOL_SPEC_PROCESSES | POOL_SPEC_POLICIES);
	pool_spec_unref(spec);
	pool_spec_unref(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_pool_sets_nothing),
		cmocka_unit_test(test_numbers_of_workers_follow_from_what_was_said),
		cmocka_unit_test(test_each_setting_makes_a_difference_in_processes_or_policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
