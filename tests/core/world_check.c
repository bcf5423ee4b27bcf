/* SPDX-License-Identifier: MIT */
/* Whether the core's counters agree with what can be counted: world_check(). */
#include "../unit/test.h"
#include "world.h"

/* Stays with NDEBUG, and tells the line. */
#define CHECK(condition) assert_true(condition)

/* No runtime has more workers than its pool is to have, none is left over, and those of old code
 * serve only where new ones do not. */
static void check_runtimes(struct pool *pool)
{
	const struct runtime *runtime;
	unsigned workers = 0, ready = 0, due = 0;
	TAILQ_FOREACH (runtime, &pool->runtimes, in_pool) {
		unsigned mine = 0, retired = 0, mine_ready = 0, ending = 0, unforked = 0;
		const struct worker *worker;
		TAILQ_FOREACH (worker, &pool->workers, in_pool) {
			if (worker->runtime != runtime)
				continue;
			mine++;
			retired += worker->retired;
			due += worker->due;
			ending += !worker->retired && worker->state == WORKER_STOPPING;
			unforked += worker->unforked;
			mine_ready += worker_serves(worker);
		}
		CHECK(runtime->worker_count == mine && runtime->retired_count == retired);
		CHECK(runtime->ready_count == mine_ready);
		CHECK(runtime->unforked_count == unforked);
		/* One in four may be replaced at a time. */
		CHECK(mine - retired - ending <=
		      pool->target + (pool->target > 4 ? pool->target / 4 : 1));
		CHECK(runtime->state != RUNTIME_GONE);
		bool current = runtime == pool->serving || runtime == pool->successor;
		CHECK(current || mine > 0 || runtime->state == RUNTIME_STOPPING);
		workers += mine;
		ready += mine_ready;
	}
	CHECK(workers == pool->worker_count);
	CHECK(ready == pool->ready_count);
	CHECK(pool->core->stopping || ready <= pool->target);
	CHECK(pool->min <= pool->target && pool->target <= pool->max + pool->spec->extra_workers);
	CHECK(due == pool->due_count);
	CHECK(!pool->successor || pool->serving);
}

/* How many of its names nobody uses; those that are used are so as often as is noted. */
static unsigned check_names(struct world *world, struct pool *pool)
{
	const struct function *function;
	unsigned unused = 0;
	for (function = pool->functions.named; function; function = function->hh.next) {
		uint64_t jobs = 0, id = 0;
		struct job *job;
		while ((job = job_table_next(&world->core.jobs, id, &id)))
			jobs += job->function == function;
		CHECK(function->named && function->jobs == jobs);
		unused += jobs == 0;
	}
	return unused;
}

static void check_pool(struct world *world, struct pool *pool)
{
	uint64_t waiting = 0, running = 0, jobs = 0, under_way = 0, id = 0;
	unsigned workers = 0, ready = 0, idle = 0;
	struct job *job;
	while ((job = job_table_next(&world->core.jobs, id, &id))) {
		if (job->function->pool != pool)
			continue;
		CHECK(job->queued == (!job_ended(job) && job_has_tasks(job)));
		jobs++;
		under_way += !job_ended(job);
		waiting += job_ended(job) ? 0 : job_tasks_left(job);
	}
	struct worker *worker;
	TAILQ_FOREACH (worker, &pool->workers, in_pool) {
		unsigned pending = 0;
		for (uint32_t seq = worker->oldest_seq; seq != worker->next_seq; seq++) {
			struct chunk *chunk = &worker->chunks[seq % PAGE_SLOTS];
			if (!chunk->pending || chunk->seq != seq)
				continue;
			pending++;
			running += chunk->range.count - chunk->answered;
			CHECK(chunk->dropped == job_ended(chunk->job));
		}
		workers++;
		CHECK(worker->pending == pending);
		CHECK(worker->state != WORKER_IDLE || pending == 0);
		CHECK(worker->state != WORKER_BUSY || pending > 0);
		CHECK(worker->state != WORKER_HALTING || worker->stop.asked);
		CHECK(worker->stop.reason == STOP_NONE || worker->stop.asked || worker->killed);
		CHECK(worker->backlog_us >= -0.001);
		ready += worker_serves(worker);
	}
	TAILQ_FOREACH (worker, &pool->idle, in_idle) {
		CHECK(worker->state == WORKER_IDLE);
		idle++;
	}
	CHECK(pool->state != POOL_ENDED);
	CHECK(pool->jobs == jobs && pool->jobs_under_way == under_way);
	CHECK(pool->waiting == waiting);
	CHECK(pool->running == running);
	CHECK(pool->worker_count == workers);
	CHECK(pool->ready_count == ready);
	check_runtimes(pool);
	CHECK(world->core.stopping || pool->paused || idle == 0 || !fair_queue_peek(&pool->queue));
	CHECK(!world->core.stopping || waiting == 0);
	CHECK(pool->failure.value.size == 0 || pool->ready_count == 0);
}

static void check_user(struct world *world, struct user *user)
{
	uint64_t id = 0, jobs = 0, kept = 0, retained = 0;
	struct job *job;
	while ((job = job_table_next(&world->core.jobs, id, &id))) {
		if (job->session->user != user)
			continue;
		CHECK(!job->kept || job_ended(job));
		CHECK(job->kept || !job_ended(job) || job->assigned > 0);
		jobs += !job_ended(job);
		kept += job->kept;
		retained += job->kept ? job->outcome.value.size + JOB_KEPT_BYTES +
						names_job_bytes(job->function)
				      : 0;
	}
	CHECK(user->account.used[RESOURCE_JOBS] == jobs);
	CHECK(user->account.used[RESOURCE_RETAINED_BYTES] == retained);
	CHECK((user->retention_timer.place != 0) == (kept > 0));
	for (int r = 0; r < RESOURCE_COUNT; r++)
		CHECK(!account_exceeded(&user->account, (enum resource)r));
}

void world_check(struct world *world)
{
	struct core *core = &world->core;
	uint64_t running = 0, id = 0;
	struct job *job;
	while ((job = job_table_next(&core->jobs, id, &id)))
		running += job->state == JOB_RUNNING;
	CHECK(core->running_jobs == running);
	struct pool *pool;
	unsigned unused = 0;
	TAILQ_FOREACH (pool, &core->pools, in_core) {
		check_pool(world, pool);
		unused += check_names(world, pool);
	}
	/* Pools that have ended may still have some. */
	CHECK(core->names.unused_count >= unused);
	for (struct user *user = core->users; user; user = user->hh.next)
		check_user(world, user);
	struct fake_peer *peer;
	TAILQ_FOREACH (peer, &world->peers, next)
		for (int r = 0; r < RESOURCE_COUNT; r++)
			CHECK(!account_exceeded(&peer->session->account, (enum resource)r));
}
