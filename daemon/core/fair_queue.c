/* SPDX-License-Identifier: MIT */
#include "core/fair_queue.h"

#include <assert.h>
#include <stdlib.h>

void fair_queue_init(struct fair_queue *queue)
{
	TAILQ_INIT(&queue->users);
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
	TAILQ_INIT(&flow->children);
	TAILQ_INIT(&flow->jobs);
	flow->next_of_owner = *flows;
	*flows = flow;
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
	while (*flows) {
		struct flow *flow = *flows;
		assert(!flow->active && TAILQ_EMPTY(&flow->jobs) && TAILQ_EMPTY(&flow->children));
		*flows = flow->next_of_owner;
		free(flow);
	}
}

static struct flow_ring *ring_of(struct flow *flow)
{
	return flow->parent ? &flow->parent->children : &flow->queue->users;
}

static bool has_work(const struct flow *flow)
{
	if (!flow->parent)
		return !TAILQ_EMPTY(&flow->children);
	return !flow->parked && !TAILQ_EMPTY(&flow->jobs);
}

/* Enters a flow into its ring, or takes it out, as it has work or not; then its parent. */
static void settle(struct flow *flow)
{
	for (; flow; flow = flow->parent) {
		bool active = has_work(flow);
		if (active == flow->active)
			return;
		flow->active = active;
		flow->deficit_us = 0;
		if (active)
			TAILQ_INSERT_TAIL(ring_of(flow), flow, in_ring);
		else
			TAILQ_REMOVE(ring_of(flow), flow, in_ring);
	}
}

void fair_queue_push(struct flow *flow, struct job *job)
{
	assert(!job->queued);
	job->queued = true;
	TAILQ_INSERT_TAIL(&flow->jobs, job, in_queue);
	settle(flow);
}

void fair_queue_push_front(struct flow *flow, struct job *job)
{
	assert(!job->queued);
	job->queued = true;
	TAILQ_INSERT_HEAD(&flow->jobs, job, in_queue);
	settle(flow);
}

void fair_queue_remove(struct flow *flow, struct job *job)
{
	assert(job->queued);
	job->queued = false;
	TAILQ_REMOVE(&flow->jobs, job, in_queue);
	settle(flow);
}

static bool is_alone(const struct flow *flow)
{
	return !TAILQ_NEXT(flow, in_ring) && !TAILQ_PREV(flow, flow_ring, in_ring);
}

/* So many rounds at once that somebody may be served: long tasks leave large overdrafts. */
static void skip_rounds(struct flow_ring *ring)
{
	int64_t most = INT64_MIN;
	struct flow *flow;
	TAILQ_FOREACH (flow, ring, in_ring)
		if (flow->deficit_us > most)
			most = flow->deficit_us;
	int64_t rounds = -most / FAIR_QUANTUM_US + 1;
	TAILQ_FOREACH (flow, ring, in_ring)
		flow->deficit_us += rounds * FAIR_QUANTUM_US;
}

static struct flow *ring_peek(struct flow_ring *ring)
{
	struct flow *flow = TAILQ_FIRST(ring);
	if (!flow || flow->deficit_us > 0)
		return flow;
	if (is_alone(flow)) {
		flow->deficit_us = FAIR_QUANTUM_US;
		return flow;
	}
	struct flow *last = TAILQ_LAST(ring, flow_ring);
	for (;;) {
		bool all_seen = flow == last;
		TAILQ_REMOVE(ring, flow, in_ring);
		TAILQ_INSERT_TAIL(ring, flow, in_ring);
		flow->deficit_us += FAIR_QUANTUM_US;
		flow = TAILQ_FIRST(ring);
		if (flow->deficit_us > 0)
			return flow;
		if (all_seen) {
			skip_rounds(ring);
			last = TAILQ_LAST(ring, flow_ring);
		}
	}
}

struct job *fair_queue_peek(struct fair_queue *queue)
{
	struct flow *user = ring_peek(&queue->users);
	if (!user)
		return NULL;
	struct flow *session = ring_peek(&user->children);
	return TAILQ_FIRST(&session->jobs);
}

void fair_queue_charge(struct flow *flow, int64_t us)
{
	for (; flow; flow = flow->parent)
		if (flow->active)
			flow->deficit_us -= us;
}

void flows_park(struct flow *session_flows, bool parked)
{
	for (struct flow *flow = session_flows; flow; flow = flow->next_of_owner) {
		flow->parked = parked;
		settle(flow);
	}
}
