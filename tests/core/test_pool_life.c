/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/test.h"
#include "world.h"

#define SECOND UINT64_C(1000000)
#define OWNER  100

static const char *const functions[] = {"t.f", NULL};

/* A session with a pool of its own, open and with two workers. */
struct fixture {
	struct world *world;
	struct session *session;
	struct pool *pool;
	char name[64];
};

static void begin(struct fixture *f, enum fake_kind kind)
{
	f->world = world_create(NULL);
	f->session = world_open(f->world, OWNER);
	f->pool = world_open_pool(f->world, f->session, 2, kind, functions);
	strcpy(f->name, f->pool->spec->name);
}

static void end(struct fixture *f)
{
	world_check(f->world);
	world_destroy(f->world);
}

static struct slice text(const char *name)
{
	return (struct slice){name, strlen(name)};
}

/* What a call by a session came to: its error's code, or that it was taken. */
static enum error_code taken(bool ok, struct outcome *error)
{
	if (ok)
		return ERR_NONE;
	enum error_code code = error->code;
	outcome_fini(error);
	return code;
}

static enum error_code close_pool(struct fixture *f, const char *name)
{
	struct outcome error;
	return taken(
		core_close_pool(&f->world->core, f->session, text(name), f->world->now_us, &error),
		&error);
}

static enum error_code terminate_pool(struct fixture *f, const char *name)
{
	struct outcome error;
	return taken(core_terminate_pool(&f->world->core, f->session, text(name), f->world->now_us,
					 &error),
		     &error);
}

static enum error_code join_pool(struct fixture *f, const char *name, uint64_t seconds)
{
	struct outcome error;
	uint64_t until_us = f->world->now_us + seconds * SECOND;
	enum error_code code =
		taken(core_join_pool(&f->world->core, f->session, ++f->world->last_msgid,
				     text(name), until_us, f->world->now_us, &error),
		      &error);
	world_settle(f->world);
	return code;
}

static enum error_code reply_code(struct fixture *f, uint32_t msgid)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	return reply->code;
}

static uint32_t apply(struct fixture *f)
{
	enum error_code code = ERR_NONE;
	assert_true(world_submit(f->world, f->session, (struct call){.function = "t.f"}, &code));
	return f->world->last_msgid;
}

static enum error_code submit_code(struct fixture *f, struct session *session, const char *pool)
{
	enum error_code code = ERR_NONE;
	world_submit(f->world, session, (struct call){.function = "t.f", .pool = pool}, &code);
	return code;
}

static bool is_there(struct fixture *f)
{
	return core_find_pool(&f->world->core, f->session, f->name, strlen(f->name));
}

static void test_only_a_pool_that_has_ended_takes_no_event(void **state)
{
	(void)state;
	for (int s = 0; s < POOL_STATE_COUNT; s++)
		for (int e = 0; e < POOL_EVENT_COUNT; e++)
			assert_int_equal(pool_next_state((enum pool_state)s, (enum pool_event)e) ==
						 POOL_STATE_COUNT,
					 s == POOL_ENDED);
	assert_int_equal(pool_next_state(POOL_TERMINATING, POOL_CLOSE), POOL_TERMINATING);
}

static void test_a_pool_is_open_when_its_first_worker_is_ready(void **state)
{
	(void)state;
	for (enum fake_kind kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++) {
		struct fixture f = {.world = world_create(NULL)};
		f.session = world_open(f.world, OWNER);
		f.world->manual = true;
		f.pool = world_open_pool(f.world, f.session, 2, kind, functions);
		uint32_t msgid = f.world->last_msgid;
		assert_null(world_reply(f.world, msgid));
		f.world->manual = false;
		world_settle(f.world);
		const struct record *reply = world_reply(f.world, msgid);
		assert_int_equal(record_int(reply, "workers"), 2);
		assert_true(procpool_value_is(procpool_value_get(record_value(reply), "pool"),
					      "session-1.1"));
		end(&f);
	}
}

static void test_a_pool_that_cannot_be_opened_is_gone_when_its_owner_is_told(void **state)
{
	(void)state;
	for (int transient = 0; transient < 2; transient++) {
		struct fixture f = {.world = world_create(NULL)};
		f.session = world_open(f.world, OWNER);
		f.world->manual = true;
		f.pool = world_open_pool(f.world, f.session, 2, FAKE_FORK, functions);
		uint32_t msgid = f.world->last_msgid;
		strcpy(f.name, f.pool->spec->name);
		fake_exit(f.world, world_runtime(f.world, f.pool), "no module of that name",
			  transient);
		assert_int_equal(reply_code(&f, msgid), ERR_INITIALIZER_FAILED);
		assert_false(is_there(&f));
		assert_int_equal(f.session->account.used[RESOURCE_POOLS], 0);
		assert_int_equal(f.session->account.used[RESOURCE_WORKERS], 0);
		assert_int_equal(core_next_timer(&f.world->core), TIME_NEVER);
		end(&f);
	}
}

static void test_a_worker_that_fails_to_start_fails_the_opening(void **state)
{
	(void)state;
	struct fixture f = {.world = world_create(NULL)};
	f.session = world_open(f.world, OWNER);
	f.world->manual = true;
	f.pool = world_open_pool(f.world, f.session, 2, FAKE_FORK, functions);
	uint32_t msgid = f.world->last_msgid;
	struct fake_runtime *runtime = world_runtime(f.world, f.pool);
	fake_hello(f.world, runtime);
	fake_loaded(f.world, runtime);
	fake_not_ready(f.world, world_worker(f.world, 0), NULL, false);
	/* The other worker and the spawner are still to go. */
	assert_null(world_reply(f.world, msgid));
	assert_true(world_worker(f.world, 0)->told_to_die);
	f.world->manual = false;
	world_settle(f.world);
	assert_int_equal(reply_code(&f, msgid), ERR_INITIALIZER_FAILED);
	end(&f);
}

static void test_a_closed_pool_finishes_what_it_has_and_goes(void **state)
{
	(void)state;
	for (enum fake_kind kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++) {
		struct fixture f;
		uint32_t msgids[5];
		begin(&f, kind);
		for (int i = 0; i < 5; i++)
			msgids[i] = apply(&f);
		assert_int_equal(close_pool(&f, f.name), ERR_NONE);
		assert_int_equal(close_pool(&f, f.name), ERR_NONE);
		assert_int_equal(submit_code(&f, f.session, NULL), ERR_POOL_CLOSED);
		assert_int_equal(submit_code(&f, f.session, f.name), ERR_POOL_CLOSED);
		assert_int_equal(join_pool(&f, f.name, 0), ERR_NOT_READY);
		assert_int_equal(join_pool(&f, f.name, 9), ERR_NONE);
		uint32_t join = f.world->last_msgid;
		assert_null(world_reply(f.world, join));
		assert_string_equal(pool_state_name(f.pool), "closed");
		world_check(f.world);
		world_work(f.world);
		for (int i = 0; i < 5; i++)
			assert_int_equal(reply_code(&f, msgids[i]), ERR_NONE);
		assert_int_equal(reply_code(&f, join), ERR_NONE);
		assert_false(is_there(&f));
		assert_int_equal(f.session->account.used[RESOURCE_POOLS], 0);
		assert_int_equal(f.session->account.used[RESOURCE_WAITS], 0);
		end(&f);
	}
}

static void test_a_pool_of_one_s_own_that_has_gone_is_closed_and_joined(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK);
	assert_int_equal(close_pool(&f, f.name), ERR_NONE);
	world_settle(f.world);
	assert_false(is_there(&f));
	assert_int_equal(close_pool(&f, f.name), ERR_NONE);
	assert_int_equal(terminate_pool(&f, f.name), ERR_NONE);
	assert_int_equal(join_pool(&f, f.name, 0), ERR_NONE);
	assert_int_equal(reply_code(&f, f.world->last_msgid), ERR_NONE);
	assert_int_equal(submit_code(&f, f.session, f.name), ERR_POOL_CLOSED);
	/* Of no session's, of another's, never opened, or not as it was written. */
	static const char *const others[] = {"none",         "session-2.1",  "session-1.2",
					     "session-1.0",  "session-1.01", "session-+1.1",
					     "session- 1.1", "session-1.1 ", "session-1"};
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		assert_int_equal(close_pool(&f, others[i]), ERR_NO_SUCH_POOL);
		assert_int_equal(submit_code(&f, f.session, others[i]), ERR_NO_SUCH_POOL);
	}
	end(&f);
}

static void test_join_comes_after_close(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK);
	assert_int_equal(join_pool(&f, f.name, 9), ERR_BAD_REQUEST);
	end(&f);
}

static void test_a_join_that_takes_too_long_is_told(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK_PAGE);
	apply(&f);
	assert_true(fake_begin(f.world, world_worker(f.world, 0)));
	close_pool(&f, f.name);
	join_pool(&f, f.name, 3);
	uint32_t join = f.world->last_msgid;
	world_advance(f.world, 3 * SECOND - 1);
	assert_null(world_reply(f.world, join));
	world_advance(f.world, 1);
	assert_int_equal(reply_code(&f, join), ERR_NOT_READY);
	world_work(f.world);
	assert_false(is_there(&f));
	end(&f);
}

static void test_a_closed_pool_replaces_workers_while_something_waits(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK_PAGE);
	uint32_t msgids[4];
	for (int i = 0; i < 4; i++)
		msgids[i] = apply(&f);
	close_pool(&f, f.name);
	for (int i = 0; i < 2; i++) {
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		fake_die(f.world, world_worker(f.world, 0), SIGSEGV);
	}
	world_work(f.world);
	unsigned lost = 0;
	for (int i = 0; i < 4; i++)
		lost += reply_code(&f, msgids[i]) == ERR_WORKER_LOST;
	assert_int_equal(lost, 2);
	assert_false(is_there(&f));
	end(&f);
}

static void test_terminating_cancels_what_runs_and_what_waits(void **state)
{
	(void)state;
	for (enum fake_kind kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++) {
		struct fixture f;
		uint32_t msgids[6];
		begin(&f, kind);
		struct session *other = world_open(f.world, OWNER);
		for (int i = 0; i < 5; i++)
			msgids[i] = apply(&f);
		assert_int_equal(submit_code(&f, other, f.name), ERR_NONE);
		msgids[5] = f.world->last_msgid;
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		assert_int_equal(terminate_pool(&f, f.name), ERR_NONE);
		assert_int_equal(terminate_pool(&f, f.name), ERR_NONE);
		assert_int_equal(close_pool(&f, f.name), ERR_NONE);
		assert_int_equal(submit_code(&f, f.session, NULL), ERR_POOL_CLOSED);
		assert_int_equal(join_pool(&f, f.name, 9), ERR_NONE);
		for (int i = 0; i < 6; i++)
			assert_int_equal(reply_code(&f, msgids[i]), ERR_CANCELLED);
		assert_int_equal(reply_code(&f, f.world->last_msgid), ERR_NONE);
		assert_false(is_there(&f));
		end(&f);
	}
}

static void test_many_jobs_are_cancelled_in_parts(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK_PAGE);
	for (int i = 0; i < 2500; i++)
		world_submit(f.world, f.session,
			     (struct call){.function = "t.f", .async = true, .detach = i % 2},
			     NULL);
	terminate_pool(&f, f.name);
	join_pool(&f, f.name, 9);
	uint32_t join = f.world->last_msgid;
	world_settle(f.world);
	unsigned told = world_count(f.world, ACTION_PUSH_RESULT, f.session, 0);
	assert_true(told >= 1000 && told < 2500);
	assert_null(world_reply(f.world, join));
	world_advance(f.world, 100);
	assert_int_equal(world_count(f.world, ACTION_PUSH_RESULT, f.session, 0), 2500);
	assert_int_equal(reply_code(&f, join), ERR_NONE);
	end(&f);
}

static void test_results_outlive_their_pool(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK_PAGE);
	uint64_t id = world_submit(f.world, f.session,
				   (struct call){.function = "t.f", .async = true, .first_item = 7},
				   NULL);
	world_work(f.world);
	close_pool(&f, f.name);
	world_settle(f.world);
	assert_false(is_there(&f));
	struct job *job = world_job(f.world, f.session, id);
	assert_string_equal(job->function->name, "t.f");
	assert_string_equal(job->function->pool->spec->name, f.name);
	uint32_t wait = world_wait(f.world, f.session, id, TIME_NEVER);
	assert_int_equal(reply_code(&f, wait), ERR_NONE);
	struct outcome error;
	assert_true(core_subscribe(&f.world->core, f.session, job, NULL, &error));
	world_settle(f.world);
	assert_int_equal(world_count(f.world, ACTION_PUSH_RESULT, f.session, id), 2);
	/* The last of its jobs takes what is left of it. */
	world_advance(f.world, 301 * SECOND);
	end(&f);
}

static void test_a_pool_goes_with_its_session(void **state)
{
	(void)state;
	for (enum fake_kind kind = FAKE_EXEC; kind <= FAKE_FORK_PAGE; kind++) {
		struct fixture f;
		begin(&f, kind);
		struct session *other = world_open(f.world, OWNER);
		submit_code(&f, f.session, NULL);
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		submit_code(&f, other, f.name);
		uint32_t msgid = f.world->last_msgid;
		struct outcome error;
		assert_true(core_subscribe(&f.world->core, other, NULL, f.pool, &error));
		f.world->manual = true;
		world_close(f.world, f.session);
		assert_true(world_worker(f.world, 0)->told_to_die);
		assert_true(world_worker(f.world, 1)->told_to_die);
		assert_int_equal(reply_code(&f, msgid), ERR_CANCELLED);
		f.world->manual = false;
		world_settle(f.world);
		f.session = other;
		assert_false(is_there(&f));
		assert_true(LIST_EMPTY(&other->subscriptions));
		assert_true(TAILQ_EMPTY(&f.world->workers));
		assert_null(other->flows);
		end(&f);
	}
}

static void test_a_session_may_end_while_its_pool_opens(void **state)
{
	(void)state;
	for (int step = 0; step < 3; step++) {
		struct fixture f = {.world = world_create(NULL)};
		f.session = world_open(f.world, OWNER);
		f.world->manual = true;
		f.pool = world_open_pool(f.world, f.session, 2, FAKE_FORK, functions);
		struct fake_runtime *runtime = world_runtime(f.world, f.pool);
		if (step > 0)
			fake_hello(f.world, runtime);
		if (step > 1)
			fake_loaded(f.world, runtime);
		world_close(f.world, f.session);
		if (step < 2)
			assert_true(runtime->told_to_die);
		f.world->manual = false;
		world_settle(f.world);
		assert_true(TAILQ_EMPTY(&f.world->core.pools));
		assert_null(f.world->core.users);
		end(&f);
	}
}

static void test_a_pool_is_its_session_s_and_its_user_s(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK);
	struct session *same = world_open(f.world, OWNER), *root = world_open(f.world, 0),
		       *other = world_open(f.world, OWNER + 1);
	assert_int_equal(submit_code(&f, f.session, NULL), ERR_NONE);
	assert_int_equal(submit_code(&f, f.session, f.name), ERR_NONE);
	assert_int_equal(submit_code(&f, same, NULL), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(submit_code(&f, same, f.name), ERR_NONE);
	assert_int_equal(submit_code(&f, root, NULL), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(submit_code(&f, root, f.name), ERR_NONE);
	assert_int_equal(submit_code(&f, other, NULL), ERR_UNKNOWN_FUNCTION);
	assert_int_equal(submit_code(&f, other, f.name), ERR_NO_SUCH_POOL);
	/* Nor does another user hear of it. */
	struct outcome error;
	assert_true(core_subscribe(&f.world->core, other, NULL, NULL, &error));
	assert_true(core_subscribe(&f.world->core, same, NULL, NULL, &error));
	terminate_pool(&f, f.name);
	world_settle(f.world);
	assert_true(world_count(f.world, ACTION_PUSH_EVENT, same, 0) > 0);
	assert_int_equal(world_count(f.world, ACTION_PUSH_EVENT, other, 0), 0);
	end(&f);
}

static void test_a_closed_pool_is_not_in_the_way_of_others(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK_PAGE);
	struct pool *pool = world_open_pool(f.world, f.session, 1, FAKE_FORK_PAGE, functions);
	assert_string_equal(pool->spec->name, "session-1.2");
	assert_int_equal(submit_code(&f, f.session, NULL), ERR_AMBIGUOUS);
	submit_code(&f, f.session, f.name);
	close_pool(&f, f.name);
	assert_int_equal(submit_code(&f, f.session, NULL), ERR_NONE);
	assert_int_equal(pool->jobs_under_way, 1);
	end(&f);
}

static void test_configured_pools_are_not_closed(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, FAKE_FORK);
	world_add_pool(f.world, "p", 1, FAKE_FORK, functions);
	assert_int_equal(close_pool(&f, "p"), ERR_DENIED);
	assert_int_equal(terminate_pool(&f, "p"), ERR_DENIED);
	assert_int_equal(join_pool(&f, "p", 1), ERR_DENIED);
	end(&f);
}

static void test_pools_and_their_workers_have_limits(void **state)
{
	(void)state;
	struct limits limits = LIMITS_DEFAULT;
	struct outcome error;
	limits.pools_session = 2;
	limits.workers_session = 5;
	struct fixture f = {.world = world_create(&limits)};
	f.session = world_open(f.world, OWNER);
	struct pool_spec *spec = pool_spec_create("");
	pool_spec_settle(spec, 4);
	world_open_pool(f.world, f.session, 2, FAKE_FORK, functions);
	assert_false(core_open_pool(&f.world->core, f.session, 1, spec, f.world->now_us, &error));
	assert_true(procpool_value_is(procpool_value_get(span_value(error.value), "limit"),
				      "workers_session"));
	outcome_fini(&error);
	world_open_pool(f.world, f.session, 3, FAKE_FORK, functions);
	assert_false(core_open_pool(&f.world->core, f.session, 1, spec, f.world->now_us, &error));
	assert_true(procpool_value_is(procpool_value_get(span_value(error.value), "limit"),
				      "pools_session"));
	outcome_fini(&error);
	terminate_pool(&f, "session-1.1");
	world_settle(f.world);
	world_open_pool(f.world, f.session, 2, FAKE_FORK, functions);
	pool_spec_unref(spec);
	end(&f);
}

static void test_the_daemon_may_end_at_any_time(void **state)
{
	(void)state;
	for (int step = 0; step < 4; step++) {
		struct fixture f;
		begin(&f, FAKE_FORK_PAGE);
		f.world->manual = true;
		uint32_t task = apply(&f), msgid = 0;
		assert_true(fake_begin(f.world, world_worker(f.world, 0)));
		if (step == 1 || step == 2)
			assert_int_equal(close_pool(&f, f.name), ERR_NONE);
		if (step == 2) {
			join_pool(&f, f.name, 9);
			msgid = f.world->last_msgid;
		}
		if (step == 3) {
			world_open_pool(f.world, f.session, 1, FAKE_FORK, functions);
			msgid = f.world->last_msgid;
		}
		core_stop(&f.world->core, 5 * SECOND, f.world->now_us);
		f.world->manual = false;
		world_settle(f.world);
		assert_null(world_reply(f.world, task));
		fake_answer(f.world, world_worker(f.world, 0), 1, 5);
		assert_int_equal(reply_code(&f, task), ERR_NONE);
		assert_true(core_stopped(&f.world->core));
		if (msgid > 0)
			assert_int_equal(reply_code(&f, msgid),
					 step == 2 ? ERR_NONE : ERR_SHUTTING_DOWN);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_a_pool_that_has_ended_takes_no_event),
		cmocka_unit_test(test_a_pool_is_open_when_its_first_worker_is_ready),
		cmocka_unit_test(test_a_pool_that_cannot_be_opened_is_gone_when_its_owner_is_told),
		cmocka_unit_test(test_a_worker_that_fails_to_start_fails_the_opening),
		cmocka_unit_test(test_a_closed_pool_finishes_what_it_has_and_goes),
		cmocka_unit_test(test_a_pool_of_one_s_own_that_has_gone_is_closed_and_joined),
		cmocka_unit_test(test_join_comes_after_close),
		cmocka_unit_test(test_a_join_that_takes_too_long_is_told),
		cmocka_unit_test(test_a_closed_pool_replaces_workers_while_something_waits),
		cmocka_unit_test(test_terminating_cancels_what_runs_and_what_waits),
		cmocka_unit_test(test_many_jobs_are_cancelled_in_parts),
		cmocka_unit_test(test_results_outlive_their_pool),
		cmocka_unit_test(test_a_pool_goes_with_its_session),
		cmocka_unit_test(test_a_session_may_end_while_its_pool_opens),
		cmocka_unit_test(test_a_pool_is_its_session_s_and_its_user_s),
		cmocka_unit_test(test_a_closed_pool_is_not_in_the_way_of_others),
		cmocka_unit_test(test_configured_pools_are_not_closed),
		cmocka_unit_test(test_pools_and_their_workers_have_limits),
		cmocka_unit_test(test_the_daemon_may_end_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
