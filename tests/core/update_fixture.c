/* SPDX-License-Identifier: MIT */
#include "update_fixture.h"

#include <stdio.h>
#include <string.h>

#include "core/string_list.h"

struct pool_spec *spec_of(const char *name, const char *code, unsigned workers)
{
	struct pool_spec *spec = pool_spec_create(name);
	assert_non_null(spec);
	assert_int_equal(string_list_append(&spec->modules, strdup(code)), 0);
	spec->workers = workers;
	pool_spec_settle(spec, 1);
	return spec;
}

struct pool *find(struct fixture *f, const char *name)
{
	struct pool *pool = core_find_pool(&f->world->core, f->session, name, strlen(name));
	assert_non_null(pool);
	return pool;
}

void settle_alone(struct fixture *f)
{
	f->world->manual = false;
	world_settle(f->world);
	f->world->manual = true;
	world_check(f->world);
}

struct fixture begin(void)
{
	struct fixture f = {.world = world_create(NULL)};
	struct outcome error;
	f.session = world_open(f.world, 0);
	f.watcher = world_open(f.world, 0);
	assert_true(core_subscribe(&f.world->core, f.watcher, NULL, NULL, &error));
	UPDATE(&f, spec_of("a", "x", 2), spec_of("b", "x", 2));
	settle_alone(&f);
	assert_int_equal(find(&f, "a")->ready_count, 2);
	assert_int_equal(find(&f, "b")->ready_count, 2);
	return f;
}

void end(struct fixture *f)
{
	settle_alone(f);
	assert_int_equal(f->world->core.updating_count, 0);
	assert_true(TAILQ_EMPTY(&f->world->core.updates));
	assert_int_equal(f->session->account.used[RESOURCE_WAITS], 0);
	f->world->manual = false;
	world_destroy(f->world);
}

const char *names(const struct record *record, const char *key)
{
	static char text[200];
	struct procpool_value name;
	struct procpool_iter it = procpool_iter(procpool_value_get(record_value(record), key));
	text[0] = '\0';
	while (procpool_iter_next(&it, &name)) {
		struct slice slice = {"", 0};
		assert_true(slice_of(name, &slice));
		sprintf(text + strlen(text), "%s%.*s", text[0] ? " " : "", (int)slice.size,
			slice.data);
	}
	return text;
}

void check_done(struct fixture *f, uint32_t msgid, const char *changed, const char *added,
		const char *removed)
{
	const struct record *reply = world_reply(f->world, msgid);
	assert_non_null(reply);
	assert_int_equal(reply->code, ERR_NONE);
	assert_string_equal(names(reply, "changed"), changed);
	assert_string_equal(names(reply, "added"), added);
	assert_string_equal(names(reply, "removed"), removed);
	assert_string_equal(names(reply, "restart"), "socket");
}

void check_code(const struct pool *pool, const char *code)
{
	assert_string_equal(pool->code->modules[0], code);
	assert_non_null(pool->serving);
	assert_string_equal(pool->serving->spec->modules[0], code);
	assert_null(pool->successor);
	assert_string_equal(pool_state_name(pool), "ready");
	assert_int_equal(pool->ready_count, pool->target);
}

enum error_code submit(struct fixture *f, const char *pool, const char *function)
{
	enum error_code code;
	struct call call = {.pool = pool, .function = function};
	world_submit(f->world, f->session, call, &code);
	return code;
}
