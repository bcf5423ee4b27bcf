/* SPDX-License-Identifier: MIT */
#include "core/fair_queue.h"

#include <assert.h>
#include <stdlib.h>

static void ring_init(struct flow_ring *ring)
{
	*ring = (struct flow_ring){.count = 0};
	TAILQ_INIT(&ring->flows);
}

void fair_queue_init(struct fair_queue *queue)
{
	ring_init(&queue->users);
	LIST_INIT(&queue->flows);
}

static void destroy_flow(struct flow *flow)
{
	struct flow **place = flow->owner_flows;
	assert(!flow->active && flow->levels == 0 && flow->children.count == 0);
	while (*place != flow)
		place = &(*place)->next_of_owner;
	*place = flow->next_of_owner;
	LIST_REMOVE(flow, of_queue);
	free(flow);
}

void fair_queue_fini(struct fair_queue *queue)
{
	while (!LIST_EMPTY(&queue->flows))
		destroy_flow(LIST_FIRST(&queue->flows));
}

static struct flow *flow_of(struct fair_queue *queue, struct flow *parent, struct flow **flows)
{
	for (struct flow *flow = *flows; flow; flow = flow->next_of_owner)
		if (flow->queue == queue)
			return flow;
	struct flow *flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->queue = queue;
	flow->parent = parent;
	ring_init(&flow->children);
	for (int level = 0; level < FLOW_LEVELS; level++)
		TAILQ_INIT(&flow->jobs[level]);
	flow->owner_flows = flows;
	flow->next_of_owner = *flows;
	*flows = flow;
	LIST_INSERT_HEAD(&queue->flows, flow, of_queue);
	return flow;
}

struct flow *fair_queue_flow(struct fair_queue *queue, struct flow **user_flows,
			     struct flow **session_flows)
{
	struct flow *user = flow_of(queue, NULL, user_flows);
	return user ? flow_of(queue, user, session_flows) : NULL;
}

void flows_destroy(struct flow **flows)
{
	while (*flows)
		destroy_flow(*flows);
}

static struct flow_ring *ring_of(struct flow *flow)
{
	return flow->parent ? &flow->parent->children : &flow->queue->users;
}

static bool has_work(const struct flow *flow)
{
	if (!flow->parent)
		return flow->children.count > 0;
	return !flow->parked && flow->levels != 0;
}

/* Of a flow that is not in its ring: what it owed when it left it, less what it could have used
 * since then. */
static void settle_debt(struct flow *flow)
{
	const struct flow_ring *ring = ring_of(flow);
	int64_t debt_us = flow->left_epoch == ring->epoch ? flow->deficit_us : 0;
	debt_us += (int64_t)(ring->round_us - flow->left_us);
	flow->deficit_us = debt_us < 0 ? debt_us : 0;
	flow->left_us = ring->round_us;
	flow->left_epoch = ring->epoch;
}

static void enter(struct flow_ring *ring, struct flow *flow)
{
	settle_debt(flow);
	TAILQ_INSERT_TAIL(&ring->flows, flow, in_ring);
	ring->count++;
}

static void leave(struct flow_ring *ring, struct flow *flow)
{
	TAILQ_REMOVE(&ring->flows, flow, in_ring);
	flow->left_us = ring->round_us;
	flow->left_epoch = ring->epoch;
	if (--ring->count == 0)
		ring->epoch++;
}

/* Enters a flow into its ring, or takes it out, as it has work or not; then its parent. */
static void settle(struct flow *flow)
{
	for (; flow; flow = flow->parent) {
		bool active = has_work(flow);
		if (active == flow->active)
			return;
		flow->active = active;
		if (active)
			enter(ring_of(flow), flow);
		else
			leave(ring_of(flow), flow);
	}
}

/* The list that a job belongs into; it is about to have one more. */
static struct job_list *enter_level(struct flow *flow, struct job *job)
{
	int level = job->priority - TASK_PRIORITY_MIN;
	assert(!job->queued);
	job->queued = true;
	flow->levels |= 1U << level;
	return &flow->jobs[level];
}

void fair_queue_push(struct flow *flow, struct job *job)
{
	struct job_list *jobs = enter_level(flow, job);
	TAILQ_INSERT_TAIL(jobs, job, in_queue);
	settle(flow);
}

void fair_queue_push_front(struct flow *flow, struct job *job)
{
	struct job_list *jobs = enter_level(flow, job);
	TAILQ_INSERT_HEAD(jobs, job, in_queue);
	settle(flow);
}

void fair_queue_remove(struct flow *flow, struct job *job)
{
	int level = job->priority - TASK_PRIORITY_MIN;
	assert(job->queued);
	job->queued = false;
	TAILQ_REMOVE(&flow->jobs[level], job, in_queue);
	if (TAILQ_EMPTY(&flow->jobs[level]))
		flow->levels &= ~(1U << level);
	settle(flow);
}

/* So many rounds at once that somebody may be served: long tasks leave large overdrafts. */
static void skip_rounds(struct flow_ring *ring)
{
	int64_t most = INT64_MIN;
	struct flow *flow;
	TAILQ_FOREACH (flow, &ring->flows, in_ring)
		if (flow->deficit_us > most)
			most = flow->deficit_us;
	int64_t quanta_us = (-most / FAIR_QUANTUM_US + 1) * FAIR_QUANTUM_US;
	TAILQ_FOREACH (flow, &ring->flows, in_ring)
		flow->deficit_us += quanta_us;
	ring->round_us += (double)quanta_us;
}

/* The first that may be served. Each that may not gets its quantum and goes to the end; when all
 * have, rounds are skipped. */
static struct flow *ring_peek(struct flow_ring *ring)
{
	struct flow *flow;
	unsigned seen = 0;
	while ((flow = TAILQ_FIRST(&ring->flows)) && flow->deficit_us <= 0) {
		if (seen++ == ring->count) {
			skip_rounds(ring);
			seen = 0;
			continue;
		}
		TAILQ_REMOVE(&ring->flows, flow, in_ring);
		TAILQ_INSERT_TAIL(&ring->flows, flow, in_ring);
		flow->deficit_us += FAIR_QUANTUM_US;
		ring->round_us += (double)FAIR_QUANTUM_US / ring->count;
	}
	return flow;
}

struct job *fair_queue_peek(struct fair_queue *queue)
{
	struct flow *user = ring_peek(&queue->users);
	if (!user)
		return NULL;
	struct flow *session = ring_peek(&user->children);
	return TAILQ_FIRST(&session->jobs[31 - __builtin_clz(session->levels)]);
}

void fair_queue_charge(struct flow *flow, int64_t us)
{
	for (; flow; flow = flow->parent) {
		if (!flow->active)
			settle_debt(flow);
		/* Where nobody waits, entering the ring again will find another epoch. */
		if (!flow->active && ring_of(flow)->count == 0)
			continue;
		flow->deficit_us -= us;
		if (flow->deficit_us < -FAIR_DEBT_MAX_US)
			flow->deficit_us = -FAIR_DEBT_MAX_US;
	}
}

void flows_park(struct flow *session_flows, bool parked)
{
	for (struct flow *flow = session_flows; flow; flow = flow->next_of_owner) {
		flow->parked = parked;
		settle(flow);
	}
}
