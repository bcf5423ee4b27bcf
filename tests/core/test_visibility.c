/* SPDX-License-Identifier: MIT */
/* What sessions with one right, or none, learn of pools and of others' jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "world.h"

enum { CALLER = 100, OBSERVER, ADMINISTRATOR, ELSEWHERE, OTHER_CALLER, WORKER };

static const char *const functions[] = {"t.f", "t.hidden", NULL};
static const char *const other_functions[] = {"t.f", "t.other", NULL};

struct fixture {
	struct world *world;
	struct pool *pool, *other;
	struct session *caller, *observer, *administrator, *elsewhere;
};

#define ASYNC(...)                                                                                 \
	((struct call){                                                                            \
		.function = "t.f",                                                                 \
		.async = true,                                                                     \
		__VA_ARGS__,                                                                       \
	})

static struct access lists(uid_t caller, uid_t observer, uid_t administrator)
{
	struct access access = {.call = {.given = true}};
	access_list_add_user(&access.call, caller);
	access_list_add_user(&access.call, OTHER_CALLER);
	access_list_add_user(&access.observe, observer);
	access_list_add_user(&access.administer, administrator);
	return access;
}

static struct pool *add_pool(struct world *world, const char *name, struct access access,
			     const char *const *names)
{
	struct pool_spec *spec = pool_spec_create(name);
	pool_spec_settle(spec, 1);
	spec->access = access;
	spec->user = strdup("worker");
	spec->uid = WORKER;
	return world_add_pool_of(world, spec, FAKE_FORK_PAGE, names);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->world = world_create(NULL);
	f->pool = add_pool(f->world, "pool", lists(CALLER, OBSERVER, ADMINISTRATOR), functions);
	f->other =
		add_pool(f->world, "next", lists(ELSEWHERE, ELSEWHERE, ELSEWHERE), other_functions);
	f->caller = world_open(f->world, CALLER);
	f->observer = world_open(f->world, OBSERVER);
	f->administrator = world_open(f->world, ADMINISTRATOR);
	f->elsewhere = world_open(f->world, ELSEWHERE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	world_check(f->world);
	world_destroy(f->world);
	free(f);
	return 0;
}

/* ---- errors as bytes ---- */

struct bytes {
	uint8_t data[1024];
	size_t size;
};

static struct bytes bytes_of(struct outcome error)
{
	struct bytes bytes = {.size = error.value.size};
	assert_in_range(bytes.size, 1, sizeof(bytes.data));
	memcpy(bytes.data, error.value.data, bytes.size);
	outcome_fini(&error);
	return bytes;
}

/* The error of one name must be that of another of the same length, but for the name itself. */
static void assert_same(struct bytes a, const char *a_name, struct bytes b, const char *b_name)
{
	size_t size = strlen(a_name);
	unsigned found = 0;
	uint8_t *p = b.data;
	assert_int_equal(strlen(b_name), size);
	while ((p = memmem(p, (size_t)(b.data + b.size - p), b_name, size))) {
		memcpy(p, a_name, size);
		found++;
	}
	assert_true(found > 0);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
}

static struct bytes refused(struct fixture *f, struct session *session, struct call call,
			    enum error_code code)
{
	struct outcome error = {0};
	assert_int_equal(world_try(f->world, session, call, &error), 0);
	assert_int_equal(error.code, code);
	return bytes_of(error);
}

static struct bytes pool_error(struct fixture *f, struct session *session, const char *name,
			       enum error_code code)
{
	struct outcome error = {0};
	struct slice slice = {name, strlen(name)};
	assert_null(core_need_pool(&f->world->core, session, slice, ACCESS_ALL, &error));
	assert_int_equal(error.code, code);
	return bytes_of(error);
}

static struct bytes job_error(struct fixture *f, struct session *session, uint64_t id,
			      enum access_right right, enum error_code code)
{
	struct outcome error = {0};
	assert_null(core_find_job(&f->world->core, session, id, right, &error));
	assert_int_equal(error.code, code);
	return bytes_of(error);
}

/* ---- pools and functions ---- */

static void test_pool_without_a_right_is_as_none(void **state)
{
	struct fixture *f = *state;
	assert_same(pool_error(f, f->caller, "next", ERR_NO_SUCH_POOL), "next",
		    pool_error(f, f->caller, "none", ERR_NO_SUCH_POOL), "none");
	struct call there = ASYNC(.pool = "next"), nowhere = ASYNC(.pool = "none");
	assert_same(refused(f, f->caller, there, ERR_NO_SUCH_POOL), "next",
		    refused(f, f->caller, nowhere, ERR_NO_SUCH_POOL), "none");
	/* Also where it takes no jobs, or has failed. */
	pool_close(f->other, f->world->now_us);
	assert_same(refused(f, f->caller, there, ERR_NO_SUCH_POOL), "next",
		    refused(f, f->caller, nowhere, ERR_NO_SUCH_POOL), "none");
}

static void test_function_of_a_pool_without_a_right_is_unknown(void **state)
{
	struct fixture *f = *state;
	struct call there = {.function = "t.other"}, nowhere = {.function = "x.none!"};
	struct bytes error = refused(f, f->caller, there, ERR_UNKNOWN_FUNCTION);
	assert_same(error, "t.other", refused(f, f->caller, nowhere, ERR_UNKNOWN_FUNCTION),
		    "x.none!");
	/* Nor is it suggested to whoever comes near. */
	struct call near = {.function = "t.othre"};
	assert_same(error, "t.other", refused(f, f->caller, near, ERR_UNKNOWN_FUNCTION), "t.othre");
	struct session *both = world_open(f->world, OTHER_CALLER);
	struct bytes helped = refused(f, both, near, ERR_UNKNOWN_FUNCTION);
	assert_non_null(memmem(helped.data, helped.size, "t.other", 7));
}

static void test_function_is_ambiguous_only_where_one_may_call(void **state)
{
	struct fixture *f = *state;
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	assert_ptr_equal(world_job(f->world, f->caller, id)->function->pool, f->pool);
	struct access seen = {.call = {.given = true}};
	access_list_add_user(&seen.observe, OTHER_CALLER);
	add_pool(f->world, "seen", seen, functions);
	struct session *both = world_open(f->world, OTHER_CALLER);
	struct bytes error = refused(f, both, ASYNC(.count = 0), ERR_AMBIGUOUS);
	assert_non_null(memmem(error.data, error.size, "next", 4));
	assert_null(memmem(error.data, error.size, "seen", 4));
	/* To see another pool is not to be able to call there. */
	struct access access = lists(ELSEWHERE, CALLER, CALLER);
	assert_int_equal(pool_set_access(f->other, &access), 0);
	access_fini(&access);
	assert_int_not_equal(world_submit(f->world, f->caller, ASYNC(.count = 0), NULL), 0);
}

static void test_pool_that_one_sees_is_denied_to_who_may_not_call(void **state)
{
	struct fixture *f = *state;
	struct bytes error = refused(f, f->observer, ASYNC(.pool = "pool"), ERR_DENIED);
	assert_non_null(memmem(error.data, error.size, "access { call }", 15));
	assert_non_null(memmem(error.data, error.size, "pool pool", 9));
	refused(f, f->administrator, ASYNC(.pool = "pool"), ERR_DENIED);
	refused(f, f->observer, ASYNC(.count = 0), ERR_DENIED);
	error = refused(f, f->observer, (struct call){.function = "t.hiddn"}, ERR_UNKNOWN_FUNCTION);
	assert_null(memmem(error.data, error.size, "t.hidden", 8));
	refused(f, f->observer, (struct call){.function = "t.other"}, ERR_UNKNOWN_FUNCTION);
	/* What it has of functions is nobody's business who may not call: all names are. */
	refused(f, f->observer, (struct call){.function = "t.none", .pool = "pool"}, ERR_DENIED);
}

static void test_rights_are_told_apart_by_what_they_are_for(void **state)
{
	struct fixture *f = *state;
	struct slice name = {"pool", 4};
	struct outcome error;
	assert_non_null(
		core_need_pool(&f->world->core, f->administrator, name, ACCESS_ADMINISTER, &error));
	assert_non_null(
		core_need_pool(&f->world->core, f->administrator, name, ACCESS_OBSERVE, &error));
	assert_null(core_need_pool(&f->world->core, f->observer, name, ACCESS_ADMINISTER, &error));
	struct bytes bytes = bytes_of(error);
	assert_non_null(memmem(bytes.data, bytes.size, "access { administer }", 21));
	assert_null(core_need_pool(&f->world->core, f->caller, name, ACCESS_OBSERVE, &error));
	outcome_fini(&error);
}

static void test_refused_calls_are_charged_to_nobody(void **state)
{
	struct fixture *f = *state;
	struct core_stats before = f->world->core.stats;
	size_t records = f->world->record_count;
	assert_true(core_subscribe(&f->world->core, world_open(f->world, 0), NULL, NULL, NULL));
	refused(f, f->caller, ASYNC(.pool = "next"), ERR_NO_SUCH_POOL);
	refused(f, f->observer, ASYNC(.pool = "pool"), ERR_DENIED);
	world_settle(f->world);
	assert_memory_equal(&before, &f->world->core.stats, sizeof(before));
	assert_int_equal(f->world->record_count, records);
	for (int r = 0; r < RESOURCE_COUNT; r++) {
		bool connected = r == RESOURCE_CONNECTIONS;
		assert_int_equal(f->caller->account.used[r], connected);
		assert_int_equal(f->observer->account.used[r], connected);
	}
}

/* ---- jobs ---- */

static void test_job_that_one_may_not_see_is_as_none(void **state)
{
	struct fixture *f = *state;
	struct session *stranger = world_open(f->world, OTHER_CALLER);
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	uint64_t none = id + 1;
	char id_text[32], none_text[32];
	snprintf(id_text, sizeof(id_text), "%llu", (unsigned long long)id);
	snprintf(none_text, sizeof(none_text), "%llu", (unsigned long long)none);
	struct session *blind[] = {stranger, f->elsewhere};
	for (size_t i = 0; i < 2; i++)
		for (enum access_right right = ACCESS_OBSERVE; right <= ACCESS_ADMINISTER;
		     right = ACCESS_ADMINISTER + (right == ACCESS_ADMINISTER))
			assert_same(job_error(f, blind[i], id, right, ERR_NO_SUCH_JOB), id_text,
				    job_error(f, blind[i], none, right, ERR_NO_SUCH_JOB),
				    none_text);
	/* The same when it has ended and is kept. */
	world_work(f->world);
	assert_same(job_error(f, stranger, id, ACCESS_OBSERVE, ERR_NO_SUCH_JOB), id_text,
		    job_error(f, stranger, none, ACCESS_OBSERVE, ERR_NO_SUCH_JOB), none_text);
}

static bool may(struct fixture *f, struct session *session, uint64_t id, enum access_right right)
{
	struct outcome error = {0};
	bool found = core_find_job(&f->world->core, session, id, right, &error);
	if (!found)
		outcome_fini(&error);
	return found;
}

static void test_job_is_seen_and_commanded_as_rights_say(void **state)
{
	struct fixture *f = *state;
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	struct session *again = world_open(f->world, CALLER), *root = world_open(f->world, 0);
	struct session *all[] = {f->caller, again, f->administrator, root};
	for (size_t i = 0; i < 4; i++) {
		assert_true(may(f, all[i], id, ACCESS_OBSERVE));
		assert_true(may(f, all[i], id, ACCESS_ADMINISTER));
	}
	assert_true(may(f, f->observer, id, ACCESS_OBSERVE));
	struct bytes error = job_error(f, f->observer, id, ACCESS_ADMINISTER, ERR_DENIED);
	assert_non_null(memmem(error.data, error.size, "access { administer }", 21));
}

static void test_job_stays_its_users_whatever_rights_are_left(void **state)
{
	struct fixture *f = *state;
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	const struct access nobody = {.call = {.given = true}};
	assert_int_equal(pool_set_access(f->pool, &nobody), 0);
	assert_true(may(f, f->caller, id, ACCESS_ADMINISTER));
	assert_false(may(f, f->observer, id, ACCESS_OBSERVE));
	assert_false(may(f, f->administrator, id, ACCESS_OBSERVE));
	world_work(f->world);
	assert_int_equal(world_count(f->world, ACTION_PUSH_RESULT, f->caller, id), 1);
}

static void test_wait_ends_as_rights_are_then(void **state)
{
	struct fixture *f = *state;
	struct session *promoted = world_open(f->world, 777);
	struct access access = lists(CALLER, OBSERVER, 777);
	assert_int_equal(pool_set_access(f->pool, &access), 0);
	access_fini(&access);
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	uint32_t long_wait = world_wait(f->world, promoted, id, TIME_NEVER);
	uint32_t short_wait = world_wait(f->world, promoted, id, f->world->now_us + 10);
	access = lists(CALLER, 777, ADMINISTRATOR);
	assert_int_equal(pool_set_access(f->pool, &access), 0);
	access_fini(&access);
	world_advance(f->world, 10);
	assert_int_equal(world_reply(f->world, short_wait)->code, ERR_DENIED);
	access = lists(CALLER, OBSERVER, ADMINISTRATOR);
	assert_int_equal(pool_set_access(f->pool, &access), 0);
	access_fini(&access);
	world_work(f->world);
	assert_int_equal(world_reply(f->world, long_wait)->code, ERR_NO_SUCH_JOB);
}

/* ---- pushes ---- */

static void subscribe(struct fixture *f, struct session *session, struct job *job,
		      struct pool *pool)
{
	struct outcome error;
	assert_true(core_subscribe(&f->world->core, session, job, pool, &error));
	world_settle(f->world);
}

static unsigned count_events(struct fixture *f, const struct session *session, const char *event)
{
	unsigned count = 0;
	for (size_t i = 0; i < f->world->record_count; i++) {
		const struct record *record = &f->world->records[i];
		struct procpool_value value = record_value(record);
		if (record->session == session && record->type == ACTION_PUSH_EVENT)
			count += procpool_value_is(procpool_value_get(value, "event"), event);
	}
	return count;
}

/* A job of the caller's that tells progress, and a worker that dies. */
static uint64_t happen(struct fixture *f)
{
	static const uint8_t half = 50;
	struct fake_worker *fake = world_worker(f->world, 0);
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.pool = "pool"), NULL);
	core_schedule(&f->world->core, f->world->now_us);
	world_settle(f->world);
	assert_true(fake_begin(f->world, fake));
	core_worker_progress(&f->world->core, fake->worker, TAILQ_FIRST(&fake->messages)->seq, 0,
			     (struct procpool_value){&half, 1}, f->world->now_us);
	fake_die(f->world, fake, 9);
	world_advance(f->world, 1000000);
	return id;
}

static void test_pushes_are_those_that_each_may_see(void **state)
{
	struct fixture *f = *state;
	struct session *all[] = {f->caller, f->observer, f->administrator, f->elsewhere};
	for (size_t i = 0; i < 4; i++)
		subscribe(f, all[i], NULL, NULL);
	subscribe(f, f->observer, NULL, f->pool);
	uint64_t id = happen(f);
	static const unsigned seen[][4] = {{1, 1, 0, 1}, {0, 1, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(world_count(f->world, ACTION_PUSH_RESULT, all[i], id), seen[i][0]);
		assert_int_equal(count_events(f, all[i], "job") > 0, seen[i][1]);
		assert_int_equal(count_events(f, all[i], "worker") > 0, seen[i][2]);
		assert_int_equal(count_events(f, all[i], "pool") > 0, seen[i][3]);
		assert_int_equal(count_events(f, all[i], "progress"), seen[i][0]);
	}
}

static void test_subscribers_are_pushed_nothing_after_their_rights_went(void **state)
{
	struct fixture *f = *state;
	uint64_t held = world_submit(f->world, f->caller, ASYNC(.detach = true), NULL);
	subscribe(f, f->observer, NULL, NULL);
	subscribe(f, f->observer, NULL, f->pool);
	subscribe(f, f->administrator, world_job(f->world, f->caller, held), NULL);
	struct access access = lists(CALLER, CALLER, CALLER);
	assert_int_equal(pool_set_access(f->pool, &access), 0);
	access_fini(&access);
	size_t before = f->world->record_count;
	world_work(f->world);
	pool_close(f->pool, f->world->now_us);
	world_advance(f->world, 1000000);
	for (size_t i = before; i < f->world->record_count; i++) {
		assert_ptr_not_equal(f->world->records[i].session, f->observer);
		assert_ptr_not_equal(f->world->records[i].session, f->administrator);
	}
	assert_true(f->world->record_count > before);
}

static void test_who_may_only_observe_is_told_of_an_ended_job_without_its_result(void **state)
{
	struct fixture *f = *state;
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.count = 0), NULL);
	world_work(f->world);
	struct job *job = world_job(f->world, f->caller, id);
	subscribe(f, f->observer, job, NULL);
	subscribe(f, f->administrator, job, NULL);
	assert_int_equal(world_count(f->world, ACTION_PUSH_RESULT, f->observer, id), 0);
	assert_int_equal(count_events(f, f->observer, "job"), 1);
	assert_int_equal(world_count(f->world, ACTION_PUSH_RESULT, f->administrator, id), 1);
	assert_int_equal(count_events(f, f->administrator, "job"), 0);
}

/* ---- parents ---- */

static void test_parent_is_ones_own_or_runs_as_oneself(void **state)
{
	struct fixture *f = *state;
	struct access access = lists(WORKER, OBSERVER, ADMINISTRATOR);
	access_list_add_user(&access.call, CALLER);
	access_list_add_user(&access.call, OBSERVER);
	assert_int_equal(pool_set_access(f->pool, &access), 0);
	access_fini(&access);
	uint64_t id = world_submit(f->world, f->caller, ASYNC(.pool = "pool"), NULL);
	uint64_t waiting = world_submit(f->world, f->caller, ASYNC(.pool = "pool"), NULL);
	core_schedule(&f->world->core, f->world->now_us);
	world_settle(f->world);
	assert_true(fake_begin(f->world, world_worker(f->world, 0)));
	struct call child = ASYNC(.pool = "pool", .parent = id);
	assert_int_not_equal(world_submit(f->world, f->caller, child, NULL), 0);
	struct session *worker = world_open(f->world, WORKER);
	assert_int_not_equal(world_submit(f->world, worker, child, NULL), 0);
	/* But not of what does not run. */
	child.parent = waiting;
	refused(f, worker, child, ERR_NO_SUCH_JOB);
	child.parent = id;
	refused(f, world_open(f->world, OTHER_CALLER), child, ERR_NO_SUCH_JOB);
	refused(f, f->observer, child, ERR_DENIED);
	world_work(f->world);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pool_without_a_right_is_as_none),
		TEST(function_of_a_pool_without_a_right_is_unknown),
		TEST(function_is_ambiguous_only_where_one_may_call),
		TEST(pool_that_one_sees_is_denied_to_who_may_not_call),
		TEST(rights_are_told_apart_by_what_they_are_for),
		TEST(refused_calls_are_charged_to_nobody),
		TEST(job_that_one_may_not_see_is_as_none),
		TEST(job_is_seen_and_commanded_as_rights_say),
		TEST(job_stays_its_users_whatever_rights_are_left),
		TEST(wait_ends_as_rights_are_then),
		TEST(pushes_are_those_that_each_may_see),
		TEST(subscribers_are_pushed_nothing_after_their_rights_went),
		TEST(who_may_only_observe_is_told_of_an_ended_job_without_its_result),
		TEST(parent_is_ones_own_or_runs_as_oneself),
	};
#undef TEST
	return cmocka_run_group_tests_name("visibility", tests, NULL, NULL);
}
